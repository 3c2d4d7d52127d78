/**
 * A fleet on one machine: for each node a dataplane and an agent, a controller with the embedded registry, real ESP
 * between all pairs. The lab starts, supervises, disturbs on request, distributes keys, measures and stops; nothing that
 * a fleet decides is decided here. Every program ends with the lab, however that ends.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../adapters/system/clock.js";
import { makePrng, type Prng } from "../core/prng.js";
import { writeAgentConfig, writeControllerConfig } from "./fleet/configuration.js";
import { DataplaneUnit } from "./fleet/dataplane-unit.js";
import { FleetView } from "./fleet/fleet-view.js";
import { KeyFiles } from "./fleet/key-files.js";
import { makeLayout, removeLayout, type LabLayout } from "./fleet/layout.js";
import { makeAgentProgram, type NodeUnit } from "./fleet/node-unit.js";
import { Program } from "./fleet/program.js";
import { RegistryLoad, since, type RegistryCounts } from "./fleet/registry-load.js";
import { Ledger } from "./ledger/ledger.js";
import { explainLosses, type Loss, type Outage } from "./ledger/losses.js";
import { LabError } from "./lab-error.js";
import type { LabOptions } from "./options.js";
import { makeReport, type LabReport } from "./report.js";
import { offersOnly, RotationWatch } from "./rotation.js";

/** Where the lab runs. */
export interface LabHost {
  /** How to run `spindle`: program and first arguments. */
  readonly spindle: readonly string[];
  /** Lines for people: what ended, what started again. */
  readonly note: (line: string) => void;
  /** Ends every wait with `LAB_INTERRUPTED`. */
  readonly signal?: AbortSignal;
}

export interface FinishedRotation {
  readonly watch: RotationWatch;
  readonly registry: RegistryCounts;
  /** Why it did not end in time, null when it did. */
  readonly stuck: string | null;
}

const startMsMax = 90_000;
const rotationMsMax = 60_000;
const pollMs = 20;
const settleMs = 600;
const stopGraceMs = 3_000;

export class Lab {
  readonly options: LabOptions;
  readonly layout: LabLayout;
  readonly nodes: readonly NodeUnit[];
  readonly controller: Program;
  readonly ledger = new Ledger();
  readonly view: FleetView;
  /** The node whose staging is slow, index from 0; null when none is. */
  readonly slowNode: number | null;
  readonly outages: Outage[] = [];
  readonly rotations: FinishedRotation[] = [];
  readonly #host: LabHost;
  readonly #prng: Prng;
  readonly #keys: KeyFiles;
  readonly #load: RegistryLoad;
  readonly #openPairs = new Set<string>();
  #instances = 0;
  #rotation: RotationWatch | null = null;
  #fault: string | null = null;
  #isStopped = false;

  private constructor(options: LabOptions, layout: LabLayout, host: LabHost) {
    this.options = options;
    this.layout = layout;
    this.#host = host;
    this.#prng = makePrng(options.seed);
    const slowNode = this.#prng.below(options.nodes);
    this.slowNode = options.slowNodeMs > 0 ? slowNode : null;
    const names = nodeNames(options.nodes);
    this.view = new FleetView(names);
    this.#load = new RegistryLoad(this.view);
    this.#keys = new KeyFiles(layout.nodes.map((node) => node.keyFile));
    this.controller = this.#makeController();
    this.nodes = names.map((name, node) => this.#makeNode(name, node));
    this.view.watch((event, atMs) => {
      if (event.kind === "admitted") this.#noteAdmission(event.node, atMs);
    });
  }

  /** Makes its directory; nothing runs yet. */
  static async create(options: LabOptions, host: LabHost): Promise<Lab> {
    return new Lab(options, await makeLayout(nodeNames(options.nodes)), host);
  }

  /** Resolves when every pair of nodes exchanges packets. @throws LabError, after everything was stopped */
  async start(): Promise<void> {
    try {
      await this.#startAll();
    } catch (cause) {
      await this.abandon();
      throw cause;
    }
  }

  /** The rotation that runs. */
  get rotation(): RotationWatch | null {
    return this.#rotation;
  }

  /** Ordered pairs whose sender may send, of all. */
  get openPairs(): { readonly open: number; readonly all: number } {
    const { nodes } = this.options;
    return { open: this.#openPairs.size, all: nodes * (nodes - 1) };
  }

  /** Kill -9 of an agent: its node's traffic goes on. It starts again by itself. */
  killAgent(node: number): void {
    this.#host.note(`kill -9 ${this.nodes[node]!.name} agent`);
    this.nodes[node]!.agent.kill();
  }

  /** Kill -9 of a dataplane: a reboot of the node's dataplane. */
  killDataplane(node: number): void {
    this.#host.note(`kill -9 ${this.nodes[node]!.name} dataplane`);
    this.nodes[node]!.dataplane.program.kill();
  }

  killController(): void {
    this.#host.note("kill -9 controller");
    this.controller.kill();
  }

  /** One whole rotation. Never throws for a fleet that does not converge: the result says what it waits for. */
  async rotate(): Promise<FinishedRotation> {
    const before = await this.#load.read();
    const { keyId: oldKeyId, nextKeyId: keyId } = this.#keys;
    const { coordination, nodes } = this.options;
    const watch = new RotationWatch(this.view, coordination, { keyId, oldKeyId, nodes });
    this.#rotation = watch;
    this.ledger.beginPeriod(watch.startedMs);
    await this.#keys.addNext();
    const limitMs = rotationMsMax + 4 * this.options.slowNodeMs;
    const isOver = await this.#waitFor(() => watch.durationMs !== null, limitMs);
    if (isOver) {
      await this.#keys.dropOld();
      await this.#waitFor(() => offersOnly(this.view, nodes, this.#keys), rotationMsMax);
    }
    watch.stop();
    const stuck = isOver ? null : this.#whyStuck(watch);
    const finished = { watch, registry: since(before, await this.#load.read()), stuck };
    this.rotations.push(finished);
    return finished;
  }

  /** Lets traffic run. */
  async rest(durationMs: number): Promise<void> {
    const untilMs = systemClock.nowMs() + durationMs;
    await this.#waitFor(() => systemClock.nowMs() >= untilMs, durationMs + 1_000);
  }

  /** What is lost as of now, while the fleet runs. Packets of the last moments are not judged yet. */
  losses(): readonly Loss[] {
    const stagingDelayMs = (node: number): number => {
      return node === this.slowNode ? this.options.slowNodeMs : 0;
    };
    const { ledger, outages } = this;
    const context = { ledger, outages, stagingDelayMs, bufferDrops: new Map() };
    return explainLosses(context, systemClock.nowMs());
  }

  /** Stops traffic, lets it settle, stops all programs and says what was measured. */
  async finish(): Promise<LabReport> {
    await Promise.all(this.nodes.map(({ dataplane }) => dataplane.stopTraffic()));
    await sleep(settleMs);
    const counters = await Promise.all(this.nodes.map(({ dataplane }) => dataplane.counters()));
    const peakEventsPerSecond = this.#load.peakEventsPerSecond;
    await this.abandon();
    return makeReport({
      options: this.options,
      slowNode: this.slowNode,
      ledger: this.ledger,
      outages: this.outages,
      rotations: this.rotations,
      counters,
      peakEventsPerSecond,
      nowMs: systemClock.nowMs(),
    });
  }

  /** Stops all programs and removes the directory, measuring nothing. */
  async abandon(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#load.stop();
    this.view.close();
    const programs = this.nodes.flatMap(({ agent, dataplane }) => [agent, dataplane.program]);
    await Promise.all([...programs, this.controller].map((program) => program.stop(stopGraceMs)));
    this.#keys.wipe();
    if (!this.options.keep) await removeLayout(this.layout);
  }

  async #startAll(): Promise<void> {
    await this.#keys.create();
    await writeControllerConfig(this.layout, this.options);
    this.controller.start();
    for (const { dataplane } of this.nodes) dataplane.program.start();
    this.view.connect(this.layout.registrySocket);
    await Promise.all(this.nodes.map((unit) => this.#startNode(unit)));
    const { open, all } = { open: () => this.openPairs.open, all: this.openPairs.all };
    const limitMs = startMsMax + 4 * this.options.slowNodeMs;
    if (!(await this.#waitFor(() => open() === all && this.#isSteady(), limitMs))) {
      throw new LabError("LAB_START_TIMEOUT", `only ${open()} of ${all} pairs can send after ${limitMs} ms`);
    }
    this.#load.resetPeak();
  }

  async #startNode(unit: NodeUnit): Promise<void> {
    const { name, layout, dataplane, agent, node } = unit;
    const udpPort = await this.#orFault(dataplane.port);
    await writeAgentConfig(this.layout, layout, { name, udpPort }, this.options);
    agent.start();
    const peers = await Promise.all(
      this.nodes.filter((peer) => peer !== unit).map(async (peer) => {
        const endpoint = { address: "127.0.0.1", udpPort: await this.#orFault(peer.dataplane.port) };
        return { receiver: peer.node, endpoint, phase: this.#prng.share() };
      }),
    );
    dataplane.send({ sender: node, rate: this.options.rate, peers });
  }

  /** The first key is in use and nothing of its introduction is under way. */
  #isSteady(): boolean {
    const { coordination, nodes } = this.options;
    const { keyId } = this.#keys;
    if (coordination === "barrier") {
      const record = this.view.record;
      return record?.phase === "steady" && record.current?.keyId === keyId;
    }
    return Array.from({ length: nodes }).every((_, node) => {
      return this.view.phases[node] === "steady" && this.view.report(node)?.sendingNewest === keyId;
    });
  }

  #makeController(): Program {
    const { controllerConfig, controllerDirectory } = this.layout;
    const spec = {
      name: "controller",
      command: () => [...this.#host.spindle, "lab-controller", "--config", controllerConfig],
      logPath: join(controllerDirectory, "controller.log"),
      pidPath: join(controllerDirectory, "controller.pid"),
    };
    return new Program(spec, {
      ended: ({ signal, code, wanted }) => {
        if (wanted) return;
        this.#host.note(`controller ended (${signal ?? `code ${code}`}), starts again`);
      },
      gaveUp: (why) => (this.#fault ??= why),
    });
  }

  #makeNode(name: string, node: number): NodeUnit {
    const layout = this.layout.nodes[node]!;
    const gaveUp = (why: string): void => void (this.#fault ??= why);
    const { spindle, note } = this.#host;
    const dataplane = new DataplaneUnit({
      node,
      name,
      layout,
      spindle,
      ledger: this.ledger,
      newInstance: () => (this.#instances += 1),
      opened: (receiver) => void this.#openPairs.add(`${node} ${receiver}`),
      outage: (outage) => void this.outages.push(outage),
      started: () => undefined,
      ended: ({ signal, code, wanted }) => {
        if (!wanted) note(`${name} dataplane ended (${signal ?? `code ${code}`}), starts again`);
      },
      gaveUp,
    });
    const agent = makeAgentProgram({
      node,
      name,
      layout,
      spindle,
      isAdvertiseFirst: this.options.order === "advertise-first",
      stagingDelayMs: node === this.slowNode ? this.options.slowNodeMs : 0,
      view: this.view,
      note,
      gaveUp,
    });
    return { node, name, layout, dataplane, agent };
  }

  #noteAdmission(node: number, atMs: number): void {
    for (const outage of this.outages) if (outage.node === node) outage.admittedMs ??= atMs;
  }

  #whyStuck(watch: RotationWatch): string {
    const behind = this.nodes.filter(({ node }) => watch.nodes[node]?.retiredMs === undefined);
    const names = behind.map(({ node, name }) => `${name} is ${this.view.phases[node]}`).join(", ");
    const fleet = this.view.record === null ? "" : `; the fleet is ${this.view.record.phase}`;
    return `the rotation to key ${watch.keyId} did not end: ${names}${fleet}`;
  }

  /** False when the time is over. @throws LabError when a program cannot be kept alive, or on interrupt */
  async #waitFor(isTrue: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = systemClock.nowMs() + limitMs;
    while (!isTrue()) {
      this.#check();
      if (systemClock.nowMs() >= untilMs) return false;
      await sleep(pollMs);
    }
    return true;
  }

  async #orFault<T>(promise: Promise<T>): Promise<T> {
    let result: { readonly value: T } | null = null;
    void promise.then((value) => (result = { value }));
    await this.#waitFor(() => result !== null, startMsMax);
    if (result === null) throw new LabError("LAB_START_TIMEOUT", "a dataplane did not start");
    return (result as { readonly value: T }).value;
  }

  #check(): void {
    if (this.#fault !== null) throw new LabError("LAB_PROGRAM_FAILED", this.#fault);
    if (this.#host.signal?.aborted) throw new LabError("LAB_INTERRUPTED", "the lab was interrupted");
  }
}

function nodeNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `node-${index + 1}`);
}
