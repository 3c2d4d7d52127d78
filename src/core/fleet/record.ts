/**
 * The fleet record: the one object that all agents watch in barrier coordination, written by the controller alone and
 * only by compare-and-set. The rotation record is the audit trail that stays behind.
 */
import { sameKey, type KeyId, type KeyIdentity } from "../key-id.js";
import type { IncarnationId, NodeName, RosterRevision } from "../node.js";
import type { PolicyLevel } from "../policy-level.js";

/**
 * - steady: everyone sends with `current`.
 * - staging: agents install inbound SAs of `target`; nobody may send with it. The target may still change.
 * - staged: the first barrier is passed, `through` covers the target, agents switch. Abort is possible.
 * - draining: the second barrier is passed, every counted node sends only with the target; agents retire `current`.
 * - aborting: agents go back to `current` and refuse the target; with `purge` they delete it.
 */
export type FleetPhase = "steady" | "staging" | "staged" | "draining" | "aborting";

/** Every counted entry of revision up to `revision` holds inbound SAs of `key` from every other such entry. */
export interface ThroughMark {
  readonly key: KeyIdentity;
  readonly revision: RosterRevision;
}

/** A silent node that no longer counts, until it has restaged. */
export interface ExcludedNode {
  readonly name: NodeName;
  readonly incarnationId: IncarnationId;
}

export interface FleetRecord {
  readonly schemaVersion: 1;
  /** Counts rotations; a rotation keeps its number until it ends. */
  readonly rotation: number;
  readonly phase: FleetPhase;
  readonly current: KeyIdentity | null;
  readonly target: KeyIdentity | null;
  readonly through: readonly ThroughMark[];
  readonly excluded: readonly ExcludedNode[];
  /**
   * Raised whenever an excluded node counts again and whenever `levels` changes what agents do. A report answers a barrier
   * only when it was made knowing it.
   */
  readonly exclusionEpoch: number;
  /** At the second barrier somebody was excluded and may send with the old key still: it goes at the deadline only. */
  readonly leftBehind: boolean;
  /** Aborted keys of this turn of the ring. */
  readonly refused: readonly KeyIdentity[];
  /** Skip jitter; the current key is compromised and goes at the deadline. */
  readonly emergency: boolean;
  /** The second barrier of an abort: every counted node refused the target, so it may be deleted. */
  readonly purge: boolean;
  /** Durations that each agent counts from its own first sight of the rotation (emergency) or of `draining`. */
  readonly retireMs: number;
  readonly drainMs: number;
  /** The controller's answer to the last operator request. */
  readonly answer: RequestAnswer | null;
  /** Absent until an operator first asks for a level: each agent goes by its own configuration. */
  readonly levels?: FleetLevels | undefined;
  /** The rotation that waits for a key which the controller makes, and then who asked for the one that runs. Absent for others. */
  readonly awaited?: AwaitedRotation | undefined;
}

/** A rotation that is to begin and has no key yet (next-key.ts). */
export interface AwaitedRotation {
  /** Who asked, when (wall clock, ISO 8601, only shown) and why. */
  readonly by: string;
  readonly at: string;
  readonly reason: string;
  /** Nobody asked: it was due. */
  readonly scheduled: boolean;
  /** The key that leaked, where that is why. */
  readonly compromised: KeyIdentity | null;
  /** Of its key, once that is where the nodes read it: none other is made for it. */
  readonly keyId: KeyId | null;
  /** Why the key could not be written; null while nothing is known to be wrong. */
  readonly problem: KeyProblem | null;
}

export interface KeyProblem {
  readonly code: string;
  readonly why: string;
}

export const newFleet: FleetRecord = {
  schemaVersion: 1,
  rotation: 0,
  phase: "steady",
  current: null,
  target: null,
  through: [],
  excluded: [],
  exclusionEpoch: 0,
  leftBehind: false,
  refused: [],
  emergency: false,
  purge: false,
  retireMs: 0,
  drainMs: 0,
  answer: null,
};

/** How strict the fleet is with plain packets, and where it moves to, one level at a time. */
export interface FleetLevels {
  /** That agents apply; null while they are asked which one their configurations set. */
  readonly level: PolicyLevel | null;
  readonly wanted: PolicyLevel;
  /** Every counted node has applied `level`, knowing what is wanted. */
  readonly applied: boolean;
  /** In use when the fleet went to `off`: the way up begins with this one or a newer one. Older ones are retired everywhere. */
  readonly lastKey?: KeyIdentity | undefined;
  /** Who asked for `wanted`, when (wall clock, ISO 8601, only shown) and why. */
  readonly asked: { readonly by: string; readonly at: string; readonly reason: string };
}

export interface RequestAnswer {
  readonly requestId: string;
  readonly accepted: boolean;
  readonly why: string;
  /** Condition code of a refusal that callers must tell from others: `PREFLIGHT_REFUSED`. */
  readonly code?: string | undefined;
}

export function throughOf(record: FleetRecord, key: KeyIdentity): RosterRevision | null {
  return record.through.find((mark) => sameKey(mark.key, key))?.revision ?? null;
}

/** Everybody has applied `require`, and it is to stay: from here on nothing goes plain. */
export function isClosed({ levels }: FleetRecord): boolean {
  return levels?.level === "require" && levels.wanted === "require" && levels.applied;
}

/** What an operator asks for; the controller (barrier) or every agent (pairwise) acts on it. */
export interface OperatorRequest {
  readonly schemaVersion: 1;
  readonly id: string;
  readonly kind: "rotate" | "abort" | "level";
  readonly reason: string;
  readonly by: string;
  /** Wall clock, ISO 8601, only shown. */
  readonly at: string;
  /** rotate: the fleet's current key leaked. */
  readonly compromised: KeyIdentity | null;
  /** abort: the key that must not come into use. */
  readonly abort: KeyIdentity | null;
  /** level: where the fleet is to move to. */
  readonly level?: PolicyLevel | undefined;
}

export interface StragglerNote {
  readonly name: NodeName;
  readonly kind: "slow" | "silent" | "excluded";
  readonly why: string;
}

/** One rotation, kept as history. Wall-clock times are ISO 8601 and only shown. */
export interface RotationRecord {
  readonly schemaVersion: 1;
  readonly rotation: number;
  readonly from: KeyIdentity | null;
  readonly to: KeyIdentity;
  readonly reason: string;
  readonly by: string;
  readonly emergency: boolean;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly outcome: "running" | "done" | "aborted" | "replaced";
  readonly preflight: { readonly fits: boolean; readonly nodes: number; readonly estimateMs: number; readonly notes: readonly string[] };
  /** Milliseconds from the start to the moment each phase was entered. */
  readonly phases: readonly { readonly phase: FleetPhase; readonly at: string; readonly afterMs: number }[];
  readonly stragglers: readonly StragglerNote[];
  readonly forcedRetires: number;
  /** XFRM errors that the nodes counted during the rotation. */
  readonly errors: number;
}
