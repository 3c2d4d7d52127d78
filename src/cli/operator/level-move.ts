/** A move between policy levels as an operator's command shows it: the way, what is in it, and what came of it. */
import { colorsFor, type Terminal } from "../../adapters/system/terminal.js";
import { countedNodes } from "../../core/fleet/barrier.js";
import { isSettled, levelNow, whyBehindLevel } from "../../core/fleet/levels.js";
import { recordOf, summarizeFleet } from "../../core/fleet/summary.js";
import type { NodeName } from "../../core/node.js";
import { isBelow, nextLevel, type PolicyLevel } from "../../core/policy-level.js";
import type { FleetWatch } from "./fleet-watch.js";

export interface MoveCheck {
  readonly schemaVersion: 1;
  readonly to: PolicyLevel;
  /** Every level from the present one on; null while nobody has asked the nodes for theirs. */
  readonly way: readonly PolicyLevel[] | null;
  /** What would hold the move up now. */
  readonly obstacles: readonly string[];
}

/** @param to where the fleet would move */
export function checkMove(fleet: FleetWatch, to: PolicyLevel): MoveCheck {
  const snapshot = fleet.snapshot();
  const record = recordOf(snapshot);
  const { exceptions, nodes } = summarizeFleet(snapshot);
  const level = levelNow(record);
  const needsKey = isBelow("accept", to) && record.current === null && !snapshotOffers(fleet);
  return {
    schemaVersion: 1,
    to,
    way: level === null ? null : wayBetween(level, to),
    obstacles: [
      ...(nodes === 0 ? ["there are no nodes"] : []),
      ...(record.phase === "steady" ? [] : [`rotation ${record.rotation} is running: it comes first`]),
      ...(needsKey ? ["the fleet has no key, and no node offers one: distribute a key file"] : []),
      ...exceptions.map(({ node, why }) => `${node}: ${why}`),
    ],
  };
}

function snapshotOffers(fleet: FleetWatch): boolean {
  return summarizeFleet(fleet.snapshot()).offered !== null;
}

function wayBetween(from: PolicyLevel, to: PolicyLevel): readonly PolicyLevel[] {
  const next = nextLevel(from, to);
  return next === null ? [from] : [from, ...wayBetween(next, to)];
}

/**
 * - started: accepted, and nobody waited for the end
 * - done: every counted node has applied it
 * - replaced: another level was asked for meanwhile
 * - detached: the command stopped waiting, the move goes on
 */
export type MoveOutcome = "started" | "done" | "replaced" | "detached";

/** Null while the fleet moves there. */
export function levelEnd({ fleet }: FleetWatch, level: PolicyLevel): "done" | "replaced" | null {
  const levels = fleet?.levels;
  if (levels === undefined) return null;
  if (levels.wanted !== level) return "replaced";
  return isSettled(levels) ? "done" : null;
}

export interface MoveResult {
  readonly schemaVersion: 1;
  readonly command: "level";
  readonly to: PolicyLevel;
  /** Where the fleet is now; null while the nodes are asked. */
  readonly level: PolicyLevel | null;
  readonly outcome: MoveOutcome;
  /** Counted nodes that are not where the record is, and why. */
  readonly waitsFor: readonly { readonly node: NodeName; readonly why: string }[];
}

export function resultOfMove(fleet: FleetWatch, to: PolicyLevel, outcome: MoveOutcome): MoveResult {
  const snapshot = fleet.snapshot();
  const record = recordOf(snapshot);
  const waitsFor = countedNodes(snapshot.roster, snapshot.reports, record.excluded).flatMap(({ entry, report }) => {
    const why = whyBehindLevel(record, report);
    return why === null ? [] : [{ node: entry.name, why }];
  });
  return { schemaVersion: 1, command: "level", to, level: record.levels?.level ?? null, outcome, waitsFor };
}

export function describeMove({ to, level, outcome, waitsFor }: MoveResult, stream: Terminal): string {
  const colors = colorsFor(stream);
  const now = `the fleet is at ${level ?? "the level of its configurations"}`;
  switch (outcome) {
    case "started":
      return `the move to level ${to} started\n${colors.dim("spindle status --watch follows it")}`;
    case "done":
      return `${colors.green(`level ${to}`)}: every counted node has applied it`;
    case "replaced":
      return `${colors.yellow("another level was asked for")}: ${now}`;
    case "detached":
      return [`stopped waiting, the move to level ${to} goes on: ${now}`, ...waitsFor.map(({ node, why }) => `${node} ${why}`)].join("\n");
  }
}
