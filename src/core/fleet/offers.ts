/** Which keys the nodes' files offer, and which of them the fleet may take up. */
import { includesKey, isNewer, sameKey, type KeyIdentity, type KeyRing } from "../key-id.js";
import type { NodeName } from "../node.js";
import type { CountedNode } from "./barrier.js";
import type { Condition } from "./controller-state.js";
import type { FleetRecord } from "./record.js";

/** The newest key that a counted node's file offers and that the fleet may still take up. */
export function newestOffered(record: FleetRecord, nodes: readonly CountedNode[], ring: KeyRing): KeyIdentity | null {
  let newest: KeyIdentity | null = null;
  for (const { report } of nodes) {
    const offered = report?.available.at(-1);
    if (offered === undefined || !isUsable(record, offered, ring)) continue;
    if (newest === null || isNewer(offered.keyId, newest.keyId, ring)) newest = offered;
  }
  return newest;
}

/**
 * A key that should replace the target while it is staged: more nodes offer it, or as many and it is newer. One node
 * with a stray file cannot hold the fleet on a key that nobody else has.
 */
export function mostOffered(
  record: FleetRecord,
  nodes: readonly CountedNode[],
  target: KeyIdentity,
  ring: KeyRing,
): KeyIdentity | null {
  const offers = new Map<string, { readonly key: KeyIdentity; count: number }>();
  for (const { report } of nodes) {
    for (const key of report?.available ?? []) {
      const offer = offers.get(key.check) ?? { key, count: 0 };
      offer.count += 1;
      offers.set(key.check, offer);
    }
  }
  const ofTarget = offers.get(target.check)?.count ?? 0;
  let best: { readonly key: KeyIdentity; readonly count: number } | null = null;
  for (const { key, count } of offers.values()) {
    if (sameKey(key, target) || !isUsable(record, key, ring)) continue;
    const beats = count > ofTarget || (count === ofTarget && isNewer(key.keyId, target.keyId, ring));
    if (beats && (best === null || count > best.count)) best = { key, count };
  }
  return best?.key ?? null;
}

/** May the fleet take this key up? Agents do not go back to a key that they have retired, also from `off` not. */
export function isUsable({ current, refused, levels }: FleetRecord, key: KeyIdentity, ring: KeyRing): boolean {
  if (includesKey(refused, key)) return false;
  if (current !== null) return isNewer(key.keyId, current.keyId, ring);
  const last = levels?.lastKey;
  return last === undefined || sameKey(key, last) || isNewer(key.keyId, last.keyId, ring);
}

/** Two check values under one key id: somebody distributed different bytes. Nothing starts until that is mended. */
export function findConflicts(record: FleetRecord, nodes: readonly CountedNode[]): readonly Condition[] {
  const seen = new Map<number, { key: KeyIdentity; from: string }>();
  for (const key of [record.current, record.target]) {
    if (key !== null) seen.set(key.keyId, { key, from: "the fleet" });
  }
  const conditions: Condition[] = [];
  for (const { entry, report } of nodes) {
    for (const key of report?.available ?? []) {
      const known = seen.get(key.keyId);
      if (known === undefined) seen.set(key.keyId, { key, from: entry.name });
      else if (!sameKey(known.key, key)) conditions.push(conflict(entry.name, key, known.from));
    }
  }
  return conditions;
}

function conflict(node: NodeName, key: KeyIdentity, from: string): Condition {
  const message = `key id ${key.keyId} of node ${node} has other bytes than that of ${from}`;
  return { code: "KEY_CONFLICT", message, node };
}
