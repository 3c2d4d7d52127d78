/**
 * Puts a backup into a store of keys and revisions that holds no fleet. Entries are written one by one in the order of their
 * last changes, so that each gets a revision of its own in the same order, and what reports and the fleet record say "up
 * to here" about is said of the same entries. The ledger comes last: until then nothing is admitted, and a restore that
 * was broken off is seen as such.
 *
 * The store's revision must be beyond all that the fleet has seen before the first entry is written (`beyond`).
 */
import type { FleetRecord } from "../../../core/fleet/record.js";
import type { RosterRevision } from "../../../core/node.js";
import { PortError } from "../../port-error.js";
import { fleetKey, reportKey, rosterKey, rosterListingPrefix, rosterMetaKey, rotationKey } from "../keys.js";
import type { KvTransactions } from "../kv.js";
import { encode } from "../records.js";
import { fleetRecordSchema, reportSchema, rosterMetaSchema, rosterRecordSchema, rotationRecordSchema } from "../schemas.js";
import type { RevivedRegistry } from "./revive.js";

/** Old revision and new one, ascending. */
type Moved = readonly (readonly [from: number, to: number])[];

/** @throws PortError REGISTRY_NOT_EMPTY */
export async function checkEmpty(kv: Pick<KvTransactions, "range">): Promise<void> {
  const { items } = await kv.range(rosterListingPrefix, 1);
  if (items.length === 0) return;
  const message = "the registry holds a roster already: a backup goes into an empty one";
  throw new PortError("REGISTRY_NOT_EMPTY", message, false);
}

/** @throws PortError */
export async function restoreInto(kv: KvTransactions, revived: RevivedRegistry): Promise<void> {
  const moved: [number, number][] = [];
  for (const { record, revision } of revived.entries) {
    const key = rosterKey(record.name);
    moved.push([revision, await put(kv, key, encode(rosterRecordSchema, key, record))]);
  }
  for (const report of revived.reports) {
    const key = reportKey(report.node);
    await put(kv, key, encode(reportSchema, key, { ...report, through: movedTo(report.through, moved) }));
  }
  for (const rotation of revived.rotations) {
    const key = rotationKey(rotation.rotation);
    await put(kv, key, encode(rotationRecordSchema, key, rotation));
  }
  for (const { key, value } of revived.others) await put(kv, key, value);
  if (revived.fleet !== null) {
    await put(kv, fleetKey, encode(fleetRecordSchema, fleetKey, moveMarks(revived.fleet.record, moved)));
  }
  const ledger = { schemaVersion: 1 as const, nextIndex: revived.nextIndex };
  await put(kv, rosterMetaKey, encode(rosterMetaSchema, rosterMetaKey, ledger));
}

function moveMarks(record: FleetRecord, moved: Moved): FleetRecord {
  return { ...record, through: record.through.map((mark) => ({ ...mark, revision: movedTo(mark.revision, moved) })) };
}

/** The new revision of the last entry that `revision` covered. */
function movedTo(revision: number, moved: Moved): RosterRevision {
  const covered = moved.findLast(([from]) => from <= revision);
  return (covered?.[1] ?? 0) as RosterRevision;
}

/** Only where nothing is: a store that is in use is not overwritten, whoever comes in between. */
async function put(kv: KvTransactions, key: string, value: string): Promise<number> {
  const outcome = await kv.transaction([{ kind: "unchanged", key, revision: 0 }], [{ kind: "put", key, value }]);
  if (outcome.kind === "committed") return outcome.revision;
  throw new PortError("REGISTRY_NOT_EMPTY", `the registry holds ${key} already: a backup goes into an empty one`, false);
}
