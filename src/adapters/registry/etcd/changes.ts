/** Events of etcd as changes: those of one revision are one transaction's, and come together. */
import type { KvChange, KvChanges } from "../kv.js";
import { eventDelete, type WatchedEvent } from "./api.js";

/** @param keyPrefix is taken off the keys */
export function changesOf(
  events: readonly WatchedEvent[],
  keyPrefix: string,
): readonly KvChanges[] {
  const byRevision = new Map<number, KvChange[]>();
  for (const { type, kv } of events) {
    const change = {
      key: kv.key.slice(keyPrefix.length),
      value: type === eventDelete ? null : kv.value,
    };
    const changes = byRevision.get(kv.modRevision);
    if (changes === undefined) byRevision.set(kv.modRevision, [change]);
    else changes.push(change);
  }
  return [...byRevision].map(([revision, changes]) => ({ kind: "changes", revision, changes }));
}

/** Keys created less keys deleted. */
export function countDelta(events: readonly WatchedEvent[]): number {
  return events.reduce((delta, { type, kv }) => {
    if (type === eventDelete) return delta - 1;
    return kv.version === 1 ? delta + 1 : delta;
  }, 0);
}
