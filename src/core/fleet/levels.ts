/**
 * Moves a live fleet between plain and encrypted traffic (design 4.1): one level at a time, each by one compare-and-set, and
 * only when every counted node has applied the one before, knowing this record, for longer than a packet is on its way.
 * Invariant: any two counted nodes are at the same level or at neighbouring ones. Only away from `require` nobody is waited
 * for: what is sent there is taken at each level that a node can be at. (Back from `prefer` while the fleet closes is not that
 * easy: pairs that are new then are at `require` already.) Steps are taken while no rotation runs; a rotation may run while a
 * step is not applied everywhere, as the levels that meet then are neighbours too.
 */
import { nextLevel, policyLevels, type PolicyLevel } from "../policy-level.js";
import type { RosterEntry } from "../node.js";
import type { Report } from "../report.js";
import type { CountedNode } from "./barrier.js";
import type { Condition, ControllerOptions, LevelSeen } from "./controller-state.js";
import type { FleetLevels, FleetRecord, OperatorRequest } from "./record.js";

export interface LevelDecision {
  readonly record: FleetRecord;
  readonly conditions: readonly Condition[];
}

/** Takes up what an operator asked for. Another level may be asked for at any time. */
export function askLevel(record: FleetRecord, request: OperatorRequest): FleetRecord {
  const wanted = request.level ?? "require";
  const { levels } = record;
  const answer = { requestId: request.id, accepted: true, why: `the fleet moves to level ${wanted}` };
  if (levels?.wanted === wanted) return { ...record, answer: { ...answer, why: `level ${wanted} is wanted already` } };
  const { by, at, reason } = request;
  const asked: FleetLevels = {
    ...levels,
    level: levelNow(record),
    wanted,
    applied: false,
    asked: { by, at, reason },
  };
  return { ...record, levels: asked, exclusionEpoch: record.exclusionEpoch + 1, answer };
}

/** Without a key nothing is installed, whatever the configurations say. Null where they decide, and nobody has asked them. */
export function levelNow({ current, target, levels }: FleetRecord): PolicyLevel | null {
  if (levels !== undefined) return levels.level;
  return current === null && target === null ? "off" : null;
}

export function decideLevel(
  record: FleetRecord,
  nodes: readonly CountedNode[],
  seen: LevelSeen | null,
  nowMs: number,
  options: ControllerOptions,
): LevelDecision {
  const { levels } = record;
  if (levels === undefined || record.phase !== "steady" || nodes.length === 0) return { record, conditions: [] };
  const { level } = levels;
  const next = level === null ? null : nextLevel(level, levels.wanted);
  if (next === "prefer" && level === "require") return take(record, levels, next);
  const behind = whyLevelHeld(record, nodes, next);
  if (behind !== null) return isSettled(levels) ? { record, conditions: [] } : waiting(record, behind, seen, nowMs, options);
  if (level === null) return adopt(record, levels, nodes);
  if (next === null) return { record: levels.applied ? record : { ...record, levels: { ...levels, applied: true } }, conditions: [] };
  const appliedMs = seen?.appliedMs ?? null;
  const isDrained = appliedMs !== null && nowMs - appliedMs >= options.drainMs;
  return isDrained ? take(record, levels, next) : { record, conditions: [] };
}

/** Turning encryption off is a rotation to "no key": what comes after `off` begins with a first key. */
function take(record: FleetRecord, levels: FleetLevels, next: PolicyLevel): LevelDecision {
  const moved = { ...record, levels: { ...levels, level: next, applied: false } };
  const taken = next === "off" ? withoutKey(moved) : moved;
  return { record: { ...taken, exclusionEpoch: record.exclusionEpoch + 1 }, conditions: [] };
}

function withoutKey(record: FleetRecord & { readonly levels: FleetLevels }): FleetRecord {
  const { current, levels } = record;
  const left = current === null ? levels : { ...levels, lastKey: current };
  return { ...record, current: null, through: [], levels: left };
}

/** The lower one of two neighbours, but none from which SAs would have to go. */
function adopt(record: FleetRecord, levels: FleetLevels, nodes: readonly CountedNode[]): LevelDecision {
  const found = policyLevels.filter((level) => nodes.some(({ report }) => report?.level?.applied === level));
  const [lowest = "off", highest = lowest] = [found[0], found.at(-1)];
  if (nextLevel(lowest, highest) !== null && nextLevel(lowest, highest) !== highest) {
    const message = `configurations set levels ${found.join(" and ")}: bring the nodes to one level, or to neighbouring ones`;
    return { record, conditions: [{ code: "LEVELS_DIFFER", message, node: null }] };
  }
  const level = lowest === "off" ? highest : lowest;
  return { record: { ...record, exclusionEpoch: record.exclusionEpoch + 1, levels: { ...levels, level } }, conditions: [] };
}

function waiting(
  record: FleetRecord,
  behind: LevelHold,
  seen: LevelSeen | null,
  nowMs: number,
  options: ControllerOptions,
): LevelDecision {
  if (seen === null || nowMs - seen.sinceMs < options.stageDeadlineMs) return { record, conditions: [] };
  const message = `the fleet's level waits for ${behind.node ?? "a first key"}: ${behind.why}`;
  return { record, conditions: [{ code: "LEVEL_LATE", message, node: behind.node }] };
}

interface LevelHold {
  readonly node: RosterEntry["name"] | null;
  readonly why: string;
}

/** What keeps the present level from being called applied, or the next one from being taken; null for nothing. */
export function whyLevelHeld(record: FleetRecord, nodes: readonly CountedNode[], next: PolicyLevel | null): LevelHold | null {
  for (const { entry, report } of nodes) {
    const why = whyNotApplied(record, report, next) ?? (next === "require" ? whyPlain(report) : null);
    if (why !== null) return { node: entry.name, why };
  }
  if (next !== "prefer" || record.levels?.level !== "accept" || record.current !== null) return null;
  const { lastKey } = record.levels;
  const which = lastKey === undefined ? "" : ` with key ${lastKey.keyId}, which was in use last, or a newer one`;
  return { node: null, why: `no rotation to one has ended; distribute a key file${which}` };
}

/** Null when the node is at the level of this record, or, as one that has no other, at the one that is taken next. */
export function whyNotApplied(record: FleetRecord, report: Report | undefined, next: PolicyLevel | null = null): string | null {
  const { levels, exclusionEpoch } = record;
  if (levels === undefined) return null;
  if (report === undefined) return "has not reported";
  const isOfNow = report.exclusionEpoch === exclusionEpoch;
  if (levels.level === null) return isOfNow && report.level !== undefined ? null : "has not said which level it applies";
  const applied = isOfNow ? report.level?.applied : undefined;
  return applied !== undefined && (applied === levels.level || applied === next) ? null : `has not applied level ${levels.level}`;
}

function whyPlain(report: Report | undefined): string | null {
  if (report?.level?.sendsPlain !== true) return null;
  const { unproven } = report;
  if (unproven === undefined) return "still sends plain packets to a peer that is not covered";
  const others = unproven.count > 1 ? ` and ${unproven.count - 1} more` : "";
  return `still sends plain packets to ${unproven.peer}${others}: ${unproven.why}`;
}

/** Who holds the level up, and why; null for a node that does not. */
export function whyBehindLevel(record: FleetRecord, report: Report | undefined): string | null {
  const { levels } = record;
  if (levels === undefined || isSettled(levels)) return null;
  return whyNotApplied(record, report) ?? (levels.wanted === "require" ? whyPlain(report) : null);
}

export function isSettled({ level, wanted, applied }: FleetLevels): boolean {
  return level === wanted && applied;
}

/** But for who asked. */
export function sameLevels(one: FleetLevels, other: FleetLevels | undefined): boolean {
  return one.level === other?.level && one.wanted === other.wanted && one.applied === other.applied;
}

/** Remembers on this process's clock since when there is this level, and since when everybody has applied it. */
export function seeLevel(seen: LevelSeen | null, record: FleetRecord, nodes: readonly CountedNode[], nowMs: number): LevelSeen | null {
  const { levels, exclusionEpoch } = record;
  if (levels === undefined) return null;
  const { level, wanted } = levels;
  const isSame = seen?.level === level && seen.wanted === wanted;
  const sinceMs = isSame ? seen.sinceMs : nowMs;
  const next = level === null ? null : nextLevel(level, wanted);
  if (whyLevelHeld(record, nodes, next) !== null) return { level, wanted, epoch: exclusionEpoch, sinceMs, appliedMs: null };
  const appliedMs = isSame && seen.epoch === exclusionEpoch ? (seen.appliedMs ?? nowMs) : nowMs;
  return { level, wanted, epoch: exclusionEpoch, sinceMs, appliedMs };
}
