/** Where roster and reports are kept, and how their records become items. */
import type { RosterEntry } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import {
  reportKey,
  reportPrefix,
  rosterKey,
  rosterListingPrefix,
  rosterMetaKey,
  rosterPrefix,
} from "./keys.js";
import type { KvItem, KvSnapshot } from "./kv.js";
import type { ListSource } from "./list-watch.js";
import { decode, type Decoded } from "./records.js";
import { entryOf, reportSchema, rosterRecordSchema } from "./schemas.js";

/**
 * The listing shows the roster revision: that of the ledger, which every change of the roster
 * writes.
 */
export const rosterSource: ListSource<RosterEntry> = {
  listingPrefix: rosterListingPrefix,
  prefix: rosterPrefix,
  read: readEntry,
  revisionOf: ({ items }: KvSnapshot): number =>
    items.find((item) => item.key === rosterMetaKey)?.revision ?? 0,
};

export const reportSource: ListSource<Report> = {
  listingPrefix: reportPrefix,
  prefix: reportPrefix,
  read: readReport,
  revisionOf: ({ revision }: KvSnapshot): number => revision,
};

function readEntry(item: KvItem): Decoded<RosterEntry> {
  const decoded = decode(rosterRecordSchema, item);
  if (decoded.kind === "invalid") return decoded;
  if (rosterKey(decoded.value.name) !== item.key) return misplaced(item);
  return { kind: "valid", value: entryOf(decoded.value, item.revision) };
}

function readReport(item: KvItem): Decoded<Report> {
  const decoded = decode(reportSchema, item);
  if (decoded.kind === "invalid" || reportKey(decoded.value.node) === item.key) return decoded;
  return misplaced(item);
}

function misplaced({ key, revision }: KvItem): Decoded<never> {
  return { kind: "invalid", record: { key, revision, reason: "its name is not that of its key" } };
}
