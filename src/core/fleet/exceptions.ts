/**
 * What is not as it should be in a fleet, per node, with why and for how long. A node that is
 * merely not there yet while most others are not either is no exception: at the start of a phase
 * that is everybody.
 */
import { sameKey } from "../key-id.js";
import type { NodeName } from "../node.js";
import type { CountedNode } from "./barrier.js";
import type { ObservedLease } from "./controller-state.js";
import { findConflicts } from "./offers.js";
import { whyBehindLevel } from "./levels.js";
import { nodeStep } from "./node-step.js";
import type { FleetRecord } from "./record.js";
import { whyBehind, whyExcluded } from "./stragglers.js";

export interface NodeException {
  readonly node: NodeName;
  readonly why: string;
  /** Milliseconds; null when the registry does not say since when. */
  readonly forMs: number | null;
}

export interface ExceptionContext {
  readonly record: FleetRecord;
  /** All nodes of the roster, the excluded ones too. */
  readonly nodes: readonly CountedNode[];
  /** Null while they were not read. */
  readonly leases: ReadonlyMap<NodeName, ObservedLease> | null;
  /** Since when the phase lasts, null when unknown. */
  readonly phaseForMs: number | null;
  /** The rotation takes longer than was estimated: who is behind is late. */
  readonly isLate: boolean;
  /** Since when the fleet's level is asked for, null when unknown or never. */
  readonly levelForMs: number | null;
}

/**
 * At most one for each node: the reason that must be mended first. Ordered by that, then as the
 * roster is.
 */
export function findExceptions(context: ExceptionContext): readonly NodeException[] {
  const sources = [conflicts, exclusions, silences, missingReports, stragglers, behindLevel, missingKeys];
  const found = new Map<NodeName, NodeException>();
  for (const source of sources) {
    for (const exception of source(context)) {
      if (!found.has(exception.node)) found.set(exception.node, exception);
    }
  }
  return [...found.values()];
}

function conflicts({ record, nodes }: ExceptionContext): readonly NodeException[] {
  return findConflicts(record, nodes).flatMap(({ node, message }) => {
    return node === null ? [] : [{ node, why: message, forMs: null }];
  });
}

function exclusions({ record, nodes }: ExceptionContext): readonly NodeException[] {
  const excluded = new Set(record.excluded.map(({ name }) => name));
  const out = nodes.filter(({ entry }) => excluded.has(entry.name));
  return out.map(({ entry, report }) => ({ node: entry.name, why: whyExcluded(record, report, entry), forMs: null }));
}

function silences({ nodes, leases }: ExceptionContext): readonly NodeException[] {
  if (leases === null) return [];
  const silent = nodes.filter(({ entry }) => !leases.has(entry.name));
  return silent.map(({ entry }) => ({
    node: entry.name,
    why: "no sign of life: its lease ended",
    forMs: null,
  }));
}

function missingReports({ nodes }: ExceptionContext): readonly NodeException[] {
  const mute = nodes.filter(({ report }) => report === undefined);
  const why = "has not reported since it was admitted";
  return mute.map(({ entry }) => ({ node: entry.name, why, forMs: null }));
}

/** Who holds up the present phase. A jitter wait is no delay. */
function stragglers({
  record,
  nodes,
  phaseForMs,
  isLate,
}: ExceptionContext): readonly NodeException[] {
  const reports = new Map(
    nodes.flatMap(({ entry, report }) => {
      return report === undefined ? [] : [[entry.name, report] as const];
    }),
  );
  const behind = nodes.flatMap((node) => {
    const why = whyBehind(record, { reports }, node.entry);
    const isWaiting = nodeStep(node, record, nodes.length - 1) === "waiting";
    return why === null || isWaiting ? [] : [{ node: node.entry.name, why, forMs: phaseForMs }];
  });
  const areFew = behind.length * 2 <= nodes.length;
  return areFew || isLate ? behind : [];
}

/** After this time everybody who is not at the fleet's level is late. */
const levelLateMs = 10_000;

function behindLevel({ record, nodes, levelForMs }: ExceptionContext): readonly NodeException[] {
  const excluded = new Set(record.excluded.map(({ name }) => name));
  const behind = nodes.flatMap(({ entry, report }) => {
    const why = excluded.has(entry.name) ? null : whyBehindLevel(record, report);
    return why === null ? [] : [{ node: entry.name, why, forMs: null }];
  });
  const areFew = behind.length * 2 <= nodes.length;
  return areFew || (levelForMs ?? 0) > levelLateMs ? behind : [];
}

/** When no rotation runs. */
function missingKeys({ record, nodes }: ExceptionContext): readonly NodeException[] {
  const { current } = record;
  if (record.target !== null || current === null) return [];
  return nodes.flatMap((node) => {
    const why = whyLacking(node, current, nodes.length - 1);
    return why === null ? [] : [{ node: node.entry.name, why, forMs: null }];
  });
}

function whyLacking(
  { report }: CountedNode,
  current: NonNullable<FleetRecord["current"]>,
  peers: number,
): string | null {
  if (report === undefined) return null;
  const { keyId } = current;
  if (!report.holds.some((key) => sameKey(key, current)))
    return `joins: does not hold key ${keyId} yet`;
  if (report.sendingOldest === null && peers > 0) return "sends to no peer yet";
  if (report.available.some((key) => sameKey(key, current))) return null;
  return `its key file does not offer key ${keyId}, which the fleet runs`;
}
