/**
 * A kernel's SAD and SPD in virtual time, with the packet path and its drop reasons. Operations take time, the state
 * outlives the agent, and a reboot loses it. It knows keys by `KeyRef`: two SAs decrypt each other's packets when their
 * references are equal.
 */
import type { AddressFamily } from "../../core/node.js";
import {
  policySlotKey,
  policySlotOf,
  sameKeyRef,
  saSlotKey,
  saSlotOf,
  type Endpoint,
  type Operation,
  type PolicySpec,
  type PolicyView,
  type SaSlot,
  type SaSpec,
  type SaView,
} from "../../core/sa.js";
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

/** An SA in the kernel. Only packets change it. */
export interface SimSa {
  readonly spec: SaSpec;
  packets: number;
  /** Inbound: the outbound SA whose sequence numbers its anti-replay window has followed so far. */
  follows: SimSa | null;
}

export class SimKernel {
  readonly #time: VirtualTime;
  readonly #operationMs: () => number;
  readonly #sas = new Map<string, SimSa>();
  readonly #policies = new Map<string, PolicySpec>();
  readonly #watchers = new Set<(reason: "connected" | "disconnected" | "foreign-change") => void>();
  readonly #tampered = new Set<string>();
  readonly #selectedOutbound = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  readonly counters = new Map<XfrmCounterName, number>();
  /** Every (key, SPI) that was installed outbound again after a policy had selected it: S4 says none. */
  readonly reusedOutbound: string[] = [];
  /** Changes whenever the path of any packet may have changed. */
  version = 0;
  /** Decides for each operation whether it fails, as for want of memory. */
  fails: () => boolean = () => false;
  /** Slots (`saSlotKey`) where another program has an SA. */
  readonly foreignSlots = new Set<string>();
  /** What this node gets of its CPU: operations take as much longer as it is below 1. */
  cpuShare = 1;
  #instance = 0;
  #boot = 0;
  #busyUntilMs = 0;
  #isHeld = false;

  constructor(time: VirtualTime, operationMs: () => number) {
    this.#time = time;
    this.#operationMs = operationMs;
  }

  get identity(): DataplaneIdentity {
    return { bootId: `boot-${this.#boot}`, networkNamespace: "net", instance: `instance-${this.#instance}` };
  }

  /** The port that one agent process holds; a dead agent's port calls nobody back. */
  port(isAlive: () => boolean): KernelPort {
    return {
      apply: (stages, recognise, done) => {
        this.#later(stages.flat().length, isAlive, done, () => this.#apply(stages, recognise));
      },
      dump: (recognise, done) => {
        this.#later(1, isAlive, done, () => this.#dump(recognise));
      },
      watch: (changed) => {
        this.#watchers.add(changed);
        this.#time.at(this.#time.nowMs, () => isAlive() && changed("connected"));
        return () => this.#watchers.delete(changed);
      },
    };
  }

  /** Loses all state; with `isHost` the machine booted, and not its dataplane alone. */
  reboot(isHost = false): void {
    this.#sas.clear();
    this.#policies.clear();
    this.#tampered.clear();
    this.#instance += 1;
    this.#boot += isHost ? 1 : 0;
    this.version += 1;
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

  /**
   * The outbound half of the packet path: the SA that encrypts, or the counter of what keeps the packet. An SA of
   * another source address does not match; what no policy matches is blocked. Plain packets are not modelled: where a
   * policy lets them pass, they count as blocked.
   */
  route({ local, remote }: { readonly local: Endpoint; readonly remote: Endpoint }): SimSa | XfrmCounterName {
    const policy = this.#policies.get(policySlotKey({ direction: "out", family: familyOf(remote), remote }));
    if (policy === undefined || policy.action.kind !== "protect") return "XfrmOutPolBlock";
    const sa = this.#sas.get(saSlotKey({ direction: "out", spi: policy.action.spi, remote }));
    if (sa === undefined) return "XfrmOutNoStates";
    return sa.spec.source.address === local.address ? sa : "XfrmOutPolBlock";
  }

  /**
   * The inbound half: the SA that decrypts a packet of `sent`, or the counter of what drops it. A sender that began the
   * same SA anew counts from 1, far behind the window: with ESN its packets fail authentication (RFC 4303, A2.2), and a
   * counter of weeks is not caught up with (cilium #39720).
   */
  accept(sent: SimSa, remote: Endpoint): SimSa | XfrmCounterName {
    const { spi, key } = sent.spec;
    const sa = this.#sas.get(saSlotKey({ direction: "in", spi, remote }));
    if (sa === undefined) return "XfrmInNoStates";
    if (!sameKeyRef(sa.spec.key, key)) return "XfrmInStateProtoError";
    if (sa.follows !== null && sa.follows !== sent) return "XfrmInStateProtoError";
    const slot = { direction: "in", family: familyOf(remote), remote } as const;
    return this.#policies.has(policySlotKey(slot)) ? sa : "XfrmInNoPols";
  }

  has(slot: SaSlot): boolean {
    return this.#sas.has(saSlotKey(slot));
  }

  sizes(): { readonly sas: number; readonly policies: number } {
    return { sas: this.#sas.size, policies: this.#policies.size };
  }

  /** SAs as they are, for the checkers. */
  *slots(): IterableIterator<SaSlot> {
    for (const sa of this.#sas.values()) yield saSlotOf(sa.spec);
  }

  *policies(): IterableIterator<PolicySpec> {
    yield* this.#policies.values();
  }

  /** Someone else deletes one of our SAs. */
  deleteBehindItsBack(slot: SaSlot): void {
    if (!this.#sas.delete(saSlotKey(slot))) return;
    this.#tampered.add(saSlotKey(slot));
    this.version += 1;
    for (const changed of this.#watchers) changed("foreign-change");
  }

  /** Is the SA of this slot missing because someone else deleted it? */
  isTampered(slot: SaSlot): boolean {
    return this.#tampered.has(saSlotKey(slot));
  }

  count(name: XfrmCounterName): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
  }

  /** Requests of one kernel take their time one after the other. */
  #later<T>(operations: number, isAlive: () => boolean, done: Done<T>, run: () => T): void {
    let tookMs = 0;
    for (let i = 0; i < operations; i += 1) tookMs += this.#operationMs();
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.nowMs) + tookMs / this.cpuShare;
    const instance = this.#instance;
    const answer = (): void => {
      if (!isAlive()) return;
      if (instance === this.#instance) done(succeed(run()));
      else done(fail({ code: "DATAPLANE_UNREACHABLE", message: "rebooted meanwhile", retryable: true }));
    };
    this.#time.at(this.#busyUntilMs, () => {
      if (this.#isHeld) this.#waiting.push(answer);
      else answer();
    });
  }

  #apply(stages: readonly (readonly Operation[])[], recognise: Recognise): ApplyOutcome {
    const failed: FailedOperation[] = [];
    this.version += 1;
    for (const stage of stages) {
      for (const operation of stage) {
        const code = this.#run(operation);
        if (code !== null) failed.push({ operation, code, message: "simulated" });
      }
      if (failed.length > 0) break;
    }
    const touched = stages.flat();
    const sas = touched.map((operation) => this.#saOf(operation)).filter((sa) => sa !== undefined);
    const policies = touched.map((operation) => this.#policyOf(operation)).filter((policy) => policy !== undefined);
    return {
      sas: [...new Set(sas)].map((sa) => viewOf(sa, recognise)),
      policies: [...new Set(policies)].map(viewOfPolicy),
      failed,
    };
  }

  #run(operation: Operation): string | null {
    if (this.fails()) return "ENOBUFS";
    switch (operation.kind) {
      case "install-sa":
        return this.#install(operation.sa);
      case "delete-sa":
        this.#sas.delete(saSlotKey(operation.slot));
        return null;
      case "set-policy":
        this.#select(operation.policy);
        this.#policies.set(policySlotKey(policySlotOf(operation.policy)), operation.policy);
        return null;
      case "delete-policy":
        this.#policies.delete(policySlotKey(operation.policy));
        return null;
    }
  }

  #install(spec: SaSpec): string | null {
    const slot = saSlotKey(saSlotOf(spec));
    if (this.foreignSlots.has(slot)) return slotForeign;
    const before = this.#sas.get(slot);
    if (before !== undefined) return sameKeyRef(before.spec.key, spec.key) ? null : "EEXIST";
    this.#sas.set(slot, { spec, packets: 0, follows: null });
    this.#tampered.delete(slot);
    if (spec.direction === "out") this.#checkFresh(spec);
    return null;
  }

  #checkFresh(spec: SaSpec): void {
    const pair = counterOf(spec);
    if (this.#selectedOutbound.has(pair)) this.reusedOutbound.push(pair);
  }

  /** From now on packets may count with this SA. */
  #select({ action, remote }: PolicySpec): void {
    if (action.kind !== "protect") return;
    const sa = this.#sas.get(saSlotKey({ direction: "out", spi: action.spi, remote }));
    if (sa !== undefined) this.#selectedOutbound.add(counterOf(sa.spec));
  }

  #saOf(operation: Operation): SimSa | undefined {
    if (operation.kind === "install-sa") return this.#sas.get(saSlotKey(saSlotOf(operation.sa)));
    return operation.kind === "delete-sa" ? this.#sas.get(saSlotKey(operation.slot)) : undefined;
  }

  #policyOf(operation: Operation): PolicySpec | undefined {
    if (operation.kind === "set-policy") return this.#policies.get(policySlotKey(policySlotOf(operation.policy)));
    return operation.kind === "delete-policy" ? this.#policies.get(policySlotKey(operation.policy)) : undefined;
  }

  #dump(recognise: Recognise): KernelDump {
    return {
      identity: this.identity,
      sas: [...this.#sas.values()].map((sa) => viewOf(sa, recognise)),
      policies: [...this.#policies.values()].map(viewOfPolicy),
      counters: Object.fromEntries(this.counters),
    };
  }
}

function viewOf(sa: SimSa, recognise: Recognise): SaView {
  const slot = saSlotOf(sa.spec);
  const { key } = sa.spec;
  const { packets } = sa;
  const recognised = recognise(slot);
  const isRight = sameKeyRef(recognised, key);
  return { slot, key: isRight ? key : recognised, bytes: isRight ? "match" : "mismatch", packets, sequence: packets };
}

/** What a packet counter belongs to. */
function counterOf({ key, spi }: SaSpec): string {
  return JSON.stringify([key, spi]);
}

function familyOf(remote: Endpoint): AddressFamily {
  return remote.address.includes(":") ? "ipv6" : "ipv4";
}

function viewOfPolicy(policy: PolicySpec): PolicyView {
  return { slot: policySlotOf(policy), action: policy.action };
}
