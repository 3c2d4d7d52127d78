/**
 * The decisions of one agent that hold for all peers: which keys to hold, which may be taken up for sending, and what
 * proves that a pair is covered (design 4.3). Two sources of evidence make it, barrier.ts and pairwise.ts; everything
 * after it is one machine.
 */
import { sameKey, type KeyIdentity } from "../key-id.js";
import { sameEntry, type RosterEntry } from "../node.js";
import { isEvidence, type Report } from "../report.js";
import type { PolicyLevel } from "../policy-level.js";
import type { SampleRate } from "./proof.js";
import { throughOf, type FleetRecord } from "../fleet/record.js";

export interface Context {
  /** Our own entry, admitted in our present incarnation. */
  readonly self: RosterEntry;
  readonly current: KeyIdentity | null;
  readonly next: KeyIdentity | null;
  /** Keys whose SAs may exist, oldest first. What is not here goes. */
  readonly hold: readonly KeyIdentity[];
  /** Those of `hold` that may be installed where missing. */
  readonly installable: readonly KeyIdentity[];
  /** Keys that may be taken up towards a covered peer, best first. What is already in use may go on. */
  readonly candidates: readonly KeyIdentity[];
  /** Our word, given: never sent with. */
  readonly refused: readonly KeyIdentity[];
  readonly evidence: EvidenceSource;
  /** False while the listing is incomplete or would delete too much. */
  readonly mayDelete: boolean;
  readonly level: PolicyLevel;
  /** At `prefer`, with `require` to come: no pair begins to be plain any more. */
  readonly isClosing: boolean;
  /** `current` is compromised: nothing stays on it for want of a proof. */
  readonly isEmergency: boolean;
  /** How many peers are switched only after a probe was answered. */
  readonly sampleRate: SampleRate;
}

export type EvidenceSource =
  | { readonly kind: "barrier"; readonly version: number; readonly record: FleetRecord }
  | { readonly kind: "pairwise" };

/** What a source of evidence says about the whole fleet. */
export interface Directive {
  readonly current: KeyIdentity | null;
  readonly next: KeyIdentity | null;
  readonly hold: readonly KeyIdentity[];
  readonly installable: readonly KeyIdentity[];
  readonly candidates: readonly KeyIdentity[];
  readonly refused: readonly KeyIdentity[];
  readonly evidence: EvidenceSource;
  /** Every counted peer sends only with `next`. */
  readonly drainAllowed: boolean;
  /** Nobody is left out, so a drained key may go before the deadline. */
  readonly retireEarly: boolean;
  readonly aborting: boolean;
  /** `current` is compromised: no jitter, and the deadline runs from the first sight of the rotation. */
  readonly emergency: boolean;
  readonly drainMs: number;
  readonly retireMs: number;
}

/** A pair is covered for `key` when both ends hold what the other needs. */
export function isCovered(context: Context, peer: RosterEntry, report: Report | undefined, key: KeyIdentity): boolean {
  const source = context.evidence;
  if (source.kind === "pairwise") {
    return isEvidence(report, peer, key) && report !== undefined && reaches(report, context, peer);
  }
  const mark = throughOf(source.record, key);
  if (mark === null) return false;
  const newest = Math.max(context.self.revision, peer.revision);
  return newest <= mark && isCounted(context, context.self) && isCounted(context, peer);
}

/**
 * Does the report speak of both ends as they are? Of ours it must know; its own may have changed in the same life, by a
 * network more, for which it did not take packets when it said so.
 */
export function reaches(report: Report, { self }: Pick<Context, "self">, peer: RosterEntry): boolean {
  if (report.through < self.revision) return false;
  return peer.addresses.cidrs === undefined || report.through >= peer.revision;
}

/** An excluded node does not count until it has restaged; a new incarnation of it is a new node. */
export function isCounted(context: Context, entry: RosterEntry): boolean {
  if (context.evidence.kind === "pairwise") return true;
  const { excluded } = context.evidence.record;
  return excluded.length === 0 || !excluded.some((one) => one.name === entry.name);
}

/** Do both give every peer the same facts? */
export function sameContext(one: Context | null, other: Context | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  return (
    sameEntry(one.self, other.self) &&
    sameKey(one.current, other.current) &&
    sameKey(one.next, other.next) &&
    sameKeys(one.hold, other.hold) &&
    sameKeys(one.installable, other.installable) &&
    sameKeys(one.candidates, other.candidates) &&
    sameKeys(one.refused, other.refused) &&
    sameSource(one, other) &&
    one.mayDelete === other.mayDelete &&
    one.level === other.level &&
    one.isClosing === other.isClosing &&
    one.isEmergency === other.isEmergency &&
    one.sampleRate === other.sampleRate
  );
}

function sameKeys(one: readonly KeyIdentity[], other: readonly KeyIdentity[]): boolean {
  return one === other || (one.length === other.length && one.every((key, i) => sameKey(key, other[i] ?? null)));
}

/** What `isCovered` and `isCounted` read. A record that differs elsewhere changes no peer's facts. */
function sameSource(one: Context, other: Context): boolean {
  const [mine, others] = [one.evidence, other.evidence];
  if (mine.kind === "pairwise" || others.kind === "pairwise") return mine.kind === others.kind;
  if (mine.record === others.record) return true;
  return (
    one.candidates.every((key) => throughOf(mine.record, key) === throughOf(others.record, key)) &&
    sameNames(mine.record.excluded, others.record.excluded)
  );
}

function sameNames(one: FleetRecord["excluded"], other: FleetRecord["excluded"]): boolean {
  return one.length === other.length && one.every(({ name }, i) => name === other[i]?.name);
}
