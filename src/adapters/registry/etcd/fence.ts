/**
 * Tells when a watch that resumed has been told all it missed. etcd does not say: the answer to a
 * progress request may overtake events that are still to come (etcd issue 15220, before 3.4.25 and
 * 3.5.8). So the present state is asked for, by two numbers: how many keys there are, and when the
 * newest was written. A watch that has told of as many keys and of that write shows that state.
 *
 * Why two numbers are enough: events come in order. Once the newest write was told, what can still
 * be missing are deletions, and keys that were written and deleted meanwhile. With d of D deletions
 * told and e such keys alive, the count is that of the state only if e = d - D, so both are 0.
 */
import { byModRevision, descending, rangeEndOf, txnMethod, type RequestOp } from "./api.js";
import type { EtcdCalls } from "./calls.js";

export interface Fence {
  /** Of the whole store, when the state was read. */
  readonly revision: number;
  /** Of the last write to any key that is there. */
  readonly newest: number;
  /** Keys created less keys deleted since the watch was resumed. */
  readonly delta: number;
}

/**
 * `compacted`: the history after `fromRevision` is gone, or the store is another one, which has not
 * come that far.
 */
export async function readFence(
  calls: EtcdCalls,
  prefix: string,
  fromRevision: number,
): Promise<Fence | "compacted"> {
  const range = { key: prefix, rangeEnd: rangeEndOf(prefix) };
  const newest = { ...range, limit: 1, sortOrder: descending, sortTarget: byModRevision };
  const success: readonly RequestOp[] = [
    { range: { ...newest, keysOnly: true } },
    { range: { ...range, revision: fromRevision, countOnly: true } },
  ];
  const answer = await calls.askOrCompacted(txnMethod, { success }, { repeat: "always" });
  if (answer === "compacted") return "compacted";
  const [now, before] = answer.responses.map((response) => response.range);
  return {
    revision: answer.header.revision,
    newest: now?.kvs[0]?.modRevision ?? 0,
    delta: (now?.count ?? 0) - (before?.count ?? 0),
  };
}

/** @param seen revision of the last event that was told; @param delta keys it created less deleted */
export function isCaughtUp(fence: Fence, seen: number, delta: number): boolean {
  if (seen >= fence.revision) return true;
  return seen >= fence.newest && delta === fence.delta;
}
