/** Where each record lives. The first segment is the class that the statistics count by. */
import type { NodeName, RosterRevision } from "../../core/node.js";
import type { NodeIndex } from "../../core/spi.js";

/** Written by every change of the roster, so its revision is the roster revision. */
export const rosterMetaKey = "roster-meta";
export const rosterPrefix = "roster/";
/** Covers the entries and the ledger: one listing shows both as of one revision. */
export const rosterListingPrefix = "roster";
export const releasedPrefix = "released/";
export const reportPrefix = "reports/";
export const fleetKey = "fleet";
export const requestKey = "request";
export const rotationPrefix = "rotations/";

export function rosterKey(name: NodeName): string {
  return rosterPrefix + name;
}

export function reportKey(name: NodeName): string {
  return reportPrefix + name;
}

/** Sorts by release, oldest first. */
export function releasedKey(after: RosterRevision, index: NodeIndex): string {
  return `${releasedPrefix}${padded(after)}-${padded(index)}`;
}

export function rotationKey(rotation: number): string {
  return rotationPrefix + padded(rotation);
}

/** Wide enough for 2^53. */
function padded(value: number): string {
  return String(value).padStart(16, "0");
}
