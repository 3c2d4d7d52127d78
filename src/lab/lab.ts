/**
 * A fleet on one machine: for each node a dataplane and an agent, a controller, a
 * registry, real ESP between all pairs. The lab starts, supervises, disturbs on request,
 * distributes keys, measures and stops; nothing that a fleet decides is decided here. Every program
 * ends with the lab, however that ends.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../adapters/system/clock.js";
import type { AddressFamily } from "../core/node.js";
import { makePrng } from "../core/prng.js";
import { writeAgentConfig, writeControllerConfig, type LabLeases } from "./fleet/configuration.js";
import { makeController } from "./fleet/controller-program.js";
import { hasDroppedOld, isAtRest, isSteady, type RestQuestion } from "./fleet/convergence.js";
import { FleetView } from "./fleet/fleet-view.js";
import { KeyFiles } from "./fleet/key-files.js";
import { makeLayout, nodeNames, removeLayout, type LabLayout } from "./fleet/layout.js";
import { makeNodeUnit, type NodeUnit } from "./fleet/node-unit.js";
import { Patience } from "./fleet/patience.js";
import type { Program } from "./fleet/program.js";
import { RegistryLoad, since, type RegistryCounts } from "./fleet/registry-load.js";
import { LabError } from "./lab-error.js";
import { BulkStream } from "./kernel/bulk-stream.js";
import { KernelNetwork } from "./kernel/kernel-network.js";
import { CountedDrops } from "./ledger/counted-drops.js";
import { Ledger } from "./ledger/ledger.js";
import { explainLosses, type Loss, type Outage } from "./ledger/losses.js";
import type { LabRegistry } from "./registry/lab-registry.js";
import { openLabRegistry } from "./registry/open.js";
import type { LabOptions } from "./options.js";
import { makeReport, type LabReport } from "./report.js";
import { RotationWatch } from "./rotation.js";

/** A pair that works has delivered a packet within this time, monotonic milliseconds. */
const aliveMs = 2_000;

/** Where the lab runs. */
export interface LabHost {
  /** How to run `spindle`: program and first arguments. */
  readonly spindle: readonly string[];
  /** Where every agent and the controller leave a recording, null for none. */
  readonly recordDirectory?: string | null;
  /** Lines for people: what ended, what started again. */
  readonly note: (line: string) => void;
  /** Ends every wait with `LAB_INTERRUPTED`. */
  readonly signal?: AbortSignal;
  /** False: agents switch without a probe, for a roster with nodes that nobody is behind. */
  readonly provesPaths?: boolean;
  /** Another registry than the options ask for, in the lab's directory. */
  readonly makeRegistry?: (layout: LabLayout) => LabRegistry;
  /** Other leases than the programs' own. */
  readonly leases?: LabLeases;
}

export interface FinishedRotation {
  readonly watch: RotationWatch;
  readonly registry: RegistryCounts;
  /** Why it did not end in time, null when it did. */
  readonly stuck: string | null;
}

const startMsMax = 90_000;
const rotationMsMax = 60_000;
const settleMs = 600;
const stopGraceMs = 3_000;
const restartMsMax = 10_000;

export class Lab {
  readonly options: LabOptions;
  readonly layout: LabLayout;
  readonly nodes: readonly NodeUnit[];
  readonly controller: Program;
  readonly ledger = new Ledger();
  /** What the kernels of the nodes counted. */
  readonly drops = new CountedDrops();
  readonly view: FleetView;
  /** The node whose staging is slow, index from 0; null when none is. */
  readonly slowNode: number | null;
  readonly outages: Outage[] = [];
  readonly rotations: FinishedRotation[] = [];
  readonly #host: LabHost;
  /** Where in its interval the stream of each ordered pair begins. */
  readonly #rhythm: readonly (readonly number[])[];
  readonly #patience: Patience;
  readonly #keys: KeyFiles;
  readonly #load: RegistryLoad;
  readonly #registry: LabRegistry;
  /** Null for userspace dataplanes. */
  readonly #network: KernelNetwork | null;
  readonly #openPairs = new Set<string>();
  #bulk: BulkStream | null = null;
  #instances = 0;
  #rotation: RotationWatch | null = null;
  #isStopped = false;

  private constructor(
    options: LabOptions,
    layout: LabLayout,
    host: LabHost,
    network: KernelNetwork | null,
    registry: LabRegistry,
  ) {
    this.options = options;
    this.layout = layout;
    this.#network = network;
    this.#host = host;
    this.#patience = new Patience(host.signal);
    const prng = makePrng(options.seed);
    const slowNode = prng.below(options.nodes);
    this.slowNode = options.slowNodeMs > 0 ? slowNode : null;
    const names = nodeNames(options.nodes);
    this.#rhythm = names.map(() => names.map(() => prng.share()));
    this.view = new FleetView(names);
    this.#load = new RegistryLoad(this.view);
    this.#registry = registry;
    this.#keys = new KeyFiles(layout.nodes.map((node) => node.keyFile));
    this.controller = this.#makeController();
    this.nodes = names.map((name, node) => this.#makeNode(name, node));
    this.view.watch((event, atMs) => {
      if (event.kind === "admitted") this.#noteAdmission(event.node, atMs);
    });
  }

  /** Makes its directory and network; nothing runs yet. @throws LabError */
  static async create(options: LabOptions, host: LabHost): Promise<Lab> {
    const network = options.dataplane === "kernel" ? await KernelNetwork.open() : null;
    const layout = await makeLayout(nodeNames(options.nodes));
    const registry = host.makeRegistry?.(layout) ?? (await openLabRegistry(layout, options));
    return new Lab(options, layout, host, network, registry);
  }

  /**
   * Resolves when every pair of nodes exchanges packets.
   * @throws LabError, after everything was stopped
   */
  async start(): Promise<void> {
    try {
      await this.#startAll();
    } catch (cause) {
      await this.abandon();
      throw cause;
    }
  }

  /** The last rotation that was begun. */
  get rotation(): RotationWatch | null {
    return this.#rotation;
  }

  /** Ordered pairs whose sender may send, of all. */
  get openPairs(): { readonly open: number; readonly all: number } {
    const { nodes } = this.options;
    return { open: this.#openPairs.size, all: nodes * (nodes - 1) };
  }

  /**
   * Kill -9 of an agent: its node's traffic goes on. Resolves when it has started again, by itself,
   * as the others.
   */
  async killAgent(node: number): Promise<void> {
    await this.#kill(this.nodes[node]!.agent);
  }

  /**
   * A reboot of the node's dataplane. A userspace one is a program that is killed; with the kernel's,
   * the network namespace goes, and the agent in it.
   */
  async killDataplane(node: number): Promise<void> {
    const { dataplane, agent, name } = this.nodes[node]!;
    const before = dataplane.run;
    this.#host.note(`reboot of ${name}'s dataplane`);
    // An agent that lives on would put back what goes with its namespace, as the holder of its UDP socket.
    if (this.#network !== null) await this.#kill(agent, () => dataplane.reboot());
    else dataplane.reboot();
    const isBack = (): boolean => dataplane.run !== null && dataplane.run !== before;
    await this.#patience.waitFor(isBack, restartMsMax);
  }

  async killController(): Promise<void> {
    await this.#kill(this.controller);
  }

  /**
   * One whole rotation. Does not throw for a fleet that does not converge: the result says what it
   * waits for.
   * @param awayMs for how long the registry will be away meanwhile
   */
  async rotate(awayMs = 0): Promise<FinishedRotation> {
    const before = await this.#load.read();
    const { coordination, nodes } = this.options;
    const { keyId: oldKeyId, nextKeyId: keyId } = this.#keys;
    const watch = new RotationWatch(this.view, coordination, { keyId, oldKeyId, nodes });
    this.#rotation = watch;
    this.ledger.beginPeriod(watch.startedMs);
    await this.#keys.addNext();
    const limitMs = rotationMsMax + 4 * this.options.slowNodeMs + awayMs;
    const isOver = await this.#patience.waitFor(() => watch.durationMs !== null, limitMs);
    if (isOver) {
      await this.#keys.dropOld();
      await this.#patience.waitFor(() => hasDroppedOld(this.#question()), rotationMsMax);
    }
    watch.stop();
    const stuck = isOver ? null : this.#whyStuck(watch);
    const finished = { watch, registry: since(before, await this.#load.read()), stuck };
    this.rotations.push(finished);
    return finished;
  }

  /** Lets traffic run. */
  async rest(durationMs: number): Promise<void> {
    await this.#patience.rest(durationMs);
  }

  /**
   * Waits until the fleet is whole: every node at rest on the newest key alone, and every pair
   * delivering again. Resolves with the milliseconds that took, or null when `limitMs` were not
   * enough.
   */
  async converge(limitMs: number): Promise<number | null> {
    const startedMs = systemClock.nowMs();
    if (!(await this.#patience.waitFor(() => isAtRest(this.#question()), limitMs))) return null;
    const restingMs = systemClock.nowMs();
    const isAlive = (): boolean => this.ledger.pairsAlive(restingMs) === this.openPairs.all;
    if (!(await this.#patience.waitFor(isAlive, limitMs))) return null;
    return systemClock.nowMs() - startedMs;
  }

  /** What is lost as of now, while the fleet runs. Packets of the last moments are not judged yet. */
  losses(): readonly Loss[] {
    const stagingDelayMs = (node: number): number => {
      return node === this.slowNode ? this.options.slowNodeMs : 0;
    };
    const { ledger, outages, drops: counted } = this;
    const context = { ledger, outages, stagingDelayMs, bufferDrops: new Map(), counted };
    return explainLosses(context, systemClock.nowMs());
  }

  /** Stops traffic, lets it settle, stops all programs and says what was measured. */
  async finish(): Promise<LabReport> {
    const silentPairs = this.openPairs.all - this.ledger.pairsAlive(systemClock.nowMs() - aliveMs);
    const bulk = (await this.#bulk?.finish()) ?? null;
    await Promise.all(this.nodes.map(({ dataplane }) => dataplane.stopTraffic()));
    await sleep(settleMs);
    const counters = await Promise.all(this.nodes.map(({ dataplane }) => dataplane.counters()));
    const peakEventsPerSecond = this.#load.peakEventsPerSecond;
    await this.abandon();
    return makeReport({
      options: this.options,
      directory: this.layout.directory,
      slowNode: this.slowNode,
      ledger: this.ledger,
      outages: this.outages,
      drops: this.drops,
      bulk,
      rotations: this.rotations,
      counters,
      peakEventsPerSecond,
      silentPairs,
      nowMs: systemClock.nowMs(),
    });
  }

  /** Stops all programs and removes the directory, measuring nothing. Calling it twice is harmless. */
  async abandon(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#load.stop();
    this.view.close();
    const agents = this.nodes.map(({ agent }) => agent);
    await Promise.all([...agents, this.controller].map((program) => program.stop(stopGraceMs)));
    // Only now: an agent puts back what its dataplane lost.
    await Promise.all(this.nodes.map(({ dataplane }) => dataplane.stop(stopGraceMs)));
    this.#bulk?.close();
    this.#network?.close();
    await this.#registry.stop();
    this.#keys.wipe();
    if (!this.options.keep) await removeLayout(this.layout);
  }

  async #startAll(): Promise<void> {
    await this.#keys.create();
    await this.#registry.start();
    await writeControllerConfig(this.layout, this.#registry.controllerSection(), this.options, this.#host.leases);
    this.controller.start();
    for (const { dataplane } of this.nodes) dataplane.start();
    this.view.connect(await this.#registry.connect());
    await Promise.all(this.nodes.map((unit) => this.#startNode(unit)));
    const { all } = this.openPairs;
    const isReady = (): boolean => this.#openPairs.size === all && isSteady(this.#question());
    const limitMs = startMsMax + 4 * this.options.slowNodeMs;
    if (!(await this.#patience.waitFor(isReady, limitMs))) {
      const message = `only ${this.#openPairs.size} of ${all} pairs send after ${limitMs} ms`;
      throw new LabError("LAB_START_TIMEOUT", message);
    }
    this.#load.resetPeak();
    await this.#startBulk();
  }

  async #startBulk(): Promise<void> {
    const [from, to] = this.nodes;
    if (this.#network === null || from === undefined || to === undefined) return;
    const ends = await Promise.all([from.dataplane.endpoint, to.dataplane.endpoint]);
    this.#bulk = BulkStream.open(this.#network.sockets, this.#family, from, to, ends);
  }

  async #startNode(unit: NodeUnit): Promise<void> {
    const { name, layout, dataplane, agent, node } = unit;
    const sections = await this.#patience.waitForValue(dataplane.sections, startMsMax);
    const registry = this.#registry.agentSection(node);
    await writeAgentConfig(layout, registry, name, sections, this.options, this.#host.leases);
    agent.start();
    const peers = this.nodes.filter((peer) => peer !== unit);
    const plans = peers.map(async (peer) => ({
      receiver: peer.node,
      phase: this.#rhythm[node]![peer.node]!,
      endpoint: await this.#patience.waitForValue(peer.dataplane.endpoint, startMsMax),
    }));
    dataplane.send({ sender: node, rate: this.options.rate, peers: await Promise.all(plans) });
  }

  get #family(): AddressFamily {
    return this.options.ipv6 ? "ipv6" : "ipv4";
  }

  #question(): RestQuestion {
    const { nodes, coordination } = this.options;
    return { view: this.view, nodes, coordination, keyId: this.#keys.keyId };
  }

  #makeController(): Program {
    return makeController({
      name: "controller",
      directory: this.layout.controllerDirectory,
      config: this.layout.controllerConfig,
      spindle: this.#host.spindle,
      recordFlags: this.#recordFlags("controller"),
      note: this.#host.note,
      gaveUp: (why) => this.#patience.giveUp(why),
    });
  }

  #makeNode(name: string, node: number): NodeUnit {
    return makeNodeUnit({
      node,
      name,
      layout: this.layout.nodes[node]!,
      spindle: this.#host.spindle,
      recordFlags: this.#recordFlags(name),
      isAdvertiseFirst: this.options.order === "advertise-first",
      stagingDelayMs: node === this.slowNode ? this.options.slowNodeMs : 0,
      view: this.view,
      ledger: this.ledger,
      network: this.#network,
      provesPaths: this.#host.provesPaths ?? true,
      family: this.#family,
      encapsulation: this.options.encapsulation,
      ipsecMode: this.options.ipsecMode,
      drops: this.drops,
      newInstance: () => (this.#instances += 1),
      opened: (receiver) => void this.#openPairs.add(`${node} ${receiver}`),
      outage: (outage) => void this.outages.push(outage),
      note: this.#host.note,
      gaveUp: (why) => this.#patience.giveUp(why),
    });
  }

  #recordFlags(program: string): readonly string[] {
    const { recordDirectory = null } = this.#host;
    return recordDirectory === null ? [] : ["--record", join(recordDirectory, `${program}.jsonl`)];
  }

  /** @param whileDown runs before it is started again */
  async #kill(program: Program, whileDown: () => void = () => undefined): Promise<void> {
    const { pid } = program;
    this.#host.note(`kill -9 ${program.spec.name}`);
    await program.crash();
    whileDown();
    const hasRestarted = (): boolean => program.pid !== null && program.pid !== pid;
    await this.#patience.waitFor(hasRestarted, restartMsMax);
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
}

/** A lab whose pairs all send. @throws LabError, after everything was stopped */
export async function startLab(options: LabOptions, host: LabHost): Promise<Lab> {
  const lab = await Lab.create(options, host);
  await lab.start();
  return lab;
}
