/**
 * A store whose records carry a digest of themselves: one that somebody edited by hand is not taken for what the fleet wrote.
 * It counts as unreadable, so that everybody keeps what was read before, and says so.
 *
 * A record without a digest is of a version that wrote none. This guards against mistakes, not against those who may write.
 */
import { createHash } from "node:crypto";
import type { Kv, KvChange, KvEvent, KvItem, KvOperation, KvSnapshot } from "./kv.js";

const opening = '{"digest":"';
const sealLength = opening.length + 64 + '",'.length;

export function sealedKv(kv: Kv): Kv {
  const snapshot = ({ revision, items }: KvSnapshot): KvSnapshot => ({ revision, items: items.map(opened) });
  return {
    get: async (keys) => snapshot(await kv.get(keys)),
    range: async (prefix, limit, purpose) => snapshot(await kv.range(prefix, limit, purpose)),
    watch: (prefix, after, listener) => kv.watch(prefix, after, (event) => listener(openedEvent(event))),
    transaction: (compares, operations) => kv.transaction(compares, operations.map(closed)),
    renewLease: (name, holder, leaseMs) => kv.renewLease(name, holder, leaseMs),
    leases: () => kv.leases(),
    lead: (candidate, leaseMs) => kv.lead(candidate, leaseMs),
    resign: (candidate) => kv.resign(candidate),
  };
}

/** @param record JSON of an object with fields */
export function seal(record: string): string {
  const digest = createHash("sha256").update(record).digest("hex");
  return `${opening}${digest}",${record.slice(1)}`;
}

function closed(operation: KvOperation): KvOperation {
  const isRecord = operation.kind === "put" && operation.value.startsWith('{"');
  return isRecord ? { ...operation, value: seal(operation.value) } : operation;
}

function opened<T extends KvItem | KvChange>(item: T): T {
  const { value } = item;
  if (value === null || !value.includes('"digest"')) return item;
  const record = `{${value.slice(sealLength)}`;
  return seal(record) === value ? { ...item, value: record } : { ...item, fault: "changed by hand" };
}

function openedEvent(event: KvEvent): KvEvent {
  return event.kind === "changes" ? { ...event, changes: event.changes.map(opened) } : event;
}
