/**
 * Who holds the fleet up, and who stops counting: silent nodes, and slow ones when a key is compromised. A node is silent
 * only after this process saw its lease unchanged for `silentMs` on its own clock, counted from when it could first see
 * leases at all: an age stored by someone else would exclude a whole fleet after an outage (trace exclude-after-outage).
 */
import { includesKey, type KeyIdentity } from "../key-id.js";
import type { NodeName, RosterEntry } from "../node.js";
import { isEvidence, type Report } from "../report.js";
import type { Beat, ControllerObservation, ControllerOptions, ControllerState } from "./controller-state.js";
import { whyNotApplied } from "./levels.js";
import { throughOf, type ExcludedNode, type FleetRecord, type StragglerNote } from "./record.js";

/** A node that joins or begins a new life is heard of by that alone; one that left is forgotten. */
export function observeBeats(state: ControllerState, observation: ControllerObservation, nowMs: number): ControllerState["beats"] {
  const beats = new Map<NodeName, Beat>();
  for (const { name, incarnationId } of observation.roster.entries.values()) {
    const known = state.beats.get(name);
    const beat = observation.leases.get(name)?.beat ?? known?.beat ?? 0;
    const isUnchanged = known?.incarnationId === incarnationId && known.beat === beat;
    beats.set(name, isUnchanged ? known : { incarnationId, beat, sinceMs: nowMs });
  }
  return beats;
}

/** Milliseconds since the node was last heard of, as seen here; 0 while this process cannot judge. */
export function silenceMs(state: ControllerState, observation: ControllerObservation, name: NodeName, nowMs: number): number {
  if (observation.watchingSinceMs === null) return 0;
  const heardMs = Math.max(state.beats.get(name)?.sinceMs ?? 0, observation.watchingSinceMs);
  return nowMs - heardMs;
}

export interface Exclusions {
  readonly excluded: readonly ExcludedNode[];
  /** Silent nodes that were not excluded because too many are silent. */
  readonly held: readonly NodeName[];
}

export function decideExclusions(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
): Exclusions {
  const entries = observation.roster.entries;
  const away = record.excluded.filter(({ name }) => {
    const entry = entries.get(name);
    return entry !== undefined && !mayReturn(record, state, observation, entry, nowMs, options);
  });
  const kept = [...away, ...leftBehind(record, away, state, observation, nowMs, options)];
  if (options.silent === "wait") return { excluded: sameOr(record, kept), held: [] };
  const known = new Set(kept.map(({ name }) => name));
  const silent = [...entries.values()].filter(
    (entry) => !known.has(entry.name) && silenceMs(state, observation, entry.name, nowMs) >= options.silentMs,
  );
  const allowed = Math.max(1, Math.floor(entries.size * options.excludeShareMax));
  if (kept.length + silent.length > allowed) {
    return { excluded: sameOr(record, kept), held: silent.map(({ name }) => name) };
  }
  const added = silent.map(({ name, incarnationId }) => ({ name, incarnationId }));
  return { excluded: sameOr(record, [...kept, ...added]), held: [] };
}

/**
 * A compromised key goes at its deadline whether or not everybody holds the target. Who does not by half of that time is
 * left behind, alive or not, so that the others are on the target before the old key goes. Not when that is most of the
 * fleet: there is nobody to save then.
 */
function leftBehind(
  record: FleetRecord,
  kept: readonly ExcludedNode[],
  state: ControllerState,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
): readonly ExcludedNode[] {
  const { target, phase, emergency } = record;
  const phaseMs = nowMs - (state.seen?.sinceMs ?? nowMs);
  if (!emergency || phase !== "staging" || target === null || phaseMs < options.emergencyDeadlineMs / 2) return [];
  const known = new Set(kept.map(({ name }) => name));
  const entries = [...observation.roster.entries.values()].filter(({ name }) => !known.has(name));
  const behind = entries.filter((entry) => !isEvidence(observation.reports.get(entry.name), entry, target));
  if (behind.length + kept.length > observation.roster.entries.size / 2) return [];
  return behind.map(({ name, incarnationId }) => ({ name, incarnationId }));
}

function sameOr(record: FleetRecord, excluded: readonly ExcludedNode[]): readonly ExcludedNode[] {
  const isSame =
    excluded.length === record.excluded.length && excluded.every(({ name }, i) => record.excluded[i]?.name === name);
  return isSame ? record.excluded : excluded;
}

/** Heard of again, it has restaged every key that anyone may send with, and it is at the fleet's level. */
function mayReturn(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  entry: RosterEntry,
  nowMs: number,
  options: ControllerOptions,
): boolean {
  if (silenceMs(state, observation, entry.name, nowMs) >= options.silentMs) return false;
  return whyOut(record, observation.reports.get(entry.name), entry) === null;
}

/** What an excluded node has yet to do before it counts again, once it is heard of. */
export function whyExcluded(record: FleetRecord, report: Report | undefined, entry: RosterEntry): string {
  return `excluded: ${whyOut(record, report, entry) ?? "must be heard of again"}`;
}

function whyOut(record: FleetRecord, report: Report | undefined, entry: RosterEntry): string | null {
  const isOfNow = report?.incarnationId === entry.incarnationId;
  const late = isOfNow ? whyNotApplied(record, report) : null;
  if (late !== null) return late;
  for (const key of neededKeys(record)) {
    if (!isOfNow) return "has not reported since its restart";
    if (!isEvidence(report, entry, key)) return `has not staged key ${key.keyId}`;
    if (report.through < (throughOf(record, key) ?? 0)) return "has not staged for everybody who joined meanwhile";
  }
  return null;
}

function neededKeys(record: FleetRecord): readonly KeyIdentity[] {
  const onTarget = record.phase === "staged" || record.phase === "draining";
  const key = onTarget ? record.target : record.current;
  return key === null ? [] : [key];
}

/** Why each node holds up the present phase; empty when nobody does. */
export function findStragglers(record: FleetRecord, state: ControllerState, observation: ControllerObservation, nowMs: number, options: ControllerOptions): readonly StragglerNote[] {
  if (record.phase === "steady" || record.target === null) return [];
  const notes: StragglerNote[] = [];
  const excluded = new Set(record.excluded.map(({ name }) => name));
  for (const entry of observation.roster.entries.values()) {
    if (excluded.has(entry.name)) {
      notes.push({ name: entry.name, kind: "excluded", why: whyExcluded(record, observation.reports.get(entry.name), entry) });
      continue;
    }
    const why = whyBehind(record, observation, entry);
    if (why === null) continue;
    const silent = silenceMs(state, observation, entry.name, nowMs) >= options.silentMs;
    notes.push({ name: entry.name, kind: silent ? "silent" : "slow", why });
  }
  return notes;
}

/** Why this node holds up the present phase, null when it does not. */
export function whyBehind(
  record: FleetRecord,
  observation: Pick<ControllerObservation, "reports">,
  entry: RosterEntry,
): string | null {
  const { target, current } = record;
  const report = observation.reports.get(entry.name);
  if (target === null) return null;
  if (report === undefined) return "has not reported";
  if (report.incarnationId !== entry.incarnationId) return "has not reported since its restart";
  if (record.phase === "staging" || record.phase === "staged") {
    if (!includesKey(report.holds, target)) return whyNotStaged(report.available, target, report.waitingFor !== null);
    if (record.phase === "staged" && report.sendingOldest !== target.keyId) return whyOnOldKey(report);
    return null;
  }
  if (record.phase === "draining") return current !== null && includesKey(report.holds, current) ? "drains the old key" : null;
  return includesKey(report.refused, target) ? null : "has not gone back to the old key";
}

function whyOnOldKey({ unproven }: Report): string {
  if (unproven === undefined) return "still sends with the old key";
  const others = unproven.count > 1 ? ` and ${unproven.count - 1} more` : "";
  return `keeps ${unproven.peer}${others} on the old key: ${unproven.why}`;
}

function whyNotStaged(available: readonly KeyIdentity[], target: KeyIdentity, isWaiting: boolean): string {
  if (isWaiting) return "waits (jitter)";
  const sameId = available.find((key) => key.keyId === target.keyId);
  if (sameId !== undefined && sameId.check !== target.check) return "its key file has other bytes under this key id";
  return sameId === undefined ? "its key file does not offer the key" : "stages";
}
