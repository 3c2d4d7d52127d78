/**
 * Reads what allows a used index or number to be given out again. Only when no fresh one is left:
 * it is the whole roster and every report. The roster cannot change in between unseen, since the
 * caller's transaction compares it.
 */
import type { NodeName } from "../../core/node.js";
import {
  keysInUse,
  type ReleasedIndex,
  type ReuseEvidence,
  type Witness,
} from "../../core/roster-allotment.js";
import { fleetKey, releasedPrefix, reportKey, reportPrefix, rosterPrefix } from "./keys.js";
import type { KvItem, KvTransactions } from "./kv.js";
import { decode, decodeOrThrow } from "./records.js";
import {
  entryOf,
  fleetRecordSchema,
  releasedIndexSchema,
  reportSchema,
  rosterRecordSchema,
} from "./schemas.js";

export interface OldestReleased {
  readonly key: string;
  readonly released: ReleasedIndex;
}

export async function readOldestReleased(kv: KvTransactions): Promise<OldestReleased | null> {
  const { items } = await kv.range(releasedPrefix, 1);
  const [item] = items;
  if (item === undefined) return null;
  const { index, after } = decodeOrThrow(releasedIndexSchema, item);
  return { key: item.key, released: { index, after } };
}

/**
 * Every entry but that of `asker`, with its last report. An unreadable report proves nothing, so
 * its node blocks.
 * @throws PortError REGISTRY_RECORD_INVALID for an unreadable entry: nobody knows what its node
 * holds
 */
export async function readEvidence(kv: KvTransactions, asker: NodeName): Promise<ReuseEvidence> {
  const roster = await kv.range(rosterPrefix);
  const reports = await kv.range(reportPrefix);
  const fleet = await kv.get([fleetKey]);
  const reportItems = new Map(reports.items.map((item) => [item.key, item]));
  const others = roster.items
    .map((item) => entryOf(decodeOrThrow(rosterRecordSchema, item), item.revision))
    .filter((entry) => entry.name !== asker);
  const witnesses = others.map(
    (entry): Witness => ({ entry, report: readable(reportItems.get(reportKey(entry.name))) }),
  );
  return { witnesses, keysInUse: keysInUse(readFleet(fleet.items)) };
}

function readable(item: KvItem | undefined): Witness["report"] {
  if (item === undefined) return undefined;
  const decoded = decode(reportSchema, item);
  return decoded.kind === "valid" ? decoded.value : undefined;
}

function readFleet([item]: readonly KvItem[]): Parameters<typeof keysInUse>[0] {
  if (item === undefined) return null;
  const decoded = decode(fleetRecordSchema, item);
  return decoded.kind === "valid" ? decoded.value : null;
}
