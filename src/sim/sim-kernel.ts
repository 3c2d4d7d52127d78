/**
 * A kernel's SAD and SPD in virtual time, with the packet path and its drop reasons. Operations take time, the state
 * outlives the agent, and a reboot loses it. It knows keys by `KeyRef`: two SAs decrypt each other's packets when their
 * references are equal.
 */
import type { NodeName } from "../core/node.js";
import {
  policySlotKey,
  policySlotOf,
  sameKeyRef,
  saSlotKey,
  saSlotOf,
  type Endpoint,
  type KeyRef,
  type Operation,
  type PolicySpec,
  type PolicyView,
  type SaSlot,
  type SaSpec,
  type SaView,
} from "../core/sa.js";
import type { Spi } from "../core/spi.js";
import type { XfrmCounterName } from "../core/xfrm-counters.js";
import type {
  ApplyOutcome,
  DataplaneIdentity,
  FailedOperation,
  KernelDump,
  KernelPort,
  Recognise,
} from "../ports/kernel.js";
import { fail, succeed } from "../core/result.js";
import type { Done } from "../ports/failure.js";
import type { VirtualTime } from "./virtual-time.js";

interface SimSa {
  readonly spec: SaSpec;
  packets: number;
}

/** One packet on the wire. */
export interface SimPacket {
  readonly from: NodeName;
  readonly to: NodeName;
  readonly spi: Spi;
  readonly key: KeyRef;
  readonly sentAtMs: number;
}

export class SimKernel {
  readonly #time: VirtualTime;
  readonly #operationMs: () => number;
  readonly #sas = new Map<string, SimSa>();
  readonly #policies = new Map<string, PolicySpec>();
  readonly #watchers = new Set<(reason: "connected" | "disconnected" | "foreign-change") => void>();
  readonly counters = new Map<XfrmCounterName, number>();
  /** Every (key, SPI) ever used outbound, for the checker of S4. */
  readonly installedOutbound: string[] = [];
  #instance = 0;
  #busyUntilMs = 0;

  constructor(time: VirtualTime, operationMs: () => number) {
    this.#time = time;
    this.#operationMs = operationMs;
  }

  get identity(): DataplaneIdentity {
    return { bootId: "boot", networkNamespace: "net", instance: `instance-${this.#instance}` };
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

  reboot(): void {
    this.#sas.clear();
    this.#policies.clear();
    this.#instance += 1;
    for (const changed of this.#watchers) changed("foreign-change");
  }

  /** The outbound half of the packet path: what leaves, or the counter of what kept it. */
  send(from: NodeName, to: NodeName, remote: Endpoint): SimPacket | XfrmCounterName {
    const family = remote.address.includes(":") ? "ipv6" : "ipv4";
    const policy = this.#policies.get(policySlotKey({ direction: "out", family, remote }));
    if (policy === undefined || policy.action.kind !== "protect") return this.#count("XfrmOutPolBlock");
    const sa = this.#sas.get(saSlotKey({ direction: "out", spi: policy.action.spi, remote }));
    if (sa === undefined) return this.#count("XfrmOutNoStates");
    sa.packets += 1;
    return { from, to, spi: sa.spec.spi, key: sa.spec.key, sentAtMs: this.#time.nowMs };
  }

  /** The inbound half: null when delivered. */
  receive(packet: SimPacket, remote: Endpoint): XfrmCounterName | null {
    const sa = this.#sas.get(saSlotKey({ direction: "in", spi: packet.spi, remote }));
    if (sa === undefined) return this.#count("XfrmInNoStates");
    if (!sameKeyRef(sa.spec.key, packet.key)) return this.#count("XfrmInStateProtoError");
    const family = remote.address.includes(":") ? "ipv6" : "ipv4";
    if (!this.#policies.has(policySlotKey({ direction: "in", family, remote }))) return this.#count("XfrmInNoPols");
    sa.packets += 1;
    return null;
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

  /** Someone else deletes one of our SAs. */
  deleteBehindItsBack(slot: SaSlot): void {
    this.#sas.delete(saSlotKey(slot));
    for (const changed of this.#watchers) changed("foreign-change");
  }

  #count(name: XfrmCounterName): XfrmCounterName {
    this.counters.set(name, (this.counters.get(name) ?? 0) + 1);
    return name;
  }

  /** Requests of one kernel take their time one after the other. */
  #later<T>(operations: number, isAlive: () => boolean, done: Done<T>, run: () => T): void {
    let tookMs = 0;
    for (let i = 0; i < operations; i += 1) tookMs += this.#operationMs();
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#time.nowMs) + tookMs;
    const instance = this.#instance;
    this.#time.at(this.#busyUntilMs, () => {
      if (!isAlive()) return;
      if (instance === this.#instance) done(succeed(run()));
      else done(fail({ code: "DATAPLANE_UNREACHABLE", message: "rebooted meanwhile", retryable: true }));
    });
  }

  #apply(stages: readonly (readonly Operation[])[], recognise: Recognise): ApplyOutcome {
    const failed: FailedOperation[] = [];
    for (const stage of stages) {
      for (const operation of stage) {
        const code = this.#run(operation);
        if (code !== null) failed.push({ operation, code, message: "the slot is taken by another key" });
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
    switch (operation.kind) {
      case "install-sa":
        return this.#install(operation.sa);
      case "delete-sa":
        this.#sas.delete(saSlotKey(operation.slot));
        return null;
      case "set-policy":
        this.#policies.set(policySlotKey(policySlotOf(operation.policy)), operation.policy);
        return null;
      case "delete-policy":
        this.#policies.delete(policySlotKey(operation.policy));
        return null;
    }
  }

  #install(spec: SaSpec): string | null {
    const slot = saSlotKey(saSlotOf(spec));
    const before = this.#sas.get(slot);
    if (before !== undefined) return sameKeyRef(before.spec.key, spec.key) ? null : "EEXIST";
    this.#sas.set(slot, { spec, packets: 0 });
    if (spec.direction === "out") this.installedOutbound.push(JSON.stringify([spec.key, spec.spi]));
    return null;
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
  const key = recognise(slot);
  const bytes = key !== null && sameKeyRef(key, sa.spec.key) ? "match" : "mismatch";
  return { slot, key, bytes, packets: sa.packets, sequence: sa.packets };
}

function viewOfPolicy(policy: PolicySpec): PolicyView {
  return { slot: policySlotOf(policy), action: policy.action };
}
