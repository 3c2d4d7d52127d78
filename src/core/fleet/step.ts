/**
 * The controller's machine: `step(state, observation, now) -> { state, effects }`. It turns reports into one fleet
 * record. It decides nothing while it does not lead, has not seen complete listings, or sees a roster older than what
 * the record already promises.
 */
import { limits } from "../limits.js";
import type {
  Condition,
  ControllerEffect,
  ControllerNote,
  ControllerObservation,
  ControllerOptions,
  ControllerState,
  ControllerStep,
} from "./controller-state.js";
import { decideFleet } from "./decide.js";
import { updateAudit } from "./audit.js";
import { countedNodes } from "./barrier.js";
import { askLevel, decideLevel, seeLevel } from "./levels.js";
import { decideDue, seeEnd, seeWritten, wantNextKey, withKeyWrite } from "./next-key.js";
import type { NodeName } from "../node.js";
import { newFleet, type FleetRecord } from "./record.js";
import { decideExclusions, observeBeats } from "./stragglers.js";

export function stepController(
  before: ControllerState,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
): ControllerStep {
  const watched: ControllerState = { ...before, beats: observeBeats(before, observation, nowMs) };
  if (!mayDecide(observation)) return { state: watched, effects: [], notes: [], wakeAtMs: null };
  const record = observation.fleet?.record ?? newFleet;
  const state = seeRecord(watched, record, observation, nowMs, options);
  const notes: ControllerNote[] = [];
  const decision = decide(record, state, observation, nowMs, options, notes);
  const effects: ControllerEffect[] = [];
  const audited = updateAudit(state, record, observation, nowMs, options, effects);
  wantWrite(record, decision.record, observation, effects);
  wantClear(record, observation, effects, notes);
  wantNextKey(record, observation, decision.isQuiet, options, effects);
  noteConditions(before.conditions, decision.conditions, notes);
  const finalState = { ...audited, conditions: decision.conditions };
  return { state: finalState, effects, notes, wakeAtMs: nowMs + limits.controllerTickMs };
}

function mayDecide(observation: ControllerObservation): boolean {
  if (!observation.leading || observation.fleet === null || observation.watchingSinceMs === null) return false;
  if (!observation.roster.complete) return false;
  const promised = Math.max(0, ...(observation.fleet.record?.through ?? []).map((mark) => mark.revision));
  return observation.roster.revision >= promised;
}

function seeRecord(
  state: ControllerState,
  record: FleetRecord,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
): ControllerState {
  const seen = seePhase(state, record, observation, nowMs);
  const ended = seeEnd(seen, record, observation, nowMs, options);
  const keyWritten = seeWritten(seen, record, nowMs);
  return ended === seen.ended && keyWritten === seen.keyWritten ? seen : { ...seen, ended, keyWritten };
}

/** Remembers when this process first saw phase and level, so that a deadline is counted on one clock. */
function seePhase(state: ControllerState, record: FleetRecord, observation: ControllerObservation, nowMs: number): ControllerState {
  const nodes = countedNodes(observation.roster, observation.reports, record.excluded);
  const level = seeLevel(state.level, record, nodes, nowMs);
  const { seen } = state;
  if (seen?.rotation === record.rotation && seen.phase === record.phase) return level === state.level ? state : { ...state, level };
  return { ...state, level, seen: { rotation: record.rotation, phase: record.phase, sinceMs: nowMs } };
}

function decide(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
  notes: ControllerNote[],
): Decided & { readonly isQuiet: boolean } {
  const unreadable = [...observation.roster.unreadable].map(unreadableNode);
  if (unreadable.length > 0) return { record, conditions: unreadable, isQuiet: false };
  const { excluded, held } = decideExclusions(record, state, observation, nowMs, options);
  if (!observation.inFlight.has("write-fleet")) noteExclusions(record, excluded, notes);
  const counted = withExclusions(record, excluded);
  const isQuiet = excluded.length === 0 && held.length === 0;
  const decision = decideCounted(counted, state, withoutAnswered(observation, record), isQuiet, nowMs, options);
  const tooMany = held.map((node): Condition => {
    return { code: "TOO_MANY_SILENT", message: `node ${node} is silent, but too many are to exclude it`, node };
  });
  return { record: decision.record, conditions: [...tooMany, ...decision.conditions], isQuiet };
}

interface Decided {
  readonly record: FleetRecord;
  readonly conditions: readonly Condition[];
}

/** One thing at a time: a level that moves is written first, and what else there is to decide is decided after it. */
function decideCounted(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  isQuiet: boolean,
  nowMs: number,
  options: ControllerOptions,
): Decided {
  const { request } = observation;
  if (request?.kind === "level") return { record: askLevel(record, request), conditions: [] };
  const nodes = countedNodes(observation.roster, observation.reports, record.excluded);
  const moved = decideLevel(record, nodes, state.level, nowMs, options);
  if (moved.record !== record) return moved;
  const told = withKeyWrite(record, observation);
  if (told !== record) return { record: told, conditions: moved.conditions };
  const due = decideDue(record, state, observation, isQuiet, nowMs, options);
  if (due.record !== record) return due;
  const decision = decideFleet(record, state, observation, nowMs, options);
  return { record: decision.record, conditions: [...moved.conditions, ...due.conditions, ...decision.conditions] };
}

/** A node that is there and of which nothing is known may hold no key and send with any: no barrier is passed then. */
function unreadableNode(node: NodeName): Condition {
  const message = `the roster's record of node ${node} cannot be read: nothing is decided until it can`;
  return { code: "ROSTER_UNREADABLE", message, node };
}

function withExclusions(record: FleetRecord, excluded: FleetRecord["excluded"]): FleetRecord {
  if (excluded === record.excluded) return record;
  const after = new Set(excluded.map(({ name }) => name));
  const hasReturned = record.excluded.some(({ name }) => !after.has(name));
  return { ...record, excluded, exclusionEpoch: record.exclusionEpoch + (hasReturned ? 1 : 0) };
}

/** A request that the record answers is only waiting to be cleared. */
function withoutAnswered(observation: ControllerObservation, record: FleetRecord): ControllerObservation {
  const { request } = observation;
  return request !== null && record.answer?.requestId === request.id ? { ...observation, request: null } : observation;
}

function noteExclusions(record: FleetRecord, excluded: FleetRecord["excluded"], notes: ControllerNote[]): void {
  if (excluded === record.excluded) return;
  const before = new Set(record.excluded.map(({ name }) => name));
  const after = new Set(excluded.map(({ name }) => name));
  for (const node of after) if (!before.has(node)) notes.push({ kind: "excluded", node });
  for (const node of before) if (!after.has(node)) notes.push({ kind: "included", node });
}

function wantWrite(
  record: FleetRecord,
  next: FleetRecord,
  observation: ControllerObservation,
  effects: ControllerEffect[],
): void {
  if (next === record || observation.inFlight.has("write-fleet") || observation.fleet === null) return;
  effects.push({ kind: "write-fleet", record: next, expectedVersion: observation.fleet.version });
}

/** A request goes once the stored record answers it: a crash before that answers it again, with the same result. */
function wantClear(
  record: FleetRecord,
  observation: ControllerObservation,
  effects: ControllerEffect[],
  notes: ControllerNote[],
): void {
  const { request, inFlight } = observation;
  if (request === null || record.answer?.requestId !== request.id || inFlight.has("clear-request")) return;
  effects.push({ kind: "clear-request", requestId: request.id });
  notes.push({ kind: "answered", requestId: request.id, accepted: record.answer.accepted, why: record.answer.why });
}

function noteConditions(before: readonly Condition[], after: readonly Condition[], notes: ControllerNote[]): void {
  const known = new Set(before.map((condition) => condition.message));
  for (const condition of after) if (!known.has(condition.message)) notes.push({ kind: "condition", condition });
}
