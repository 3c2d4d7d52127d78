/**
 * A node's report, and what counts as evidence in it (design 4.2). Evidence is membership in `holds` with our check
 * value, in the incarnation that the roster names, and never an order between key ids.
 */
import { includesKey, type KeyId, type KeyIdentity } from "./key-id.js";
import type { IncarnationId, NodeName, RosterEntry, RosterRevision } from "./node.js";
import type { PolicyLevel } from "./policy-level.js";

export interface Report {
  readonly schemaVersion: 1;
  readonly node: NodeName;
  readonly incarnationId: IncarnationId;
  /** Keys the node's file offers, in file order: the last is the newest. */
  readonly available: readonly KeyIdentity[];
  /** Keys whose inbound SAs, read back, exist for every roster entry up to `through`. */
  readonly holds: readonly KeyIdentity[];
  /** Oldest and newest key the node sends with to any counted peer; null while it sends to none. */
  readonly sendingOldest: KeyId | null;
  readonly sendingNewest: KeyId | null;
  /** Keys the node has given its word never to send with in this turn of the ring. */
  readonly refused: readonly KeyIdentity[];
  /** Barrier: the fleet record's `exclusionEpoch` that this report was made with; 0 in pairwise. */
  readonly exclusionEpoch: number;
  /** How long the last staging took here, whole milliseconds; null before the first. */
  readonly stagingMs: number | null;
  /** Additions and removals of the roster are applied up to here. */
  readonly through: RosterRevision;
  /** The key a jitter wait is for; such a node is no straggler. */
  readonly waitingFor: KeyIdentity | null;
  /** The whole length of that wait in milliseconds, null when it does not wait. */
  readonly waitingMs: number | null;
  /** The last key this node retired, and how. */
  readonly retired: RetiredKey | null;
  /**
   * Barrier, once the fleet record has `levels`: absent before that, and while something is left to do on a policy.
   * Of the record that `exclusionEpoch` names.
   */
  readonly level?: ReportedLevel | undefined;
  /** Absent while no probe has failed, and in reports of earlier versions. */
  readonly unproven?: UnprovenPeers | undefined;
}

export interface ReportedLevel {
  readonly applied: PolicyLevel;
  /** Packets to some counted peer go plain, and `require` is wanted. */
  readonly sendsPlain: boolean;
}

/** Peers that the node keeps on the old key, or plain, because no probe with the new one was answered. */
export interface UnprovenPeers {
  readonly count: number;
  /** One of them, and why. */
  readonly peer: NodeName;
  readonly why: string;
}

export interface RetiredKey {
  readonly key: KeyIdentity;
  /** Deleted at the deadline, without evidence that nobody sends with it. */
  readonly forced: boolean;
  /** XFRM errors this node counted from the first sight of the rotation to the retirement. */
  readonly errors: number;
}

/** Is `report` proof that `entry`'s node can receive `key`? */
export function isEvidence(report: Report | undefined, entry: RosterEntry, key: KeyIdentity): boolean {
  return (
    report !== undefined &&
    report.incarnationId === entry.incarnationId &&
    includesKey(report.holds, key) &&
    !includesKey(report.refused, key)
  );
}
