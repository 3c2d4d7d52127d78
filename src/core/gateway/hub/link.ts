/** One link's record and what becomes of it: a new rotation, the next pair, the verdict on the pair in work. Pure. */
import { limits } from "../../limits.js";
import { pairIndexes, type Link } from "../link.js";
import { credentialsOfPair, type Cause, type LinkRecord, type NextGeneration, type PairRecord, type Rotation, type Round, type TrustRoot } from "../record.js";
import type { PairInWork, Verdict } from "./pair.js";
import type { Due } from "./schedule.js";

export function newLinkRecord(link: Link, round: Round): LinkRecord {
  return {
    schemaVersion: 1,
    link,
    edition: 1,
    detached: false,
    lastNumber: 0,
    pairs: pairIndexes(link).map((index) => ({ index, current: null, next: null })),
    roots: [],
    round,
    rotation: null,
    answeredRequest: null,
    lastErrorWallMs: null,
    silentSinceWallMs: { server: null, client: null },
    history: [],
  };
}

/** More pairs than before: they begin without a generation. */
export function grown(record: LinkRecord, link: Link): LinkRecord {
  const added = pairIndexes(link).slice(record.pairs.length);
  return { ...record, link, pairs: [...record.pairs, ...added.map((index): PairRecord => ({ index, current: null, next: null }))] };
}

/** Begins a rotation, or tries an undone one again. The set of pairs is frozen here. */
export function begun(record: LinkRecord, due: Due, wallMs: number): LinkRecord {
  const answeredRequest = due.request?.id ?? record.answeredRequest;
  const { rotation } = record;
  const isRetry = rotation !== null && rotation.outcome !== "done";
  if (isRetry) return { ...record, answeredRequest, rotation: { ...rotation, outcome: "running", retryWallMs: null } };
  const pairs = due.reason === "first" ? record.pairs.filter(({ current }) => current === null) : record.pairs;
  const { reason, why, round } = due;
  const fresh: Rotation = {
    reason,
    why,
    round,
    planned: pairs.map(({ index }) => index),
    done: [],
    outcome: "running",
    startedWallMs: wallMs,
    endedWallMs: null,
    failures: 0,
    retryWallMs: null,
    cause: null,
  };
  return { ...record, answeredRequest, rotation: fresh };
}

/** Gives the next pair of a running rotation its generation; one at a time, so that the others carry the traffic. */
export function planned(record: LinkRecord): LinkRecord {
  const { rotation, pairs, lastNumber } = record;
  if (rotation?.outcome !== "running" || pairs.some(({ next }) => next !== null)) return record;
  const index = rotation.planned.find((pair) => !rotation.done.includes(pair));
  if (index === undefined) return record;
  const number = lastNumber + 1;
  return withPair({ ...record, lastNumber: number }, index, (pair) => {
    const slot = pair.current?.slot === 0 ? 1 : 0;
    return { ...pair, next: { number, slot, phase: "planned", credentials: null, cause: null } };
  });
}

export function applied(record: LinkRecord, pair: PairInWork, verdict: Verdict, wallMs: number): LinkRecord {
  switch (verdict.kind) {
    case "stay":
    case "issue":
      return record;
    case "take": {
      const { credentials, root } = verdict.issued;
      const trusting = { ...record, roots: withRoot(record.roots, root) };
      return withNext(trusting, pair, { phase: "issued", credentials });
    }
    case "enter":
      return withNext(record, pair, { phase: verdict.phase });
    case "undo":
      return { ...withNext(record, pair, { phase: "rolling-back", cause: verdict.cause }), lastErrorWallMs: wallMs };
    case "done":
      return trusted(pairDone(record, pair, wallMs));
    case "undone":
      return trusted(pairUndone(record, pair, wallMs));
  }
}

function pairDone(record: LinkRecord, pair: PairInWork, wallMs: number): LinkRecord {
  const moved = withPair(record, pair.index, (one) => ({ ...one, current: pair.next.credentials, next: null }));
  const { rotation } = moved;
  if (rotation === null) return moved;
  const done = [...rotation.done, pair.index];
  const isDone = rotation.planned.length > 0 && rotation.planned.every((index) => done.includes(index));
  if (!isDone) return { ...moved, rotation: { ...rotation, done } };
  const ended: Rotation = { ...rotation, done, outcome: "done", endedWallMs: wallMs, failures: 0, cause: null };
  return { ...moved, rotation: ended, round: rotation.round ?? moved.round, history: withHistory(moved, ended) };
}

function pairUndone(record: LinkRecord, pair: PairInWork, wallMs: number): LinkRecord {
  const without = withPair(record, pair.index, (one) => ({ ...one, next: null }));
  const { rotation } = without;
  if (rotation === null) return without;
  const failures = rotation.failures + 1;
  const outcome = failures < limits.gatewayAttemptsMax ? "rolled-back" : "failed";
  const retryWallMs = wallMs + retryAfterMs(failures);
  const undone: Rotation = { ...rotation, outcome, failures, retryWallMs, cause: pair.next.cause };
  return { ...without, rotation: undone, lastErrorWallMs: wallMs, history: withHistory(without, { ...undone, endedWallMs: wallMs }) };
}

/** @param failures attempts undone in a row, 1 for the first */
export function retryAfterMs(failures: number): number {
  return Math.min(limits.gatewayRetryMsMax, limits.gatewayRetryMsMin * 2 ** Math.min(failures - 1, 10));
}

/** Half of the validity that was left when the rotation began is gone, and it is not done. */
export function isValidityShort(rotation: Rotation, endWallMs: number, wallMs: number): boolean {
  return wallMs >= rotation.startedWallMs + (endWallMs - rotation.startedWallMs) / 2;
}

function withHistory({ history }: LinkRecord, ended: Rotation): readonly Rotation[] {
  return [ended, ...history].slice(0, limits.gatewayHistoryMax);
}

function withRoot(roots: readonly TrustRoot[], root: TrustRoot): readonly TrustRoot[] {
  return roots.some(({ fingerprint }) => fingerprint === root.fingerprint) ? roots : [...roots, root];
}

/** An old root goes once no generation of either side needs it. */
function trusted(record: LinkRecord): LinkRecord {
  const used = new Set(record.pairs.flatMap(credentialsOfPair).map(({ root }) => root));
  return { ...record, roots: record.roots.filter(({ fingerprint }) => used.has(fingerprint)) };
}

function withNext(record: LinkRecord, pair: PairInWork, change: Partial<NextGeneration>): LinkRecord {
  return withPair(record, pair.index, (one) => ({ ...one, next: { ...pair.next, ...change } }));
}

function withPair(record: LinkRecord, index: number, change: (pair: PairRecord) => PairRecord): LinkRecord {
  return { ...record, pairs: record.pairs.map((pair) => (pair.index === index ? change(pair) : pair)) };
}

export function causeText(cause: Cause | null): string {
  return cause === null ? "" : `${cause.code}: ${cause.message}`;
}
