/**
 * Where a pairwise fleet stands, as the record that a controller would keep. In pairwise
 * coordination nobody writes one: this is derived from the reports, only shown, and decides
 * nothing.
 */
import { includesKey, isNewer, sameKey, type KeyIdentity, type KeyRing } from "../key-id.js";
import type { Report } from "../report.js";
import type { CountedNode } from "./barrier.js";
import { newFleet, type FleetPhase, type FleetRecord, type OperatorRequest } from "./record.js";

export function derivePairwise(nodes: readonly CountedNode[], ring: KeyRing): FleetRecord {
  const reports = nodes.flatMap(({ report }) => (report === undefined ? [] : [report]));
  const refused = distinct(reports.flatMap((report) => report.refused));
  const held = distinct(reports.flatMap((report) => report.holds));
  const abandoned = held.find((key) => includesKey(refused, key)) ?? null;
  if (abandoned !== null) {
    const current = mostHeld(reports, abandoned);
    return { ...newFleet, phase: "aborting", current, target: abandoned, refused };
  }
  const named = [...held, ...reports.flatMap(namedKeys)].filter(
    (key) => !includesKey(refused, key),
  );
  const newest = newestOf(named, ring);
  const current = newest === null ? null : mostHeld(reports, newest);
  if (
    newest === null ||
    (current === null && reports.some((one) => sendsOnly(one, newest, nodes)))
  ) {
    return { ...newFleet, current: newest, refused };
  }
  const phase = phaseOf(nodes, newest);
  return { ...newFleet, phase, current, target: newest, refused };
}

/** The keys a node takes up next: an agent names the newest of its file as soon as it reads it. */
function namedKeys(report: Report): readonly KeyIdentity[] {
  return [...report.available.slice(-1), report.waitingFor].filter((key) => key !== null);
}

function newestOf(keys: readonly KeyIdentity[], ring: KeyRing): KeyIdentity | null {
  let newest: KeyIdentity | null = null;
  for (const key of keys) {
    if (newest === null || isNewer(key.keyId, newest.keyId, ring)) newest = key;
  }
  return newest;
}

/** The key that most nodes hold, besides `except`. */
function mostHeld(reports: readonly Report[], except: KeyIdentity): KeyIdentity | null {
  const others = distinct(reports.flatMap(({ holds }) => holds)).filter(
    (key) => !sameKey(key, except),
  );
  const holders = (key: KeyIdentity): number =>
    reports.filter(({ holds }) => includesKey(holds, key)).length;
  return others.sort((one, other) => holders(other) - holders(one))[0] ?? null;
}

function distinct(keys: readonly KeyIdentity[]): KeyIdentity[] {
  const found: KeyIdentity[] = [];
  for (const key of keys) if (!includesKey(found, key)) found.push(key);
  return found;
}

function phaseOf(nodes: readonly CountedNode[], target: KeyIdentity): FleetPhase {
  if (!nodes.every(({ report }) => report !== undefined && includesKey(report.holds, target)))
    return "staging";
  const isSwitched = nodes.every(
    ({ report }) => report !== undefined && sendsOnly(report, target, nodes),
  );
  return isSwitched ? "draining" : "staged";
}

function sendsOnly(report: Report, key: KeyIdentity, nodes: readonly CountedNode[]): boolean {
  if (!includesKey(report.holds, key)) return false;
  return (
    report.sendingOldest === key.keyId || (report.sendingOldest === null && nodes.length === 1)
  );
}

/**
 * Has a standing order come to its end? An abort ends too when it came too late: `current` is the
 * key that the fleet runs now.
 */
export function isFulfilled(
  order: OperatorRequest,
  nodes: readonly CountedNode[],
  current: KeyIdentity | null,
): boolean {
  if (order.abort !== null)
    return hasAbandoned(nodes, order.abort) || sameKey(current, order.abort);
  return order.compromised === null || !isHeldBySome(nodes, order.compromised);
}

export function isHeldBySome(nodes: readonly CountedNode[], key: KeyIdentity): boolean {
  return nodes.some(({ report }) => report !== undefined && includesKey(report.holds, key));
}

/**
 * An abort is over: somebody refused `key`, nobody holds it, and whoever could still take it up
 * refuses it. A node that reads its key file later is told by its peers' reports.
 */
export function hasAbandoned(nodes: readonly CountedNode[], key: KeyIdentity): boolean {
  const reports = nodes.flatMap(({ report }) => (report === undefined ? [] : [report]));
  const refuses = (report: Report): boolean => includesKey(report.refused, key);
  const isOut = (report: Report): boolean => {
    return (
      !includesKey(report.holds, key) && (refuses(report) || !includesKey(report.available, key))
    );
  };
  return reports.some(refuses) && reports.every(isOut);
}
