/**
 * The barriers: questions about all counted nodes, answered from their reports in their present incarnation
 * (design 4.3). A node that is excluded does not count; a node that joins after `revision` does not hold up.
 */
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import type { NodeName, RosterEntry, RosterRevision } from "../node.js";
import { isEvidence, type Report } from "../report.js";
import type { Roster } from "../roster.js";
import { throughOf, type FleetRecord, type ThroughMark } from "./record.js";

/** A counted node with its report, if that is of its present incarnation and answers for whom it must. */
export interface CountedNode {
  readonly entry: RosterEntry;
  readonly report: Report | undefined;
}

export function countedNodes(
  roster: Roster,
  reports: ReadonlyMap<NodeName, Report>,
  excluded: FleetRecord["excluded"],
): readonly CountedNode[] {
  const skipped = new Set(excluded.map((node) => node.name));
  const counted: CountedNode[] = [];
  for (const entry of roster.entries.values()) {
    if (skipped.has(entry.name)) continue;
    const report = reports.get(entry.name);
    counted.push({ entry, report: report?.incarnationId === entry.incarnationId ? report : undefined });
  }
  return counted;
}

/**
 * The largest revision r up to which every counted entry has reported `key` held with `through` of at least r. Starts
 * from the whole roster and steps down past whoever does not prove it.
 */
export function provenThrough(nodes: readonly CountedNode[], key: KeyIdentity, rosterRevision: RosterRevision): RosterRevision {
  let revision: number = rosterRevision;
  for (;;) {
    let below = Infinity;
    for (const node of nodes) {
      if (node.entry.revision > revision) continue;
      const proven = provenBy(node, key);
      if (proven < revision) below = Math.min(below, Math.max(proven, node.entry.revision - 1));
    }
    if (below === Infinity) return revision as RosterRevision;
    revision = below;
  }
}

function provenBy(node: CountedNode, key: KeyIdentity): number {
  return node.report !== undefined && isEvidence(node.report, node.entry, key) ? node.report.through : -1;
}

/** Raises the mark of `key` to what is proven. A mark never falls. */
export function raiseThrough(record: FleetRecord, key: KeyIdentity, proven: RosterRevision): readonly ThroughMark[] {
  const before = throughOf(record, key);
  if (proven <= (before ?? 0)) return record.through;
  const others = record.through.filter((mark) => !sameKey(mark.key, key));
  return [...others, { key, revision: proven }];
}

/** First barrier: everyone who could already be sent to holds the target. A node that is still joining does not hold up. */
export function hasStaged(record: FleetRecord, proven: RosterRevision, rosterRevision: RosterRevision): boolean {
  const joined = record.current === null ? rosterRevision : (throughOf(record, record.current) ?? rosterRevision);
  return proven > 0 && proven >= joined;
}

/** Second barrier: every counted node that the target covers sends with it and with nothing older. */
export function hasSwitched(nodes: readonly CountedNode[], record: FleetRecord, target: KeyIdentity): boolean {
  return coveredNodes(nodes, record, target).every(({ report }) => {
    if (report === undefined || !includesKey(report.holds, target)) return false;
    if (report.exclusionEpoch !== record.exclusionEpoch) return false;
    return report.sendingOldest === target.keyId || (report.sendingOldest === null && nodes.length === 1);
  });
}

/** The end: every counted node that the target covers holds it and not the old key. */
export function hasRetired(nodes: readonly CountedNode[], record: FleetRecord, target: KeyIdentity): boolean {
  return coveredNodes(nodes, record, target).every(({ report }) => {
    if (report === undefined || !includesKey(report.holds, target)) return false;
    return record.current === null || !includesKey(report.holds, record.current);
  });
}

function coveredNodes(nodes: readonly CountedNode[], record: FleetRecord, key: KeyIdentity): readonly CountedNode[] {
  const mark = throughOf(record, key) ?? -1;
  return nodes.filter(({ entry }) => entry.revision <= mark);
}

/** Abort, second barrier: every counted node gave its word and sends older keys. */
export function hasRefused(nodes: readonly CountedNode[], record: FleetRecord, target: KeyIdentity): boolean {
  return nodes.every(({ report }) => {
    if (report === undefined || report.exclusionEpoch !== record.exclusionEpoch) return false;
    return includesKey(report.refused, target) && report.sendingNewest !== target.keyId;
  });
}

export function hasPurged(nodes: readonly CountedNode[], target: KeyIdentity): boolean {
  return nodes.every(({ report }) => report !== undefined && !includesKey(report.holds, target));
}

/** Abort may begin while every counted node still holds the key to go back to. Names the first that does not. */
export function lacksKey(nodes: readonly CountedNode[], key: KeyIdentity): NodeName | null {
  const lacking = nodes.find(({ report }) => report === undefined || !includesKey(report.holds, key));
  return lacking?.entry.name ?? null;
}
