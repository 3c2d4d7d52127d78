/**
 * Allots what an SPI is made of: an index (20 bits) per node and a number (4 bits) per incarnation
 * of that node.
 *
 * Invariant: two live entries never share an index, and a value is given out again only when no
 * live node can hold an SA of its last owner under a key in use. Fresh values come first; a used
 * one is free again when every other entry
 * (a) reported in its present incarnation a `through` beyond the change that released the value, or
 * (b) neither held, offered nor refused, in its last report, any key in use: the SPI names the key
 *     id, so what that node may still hold has other SPIs. This is how the next rotation frees
 *     numbers that a silent node blocks.
 * (b) needs the fleet record to say what is in use; without one (pairwise) only (a) counts. An
 *     entry without a report proves nothing and blocks. The oldest release is taken first: what it
 *     does not satisfy, no later one does.
 *
 * Does not store anything: the registry adapter keeps the ledgers and passes the evidence.
 */
import { assert } from "./assert.js";
import type { FleetRecord } from "./fleet/record.js";
import type { KeyId } from "./key-id.js";
import { limits } from "./limits.js";
import type { NodeName, RosterEntry, RosterRevision } from "./node.js";
import type { Report } from "./report.js";
import { fail, succeed, type Result } from "./result.js";
import type { IncarnationNumber, NodeIndex } from "./spi.js";

/** Indices from `nextIndex` up were never used. */
export interface IndexLedger {
  readonly nextIndex: number;
  /** Head of the queue of released indices; null when it is empty. */
  readonly oldestReleased: ReleasedIndex | null;
}

/** Released by the first roster change after revision `after`. */
export interface ReleasedIndex {
  readonly index: NodeIndex;
  readonly after: RosterRevision;
}

/**
 * Numbers of one index. From `nextNumber` up they were never used; `superseded` is oldest first.
 */
export interface NumberLedger {
  readonly nextNumber: number;
  readonly superseded: readonly SupersededNumber[];
}

export interface SupersededNumber {
  readonly number: IncarnationNumber;
  readonly after: RosterRevision;
}

/** Who may still hold SAs of a released value: an entry, with its node's last report. */
export interface Witness {
  readonly entry: RosterEntry;
  readonly report: Report | undefined;
}

export interface ReuseEvidence {
  /** Every entry but the one that asks. */
  readonly witnesses: readonly Witness[];
  /** Ids of the keys that SAs are built from; null when nothing says so. */
  readonly keysInUse: readonly KeyId[] | null;
}

export interface IndexAllotment {
  readonly index: NodeIndex;
  readonly nextIndex: number;
  /** The head of the queue was taken: take it off. */
  readonly reused: boolean;
}

export interface NumberAllotment {
  readonly number: IncarnationNumber;
  readonly ledger: NumberLedger;
}

export interface AllotmentFailure {
  readonly code: "ROSTER_NO_FREE_INDEX" | "ROSTER_NO_FREE_INCARNATION";
  readonly message: string;
}

export interface AllotmentBounds {
  readonly indexMax: number;
  readonly numberMax: number;
}

const spiBounds: AllotmentBounds = {
  indexMax: limits.nodeIndexMax,
  numberMax: limits.incarnationNumberMax,
};

export const firstNumbers: NumberLedger = { nextNumber: 0, superseded: [] };

/** Of a restored entry: which numbers were given out since its backup is not known, so none is given out again. */
export const lostNumbers: NumberLedger = { nextNumber: limits.incarnationNumberMax + 1, superseded: [] };

/** A ledger that used its numbers up itself remembers the superseded ones. */
export function areNumbersLost({ nextNumber, superseded }: NumberLedger): boolean {
  return nextNumber > limits.incarnationNumberMax && superseded.length === 0;
}

export function hasFreshIndex(ledger: IndexLedger, bounds = spiBounds): boolean {
  return ledger.nextIndex <= bounds.indexMax;
}

export function hasFreshNumber(ledger: NumberLedger, bounds = spiBounds): boolean {
  return ledger.nextNumber <= bounds.numberMax;
}

/** @param evidence is looked at only when no fresh index is left; null is allowed until then. */
export function allotIndex(
  ledger: IndexLedger,
  evidence: ReuseEvidence | null,
  bounds = spiBounds,
): Result<IndexAllotment, AllotmentFailure> {
  if (hasFreshIndex(ledger, bounds)) {
    const index = ledger.nextIndex as NodeIndex;
    return succeed({ index, nextIndex: ledger.nextIndex + 1, reused: false });
  }
  assert(evidence !== null, "evidence is read when no fresh index is left");
  const oldest = ledger.oldestReleased;
  if (oldest === null) return fail(noFreeIndex("every index belongs to a live node"));
  const blocker = findBlocker(oldest.after, evidence);
  if (blocker !== null) return fail(noFreeIndex(describe(blocker, oldest.after)));
  return succeed({ index: oldest.index, nextIndex: ledger.nextIndex, reused: true });
}

/** @param evidence is looked at only when no fresh number is left; null is allowed until then. */
export function allotNumber(
  ledger: NumberLedger,
  evidence: ReuseEvidence | null,
  bounds = spiBounds,
): Result<NumberAllotment, AllotmentFailure> {
  if (hasFreshNumber(ledger, bounds)) {
    const number = ledger.nextNumber as IncarnationNumber;
    return succeed({ number, ledger: { ...ledger, nextNumber: ledger.nextNumber + 1 } });
  }
  assert(evidence !== null, "evidence is read when no fresh number is left");
  const [oldest, ...superseded] = ledger.superseded;
  assert(oldest !== undefined, "a ledger without fresh numbers has superseded ones");
  const blocker = findBlocker(oldest.after, evidence);
  if (blocker !== null) return fail(noFreeNumber(describe(blocker, oldest.after)));
  return succeed({ number: oldest.number, ledger: { ...ledger, superseded } });
}

/** Puts the number of an incarnation that ended into the queue. */
export function supersede(
  ledger: NumberLedger,
  number: IncarnationNumber,
  after: RosterRevision,
): NumberLedger {
  return { ...ledger, superseded: [...ledger.superseded, { number, after }] };
}

/**
 * Keys that SAs are built from under this fleet record; null without a record or before the first
 * key.
 */
export function keysInUse(
  record: Pick<FleetRecord, "current" | "target"> | null,
): readonly KeyId[] | null {
  if (record === null || record.current === null) return null;
  const ids = [record.current.keyId];
  return record.target === null ? ids : [...ids, record.target.keyId];
}

function findBlocker(after: RosterRevision, evidence: ReuseEvidence): NodeName | null {
  const blocker = evidence.witnesses.find(
    (witness) => !hasApplied(witness, after) && !isPastKeys(witness, evidence.keysInUse),
  );
  return blocker?.entry.name ?? null;
}

function hasApplied({ entry, report }: Witness, after: RosterRevision): boolean {
  return (
    report !== undefined &&
    report.incarnationId === entry.incarnationId &&
    report.through > after
  );
}

function isPastKeys({ report }: Witness, inUse: readonly KeyId[] | null): boolean {
  if (report === undefined || inUse === null) return false;
  const mayHold = [...report.holds, ...report.available, ...report.refused];
  return !mayHold.some((key) => inUse.includes(key.keyId));
}

function describe(blocker: NodeName, after: RosterRevision): string {
  return `node ${blocker} has not applied the roster change after revision ${after}`;
}

function noFreeIndex(why: string): AllotmentFailure {
  return { code: "ROSTER_NO_FREE_INDEX", message: `no node index is free: ${why}` };
}

function noFreeNumber(why: string): AllotmentFailure {
  return {
    code: "ROSTER_NO_FREE_INCARNATION",
    message: `no incarnation number is free: ${why}`,
  };
}
