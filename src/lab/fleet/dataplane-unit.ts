/**
 * One node's userspace dataplane, a program of its own, seen from the lab: starts it, gives it its traffic, and enters its
 * journal into the ledger. Each start is a new run with a number of its own; the UDP port stays the
 * same, as a node keeps its address.
 */
import { join } from "node:path";
import { systemClock } from "../../adapters/system/clock.js";
import type { Endpoint } from "../../core/sa.js";
import type { XfrmCounters } from "../../core/xfrm-counters.js";
import type { Ledger } from "../ledger/ledger.js";
import type { Outage } from "../ledger/losses.js";
import { JournalReader, type JournalEvent } from "../traffic/journal-format.js";
import type { HostCommand } from "../traffic/node-host.js";
import type { TrafficPlan } from "../traffic/source.js";
import type { NodeLayout } from "./layout.js";
import type { DataplaneSections, NodeDataplane } from "./node-dataplane.js";
import { Program, type ProgramEnd } from "./program.js";

export interface DataplaneUnitOptions {
  /** Index of the node. */
  readonly node: number;
  readonly name: string;
  readonly layout: NodeLayout;
  /** How to run `spindle`. */
  readonly spindle: readonly string[];
  readonly ledger: Ledger;
  /** Numbers the runs of all dataplanes of the lab. */
  readonly newInstance: () => number;
  readonly opened: (receiver: number) => void;
  readonly outage: (outage: Outage) => void;
  readonly ended: (how: ProgramEnd) => void;
  readonly gaveUp: (why: string) => void;
}

const loopback = "127.0.0.1";
const answerMsMax = 5_000;

export class DataplaneUnit implements NodeDataplane {
  readonly #options: DataplaneUnitOptions;
  readonly #program: Program;
  #reader: JournalReader;
  #instance = 0;
  #toldUpToMs = 0;
  #port = 0;
  #isListening = false;
  #plan: Omit<TrafficPlan, "instance"> | null = null;
  #lastOutage: Outage | null = null;
  #answer: ((event: JournalEvent) => void) | null = null;
  #abandon: () => void = () => undefined;
  readonly #whenReady: Promise<number>;
  #ready: (port: number) => void = () => undefined;

  constructor(options: DataplaneUnitOptions) {
    this.#options = options;
    this.#reader = this.#newReader();
    this.#whenReady = new Promise((resolve) => (this.#ready = resolve));
    const { layout, name } = options;
    const spec = {
      name: `${name} dataplane`,
      command: () => this.#command(),
      logPath: join(layout.directory, "dataplane.log"),
      pidPath: join(layout.directory, "dataplane.pid"),
    };
    this.#program = new Program(spec, {
      started: () => this.#begin(),
      output: (chunk) => this.#reader.push(chunk),
      ended: (how) => this.#end(how),
      gaveUp: options.gaveUp,
    });
  }

  start(): void {
    this.#program.start();
  }

  get run(): number | null {
    return this.#program.pid === null ? null : this.#instance;
  }

  get sections(): Promise<DataplaneSections> {
    const { dataplaneSocket: socket } = this.#options.layout;
    const addresses = { ipv4: loopback };
    return this.#whenReady.then((udpPort) => ({ node: { addresses, udpPort }, dataplane: { socket } }));
  }

  /** The UDP port of its first run, which it keeps. */
  get endpoint(): Promise<Endpoint> {
    return this.#whenReady.then((udpPort) => ({ address: loopback, udpPort }));
  }

  within<T>(run: () => T): T {
    return run();
  }

  reboot(): void {
    this.#program.kill();
  }

  async stop(graceMs: number): Promise<void> {
    await this.#program.stop(graceMs);
  }

  /** Sends as planned, now and after each restart. */
  send(plan: Omit<TrafficPlan, "instance">): void {
    this.#plan = plan;
    this.#tellPlan();
  }

  /**
   * Resolves when the last packet was sent and everything before it was told; at once when it is
   * down.
   */
  async stopTraffic(): Promise<void> {
    this.#plan = null;
    const stopped = await this.#ask({ kind: "stop-traffic" }, "stopped");
    if (stopped?.kind === "stopped") {
      this.#options.ledger.closeRun(this.#instance, stopped.atMs, false);
    }
  }

  /** Null when it is down. */
  async counters(): Promise<XfrmCounters | null> {
    const answer = await this.#ask({ kind: "read-counters" }, "counters");
    return answer?.kind === "counters" ? answer.counters : null;
  }

  #command(): readonly string[] {
    const { spindle, layout } = this.#options;
    const place = ["--socket", layout.dataplaneSocket, "--port", `${this.#port}`];
    return [...spindle, "dataplane", ...place];
  }

  #begin(): void {
    const { node, ledger, newInstance } = this.#options;
    this.#instance = newInstance();
    this.#toldUpToMs = systemClock.nowMs();
    this.#reader = this.#newReader();
    if (this.#lastOutage !== null) this.#lastOutage.nextInstance = this.#instance;
    ledger.open({ node, instance: this.#instance });
  }

  #newReader(): JournalReader {
    const { ledger } = this.#options;
    return new JournalReader({
      sent: (record) => ledger.sent(this.#instance, record),
      received: (record) => ledger.received(this.#instance, record),
      dropped: (record) => ledger.dropped(this.#instance, record),
      event: (event) => this.#see(event),
      toldUpTo: (atMs) => {
        this.#toldUpToMs = atMs;
        ledger.toldUpTo(this.#instance, atMs);
      },
    });
  }

  #see(event: JournalEvent): void {
    switch (event.kind) {
      case "ready":
        this.#port = event.port;
        this.#isListening = true;
        this.#ready(event.port);
        this.#tellPlan();
        return;
      case "opened": {
        const stream = this.#options.ledger.stream(this.#instance, event.receiver);
        if (stream !== undefined) stream.openedMs = event.atMs;
        this.#options.opened(event.receiver);
        return;
      }
      case "stopped":
      case "counters":
        this.#answer?.(event);
        return;
    }
  }

  #tellPlan(): void {
    if (this.#plan === null || !this.#isListening) return;
    this.#tell({ kind: "traffic", plan: { ...this.#plan, instance: this.#instance } });
  }

  #tell(command: HostCommand): void {
    this.#program.tell(JSON.stringify(command));
  }

  /** Null when the program ends before it answers, or does not answer in time. */
  async #ask(command: HostCommand, kind: JournalEvent["kind"]): Promise<JournalEvent | null> {
    if (!this.#isListening) return null;
    const answer = new Promise<JournalEvent | null>((resolve) => {
      this.#answer = (event) => {
        if (event.kind === kind) resolve(event);
      };
      this.#abandon = () => resolve(null);
      setTimeout(resolve, answerMsMax, null).unref();
    });
    this.#tell(command);
    return answer;
  }

  #end(how: ProgramEnd): void {
    const { node, ledger } = this.#options;
    this.#isListening = false;
    ledger.closeRun(this.#instance, this.#toldUpToMs, !how.wanted);
    this.#abandon();
    if (!how.wanted) {
      const fromMs = this.#toldUpToMs;
      const instance = this.#instance;
      this.#lastOutage = { node, instance, fromMs, admittedMs: null, nextInstance: null };
      this.#options.outage(this.#lastOutage);
    }
    this.#options.ended(how);
  }
}
