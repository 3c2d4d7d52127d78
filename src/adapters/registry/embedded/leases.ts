/**
 * Leases of nodes and the leadership, in memory and on the monotonic clock of this process. After a
 * restart leases are unknown, which is not the same as ended: nothing is listed until it is
 * renewed, and who reads them waits (design 4.3, exclude-after-outage). The leadership of before is
 * honoured for one more term.
 */
import { randomInt } from "node:crypto";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import type { KvCandidate, KvLease } from "../kv.js";
import type { LastLeader } from "./store.js";

interface Lease {
  readonly holder: string;
  readonly beat: number;
  readonly untilMs: number;
}

export class Leases {
  readonly #leases = new Map<string, Lease>();
  /** Starts anywhere, so that no beat from before a restart is taken for a present one. */
  #beat = randomInt(2 ** 47);

  /** @throws PortError REGISTRY_BUSY beyond the limit */
  renew(name: string, holder: string, leaseMs: number, nowMs: number): void {
    if (this.#leases.size >= limits.registryLeasesMax) this.#dropEnded(nowMs);
    if (this.#leases.size >= limits.registryLeasesMax && !this.#leases.has(name)) {
      throw new PortError("REGISTRY_BUSY", "the registry holds too many leases", true);
    }
    this.#beat += 1;
    this.#leases.set(name, { holder, beat: this.#beat, untilMs: nowMs + leaseMs });
  }

  list(nowMs: number): readonly KvLease[] {
    this.#dropEnded(nowMs);
    return [...this.#leases].map(([name, { holder, beat }]) => ({ name, holder, beat }));
  }

  #dropEnded(nowMs: number): void {
    for (const [name, lease] of this.#leases) if (nowMs >= lease.untilMs) this.#leases.delete(name);
  }
}

/** Who leads. `session` is null for a leader from before a restart, who is known by name only. */
export interface Leadership {
  readonly name: string;
  readonly session: string | null;
  readonly leaseMs: number;
  readonly untilMs: number;
}

export function afterRestart(last: LastLeader | null, nowMs: number): Leadership | null {
  return last === null ? null : { ...last, session: null, untilMs: nowMs + last.leaseMs };
}

/** The leadership that this bid takes or renews; null when another has it. */
export function bid(
  present: Leadership | null,
  candidate: KvCandidate,
  leaseMs: number,
  nowMs: number,
): Leadership | null {
  if (present !== null && nowMs < present.untilMs && !holds(present, candidate)) return null;
  return { ...candidate, leaseMs, untilMs: nowMs + leaseMs };
}

export function holds(present: Leadership, candidate: KvCandidate): boolean {
  if (present.session === null) return present.name === candidate.name;
  return present.session === candidate.session;
}
