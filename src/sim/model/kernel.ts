/**
 * A kernel's SAD and SPD in virtual time, with the packet path and its drop reasons. Operations take time, the state
 * outlives the agent, and a reboot loses it. It knows keys by `KeyRef`: two SAs decrypt each other's packets when their
 * references are equal.
 */
import {
  operationSlotKey,
  policySlotOf,
  sameKeyRef,
  saSlotKey,
  saSlotOf,
  type Endpoint,
  type Operation,
  type PolicySpec,
  type PolicyView,
  type SaSlot,
  type SaView,
} from "../../core/sa.js";
import type { ProbeOutcome } from "../../core/probe.js";
import type { Spi } from "../../core/spi.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import {
  slotForeign,
  type ApplyOutcome,
  type DataplaneIdentity,
  type FailedOperation,
  type KernelDump,
  type KernelPort,
  type Recognise,
} from "../../ports/kernel.js";
import { fail, succeed } from "../../core/result.js";
import type { Done } from "../../ports/failure.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import type { Flow } from "./flow.js";
import { exchangeProbes } from "./probes.js";
import { deleteSa, placeOf, policyIn, saIn, SaTable, withCarried, type Place, type Remote, type SimSa } from "./sa-table.js";

/** Whose packets pass here: to be told before their counts are read, and after what they meet has changed. */
export interface PathWatcher {
  settle(remotes: Iterable<Remote>): void;
  changed(remotes: Iterable<Remote>): void;
  loseProbe(flow: Flow, sa: SimSa): void;
}

/** What it takes of a CPU, drawn anew each time. */
export interface KernelCosts {
  /** For each operation. */
  readonly operationMs: () => number;
  /** Once for each request, however many operations it has. */
  readonly requestMs: () => number;
}

export class SimKernel {
  readonly #time: VirtualTime;
  readonly #costs: KernelCosts;
  readonly #table = new SaTable();
  readonly #watchers = new Set<(reason: "connected" | "disconnected" | "foreign-change") => void>();
  readonly #tampered = new Set<string>();
  readonly #garbled = new Set<Spi>();
  readonly #waiting: (() => void)[] = [];
  readonly counters = new Map<XfrmCounterName, number>();
  /** The traffic, if there is any. */
  paths: PathWatcher | null = null;
  /** Decides for each operation whether it fails, as for want of memory. */
  fails: () => boolean = () => false;
  /** Slots (`saSlotKey`) where another program has an SA. */
  readonly foreignSlots = new Set<string>();
  /** What it was last told of the guard, which it does not have; null for nothing. */
  isGuarded: boolean | null = null;
  /** What this node gets of its CPU: operations take as much longer as it is below 1. */
  cpuShare = 1;
  #instance = 0;
  #boot = 0;
  #busyUntilMs = 0;
  #isHeld = false;

  constructor(time: VirtualTime, costs: KernelCosts) {
    this.#time = time;
    this.#costs = costs;
  }

  /** Every (key, SPI) that was installed outbound again after a policy had selected it: S4 says none. */
  get reusedOutbound(): readonly string[] {
    return this.#table.reused;
  }

  get identity(): DataplaneIdentity {
    return { bootId: `boot-${this.#boot}`, networkNamespace: "net", instance: `instance-${this.#instance}` };
  }

  /** The port that one agent process holds; a dead agent's port calls nobody back. */
  port(isAlive: () => boolean): KernelPort {
    return {
      apply: (stages, recognise, done) => {
        const operations = stages.reduce((sum, stage) => sum + stage.length, 0);
        this.#later(operations, isAlive, done, () => this.#apply(stages, recognise));
      },
      dump: (recognise, done) => {
        this.#later(1, isAlive, done, () => this.#dump(recognise));
      },
      probe: (probes, done) => {
        const scene = { time: this.#time, kernel: this, lost: (flow: Flow, sa: SimSa) => this.paths?.loseProbe(flow, sa) };
        const end = (outcomes: readonly ProbeOutcome[]): void => {
          if (isAlive()) done(succeed(outcomes));
        };
        const sent: Done<void> = (result) => void (result.ok || done(result));
        this.#later(probes.length, isAlive, sent, () => exchangeProbes(scene, probes, end));
      },
      setGuard: (isWanted) => {
        this.isGuarded = isWanted;
      },
      watch: (changed) => {
        this.#watchers.add(changed);
        this.#time.post(this.#time.nowMs, () => isAlive() && changed("connected"));
        return () => this.#watchers.delete(changed);
      },
    };
  }

  /** Loses all state; with `isHost` the machine booted, and not its dataplane alone. */
  reboot(isHost = false): void {
    const remotes = [...this.#table.remotes()];
    this.#table.clear();
    this.#tampered.clear();
    this.#instance += 1;
    this.#boot += isHost ? 1 : 0;
    this.paths?.changed(remotes);
    for (const changed of this.#watchers) changed("foreign-change");
  }

  /** Requests wait until `release`: a kernel without CPU (cilium #44335). */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const run of this.#waiting.splice(0)) run();
  }

  /** The record of this place, where traffic keeps its flows: a record that has one stays. */
  recordOf(place: Place): Remote {
    return this.#table.at(place);
  }

  /** Tunnel mode: packets between the networks of `inner` go through the SAs for this address. */
  carry(inner: Remote, address: Endpoint): void {
    this.#table.carry(inner, address);
  }

  /** To be called by who took a flow away from a record. */
  tidy(remote: Remote): void {
    this.#table.tidy(remote);
  }

  find(place: Place): Remote | undefined {
    return this.#table.find(place);
  }

  has(slot: SaSlot): boolean {
    const remote = this.#table.find(slot);
    return remote !== undefined && saIn(remote, slot) !== undefined;
  }

  sizes(): { readonly sas: number; readonly policies: number } {
    return { sas: [...this.slots()].length, policies: [...this.policies()].length };
  }

  /** SAs as they are, for the checkers. */
  *slots(): IterableIterator<SaSlot> {
    for (const remote of this.#table.remotes()) for (const { spec } of remote.sas) yield saSlotOf(spec);
  }

  *policies(): IterableIterator<PolicySpec> {
    for (const { policyIn: inbound, policyOut } of this.#table.remotes()) {
      if (inbound !== null) yield inbound;
      if (policyOut !== null) yield policyOut;
    }
  }

  /** Someone else deletes one of our SAs. */
  deleteBehindItsBack(slot: SaSlot): void {
    const remote = this.#table.find(slot);
    if (remote === undefined || saIn(remote, slot) === undefined) return;
    deleteSa(remote, slot);
    this.#tampered.add(saSlotKey(slot));
    this.paths?.changed(withCarried(remote));
    this.#table.tidy(remote);
    for (const changed of this.#watchers) changed("foreign-change");
  }

  /** Something on the way damages every packet that comes with this SPI; it fails authentication here. */
  garble(spi: Spi): void {
    this.#garbled.add(spi);
    this.paths?.changed(this.#table.remotes());
  }

  clearPaths(): void {
    this.#garbled.clear();
    this.paths?.changed(this.#table.remotes());
  }

  isGarbled(spi: Spi): boolean {
    return this.#garbled.size > 0 && this.#garbled.has(spi);
  }

  /** Is the SA of this slot missing because someone else deleted it? */
  isTampered(slot: SaSlot): boolean {
    return this.#tampered.has(saSlotKey(slot));
  }

  count(name: XfrmCounterName, packets: number): void {
    if (packets > 0) this.counters.set(name, (this.counters.get(name) ?? 0) + packets);
  }

  /** Requests of one kernel take their time one after the other. */
  #later<T>(operations: number, isAlive: () => boolean, done: Done<T>, run: () => T): void {
    let tookMs = this.#costs.requestMs();
    for (let i = 0; i < operations; i += 1) tookMs += this.#costs.operationMs();
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.nowMs) + tookMs / this.cpuShare;
    const instance = this.#instance;
    const answer = (): void => {
      if (!isAlive()) return;
      if (instance === this.#instance) done(succeed(run()));
      else done(fail({ code: "DATAPLANE_UNREACHABLE", message: "rebooted meanwhile", retryable: true }));
    };
    this.#time.post(this.#busyUntilMs, () => {
      if (this.#isHeld) this.#waiting.push(answer);
      else answer();
    });
  }

  #apply(stages: readonly (readonly Operation[])[], recognise: Recognise): ApplyOutcome {
    const operations = stages.flat();
    const records = operations.map((operation) => this.#table.at(placeOf(operation)));
    const remotes = new Set<Remote>();
    for (const record of records) {
      if (record.carries.length === 0) remotes.add(record);
      else for (const remote of withCarried(record)) remotes.add(remote);
    }
    const failed = this.#run(stages, records);
    const outcome = { ...this.#readBack(operations, records, recognise), failed };
    this.paths?.changed(remotes);
    for (const remote of remotes) this.#table.tidy(remote);
    return outcome;
  }

  /**
   * A stage after one that failed does not run.
   * @param records of the operations of all stages
   */
  #run(stages: readonly (readonly Operation[])[], records: readonly Remote[]): readonly FailedOperation[] {
    const failed: FailedOperation[] = [];
    let at = 0;
    for (const stage of stages) {
      for (const operation of stage) {
        const code = this.#runOne(operation, records[at++] as Remote);
        if (code !== null) failed.push({ operation, code, message: "simulated" });
      }
      if (failed.length > 0) break;
    }
    return failed;
  }

  #runOne(operation: Operation, remote: Remote): string | null {
    if (this.fails()) return "ENOBUFS";
    if (operation.kind === "install-sa" && this.#isForeign(operation)) return slotForeign;
    const code = this.#table.run(remote, operation);
    const isRepair = this.#tampered.size > 0 && operation.kind === "install-sa" && code === null;
    if (isRepair) this.#tampered.delete(operationSlotKey(operation));
    return code;
  }

  #isForeign(operation: Operation): boolean {
    return this.foreignSlots.size > 0 && this.foreignSlots.has(operationSlotKey(operation));
  }

  /** What is there now of all that the operations name. */
  #readBack(operations: readonly Operation[], records: readonly Remote[], recognise: Recognise): Pick<ApplyOutcome, "sas" | "policies"> {
    const sas = new Set<SimSa>();
    const policies = new Set<PolicySpec>();
    for (const [at, operation] of operations.entries()) {
      const remote = records[at] as Remote;
      if (operation.kind === "install-sa" || operation.kind === "delete-sa") {
        const sa = saIn(remote, operation.kind === "install-sa" ? operation.sa : operation.slot);
        if (sa === undefined) continue;
        sas.add(sa);
        this.paths?.settle(withCarried(remote).filter((one) => isInUse(one, sa)));
      } else {
        const policy = policyIn(remote, operation.policy);
        if (policy !== null) policies.add(policy);
      }
    }
    return { sas: Array.from(sas, (sa) => viewOf(sa, recognise)), policies: Array.from(policies, viewOfPolicy) };
  }

  #dump(recognise: Recognise): KernelDump {
    const remotes = [...this.#table.remotes()];
    this.paths?.settle(remotes);
    return {
      identity: this.identity,
      sas: remotes.flatMap(({ sas }) => sas.map((sa) => viewOf(sa, recognise))),
      policies: Array.from(this.policies(), viewOfPolicy),
      counters: Object.fromEntries(this.counters),
    };
  }
}

/** Do packets count with it at this moment? */
function isInUse({ flowTo, flowFrom }: Remote, sa: SimSa): boolean {
  return flowTo?.out === sa || flowFrom?.verdict === sa;
}

function viewOf({ spec, packets }: SimSa, recognise: Recognise): SaView {
  const { key } = spec;
  const slot = saSlotOf(spec);
  const recognised = recognise(slot);
  const isRight = sameKeyRef(recognised, key);
  return { slot, key: isRight ? key : recognised, bytes: isRight ? "match" : "mismatch", packets, sequence: packets };
}

function viewOfPolicy(policy: PolicySpec): PolicyView {
  return { slot: policySlotOf(policy), action: policy.action };
}
