/**
 * What of a backup goes into a registry that is to go on: pure. The copy does not know what was given out after it was
 * made, so what it would give out next is not trusted. Indices go on beyond any that can have been given out meanwhile. Numbers
 * of incarnations cannot: an entry keeps the one that it has, and its node's next life gets an index of its own.
 *
 * Invariant: no index and no incarnation number that a live node may use is given out by the restored registry.
 */
import { fleetRecordSchema, reportSchema, rosterMetaSchema, rosterRecordSchema, rotationRecordSchema, type RosterRecord } from "../schemas.js";
import type { FleetRecord, RotationRecord } from "../../../core/fleet/record.js";
import { limits } from "../../../core/limits.js";
import type { Report } from "../../../core/report.js";
import { lostNumbers } from "../../../core/roster-allotment.js";
import { fleetKey, reportPrefix, rosterMetaKey, rosterPrefix, rotationPrefix } from "../keys.js";
import type { KvItem } from "../kv.js";
import { decodeOrThrow } from "../records.js";
import type { RegistryBackup } from "./backup-file.js";

export interface RevivedEntry {
  readonly record: RosterRecord;
  readonly revision: number;
}

/** The fleet record, and the version at which it was stored. */
export interface KnownFleet {
  readonly record: FleetRecord;
  readonly version: number;
}

export interface RevivedRegistry {
  /** In the order of their last changes. */
  readonly entries: readonly RevivedEntry[];
  readonly nextIndex: number;
  readonly reports: readonly Report[];
  readonly fleet: KnownFleet | null;
  readonly rotations: readonly RotationRecord[];
  /** Records of VPN links, as they are. */
  readonly others: readonly KvItem[];
  /** No revision of the copy is higher. */
  readonly revision: number;
}

/** @throws PortError REGISTRY_RECORD_INVALID for a record that this version cannot read: nobody may guess what it says */
export function revive({ items, revision }: RegistryBackup): RevivedRegistry {
  const under = (prefix: string): readonly KvItem[] => items.filter(({ key }) => key.startsWith(prefix));
  const entries = under(rosterPrefix).map(reviveEntry).sort((one, other) => one.revision - other.revision);
  const fleet = items.find(({ key }) => key === fleetKey);
  const known = [fleetKey, rosterMetaKey];
  const others = items.filter(({ key }) => !known.includes(key) && !isOurs(key));
  return {
    entries,
    nextIndex: nextIndexAfter(items, entries),
    reports: under(reportPrefix).map((item) => decodeOrThrow(reportSchema, item)),
    fleet: fleet === undefined ? null : { record: decodeOrThrow(fleetRecordSchema, fleet), version: fleet.revision },
    rotations: under(rotationPrefix).map((item) => decodeOrThrow(rotationRecordSchema, item)),
    others,
    revision: items.reduce((highest, item) => Math.max(highest, item.revision), revision),
  };
}

/** An older record would take the fleet back to a key that is gone. */
export function withNewestFleet(revived: RevivedRegistry, known: readonly KnownFleet[]): RevivedRegistry {
  let { fleet } = revived;
  for (const one of known) if (one.version > (fleet?.version ?? 0)) fleet = one;
  return { ...revived, fleet };
}

function reviveEntry(item: KvItem): RevivedEntry {
  return { record: { ...decodeOrThrow(rosterRecordSchema, item), numbers: lostNumbers }, revision: item.revision };
}

function isOurs(key: string): boolean {
  return [rosterPrefix, reportPrefix, rotationPrefix].some((prefix) => key.startsWith(prefix));
}

/** At the end of all indices there is none left to give out, which is an error that says so. */
function nextIndexAfter(items: readonly KvItem[], entries: readonly RevivedEntry[]): number {
  const meta = items.find(({ key, value }) => key === rosterMetaKey && value !== "");
  const told = meta === undefined ? 0 : decodeOrThrow(rosterMetaSchema, meta).nextIndex;
  const used = entries.reduce((next, { record }) => Math.max(next, record.index + 1), told);
  return Math.min(used + limits.restoreIndicesSkipped, limits.nodeIndexMax + 1);
}
