/** Keeps the audit record of the rotation that runs: who, why, phases with times, stragglers, loss, forced retires. */
import { sameKey, type KeyIdentity } from "../key-id.js";
import type { ControllerEffect, ControllerObservation, ControllerOptions, ControllerState } from "./controller-state.js";
import type { NodeName } from "../node.js";
import type { Report } from "../report.js";
import { checkPreflight } from "./preflight.js";
import type { FleetRecord, RotationRecord, StragglerNote } from "./record.js";
import { findStragglers } from "./stragglers.js";

export function updateAudit(
  state: ControllerState,
  record: FleetRecord,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
  effects: ControllerEffect[],
): ControllerState {
  if (record.rotation === 0 || observation.audit === undefined) return state;
  const replaced = replacedAudit(state, record, observation);
  if (replaced !== null) {
    if (observation.inFlight.has("put-rotation")) return state;
    effects.push({ kind: "put-rotation", rotation: replaced });
    return { ...state, audit: null };
  }
  const known = knownAudit(state, record, observation);
  if (record.phase === "steady" && (known === null || known.outcome !== "running")) return wantStored(state, known, observation, effects);
  const timed = startClock(state, known, record, nowMs);
  const started = known ?? openAudit(timed, record, observation, options);
  const afterMs = Math.round(nowMs - (timed.started?.atMs ?? nowMs));
  const next = withPhase(started, record, observation, afterMs);
  const noted = withStragglers(next, findStragglers(record, timed, observation, nowMs, options));
  return wantStored({ ...timed, stagingMs: longestStaging(observation.reports) ?? timed.stagingMs }, noted, observation, effects);
}

/** What is not stored yet is asked to be stored again: neither a write that failed nor a phase that passed is lost. */
function wantStored(
  state: ControllerState,
  audit: RotationRecord | null,
  observation: ControllerObservation,
  effects: ControllerEffect[],
): ControllerState {
  const isWritten = audit === null || audit === observation.audit;
  if (!isWritten && !observation.inFlight.has("put-rotation")) effects.push({ kind: "put-rotation", rotation: audit });
  return { ...state, audit };
}

/** The target changed while staging: the rotation that was left has its end on record too. */
function replacedAudit(
  state: ControllerState,
  record: FleetRecord,
  observation: ControllerObservation,
): RotationRecord | null {
  const last = state.audit ?? observation.audit ?? null;
  if (last === null || last.outcome !== "running" || last.rotation >= record.rotation) return null;
  return { ...last, outcome: "replaced", endedAt: observation.wallAt };
}

function knownAudit(state: ControllerState, record: FleetRecord, observation: ControllerObservation): RotationRecord | null {
  if (state.audit?.rotation === record.rotation) return state.audit;
  return observation.audit?.rotation === record.rotation ? observation.audit : null;
}

function startClock(state: ControllerState, known: RotationRecord | null, record: FleetRecord, nowMs: number): ControllerState {
  if (state.started?.rotation === record.rotation) return state;
  const elapsedMs = known?.phases.at(-1)?.afterMs ?? 0;
  return { ...state, started: { rotation: record.rotation, atMs: nowMs - elapsedMs } };
}

function openAudit(
  state: ControllerState,
  record: FleetRecord,
  observation: ControllerObservation,
  options: ControllerOptions,
): RotationRecord {
  const { request } = observation;
  const isRequested = request !== null && record.answer?.requestId === request.id && record.answer.accepted;
  const asked = isRequested ? request : (record.awaited ?? null);
  const nodes = observation.roster.entries.size;
  const preflight = checkPreflight(nodes, state.stagingMs, record.emergency, options);
  return {
    schemaVersion: 1,
    rotation: record.rotation,
    from: record.current,
    to: record.target ?? unreachableTarget(record),
    reason: asked?.reason ?? "the key files offer a newer key",
    by: asked?.by ?? `controller ${options.name}`,
    emergency: record.emergency,
    startedAt: observation.wallAt,
    endedAt: null,
    outcome: "running",
    preflight: { fits: preflight.fits, nodes, estimateMs: preflight.estimateMs, notes: preflight.notes },
    phases: [],
    stragglers: [],
    forcedRetires: 0,
    errors: 0,
  };
}

/** A rotation that ended before its audit was opened has only its outcome left to say. */
function unreachableTarget(record: FleetRecord): KeyIdentity {
  if (record.current === null) throw new Error("bug: a fleet with rotations has a key");
  return record.current;
}

function withPhase(
  audit: RotationRecord,
  record: FleetRecord,
  observation: ControllerObservation,
  afterMs: number,
): RotationRecord {
  const isKnown = audit.phases.at(-1)?.phase === record.phase;
  const phases = isKnown ? audit.phases : [...audit.phases, { phase: record.phase, at: observation.wallAt, afterMs }];
  const emergency = audit.emergency || record.emergency;
  if (isKnown && emergency === audit.emergency) return audit;
  if (record.phase !== "steady") return { ...audit, phases, emergency };
  const outcome = sameKey(record.current, audit.to) ? "done" : "aborted";
  return { ...audit, phases, outcome, endedAt: observation.wallAt, ...losses(audit, observation) };
}

function losses(audit: RotationRecord, observation: ControllerObservation): { forcedRetires: number; errors: number } {
  let forcedRetires = 0;
  let errors = 0;
  for (const report of observation.reports.values()) {
    if (report.retired === null || !sameKey(report.retired.key, audit.from)) continue;
    if (report.retired.forced) forcedRetires += 1;
    errors += report.retired.errors;
  }
  return { forcedRetires, errors };
}

/** Keeps who was ever excluded or silent; the slow are named only while they are. */
function withStragglers(audit: RotationRecord, found: readonly StragglerNote[]): RotationRecord {
  const known = new Set(audit.stragglers.map((note) => `${note.name} ${note.kind}`));
  const added = found.filter((note) => note.kind !== "slow" && !known.has(`${note.name} ${note.kind}`));
  return added.length === 0 ? audit : { ...audit, stragglers: [...audit.stragglers, ...added] };
}

/** Milliseconds that the staging of a rotation took, without jitter; null when it never ended. */

/** The nodes measure their own staging: what they waited for (key files, jitter, stragglers) is not in it. */
export function longestStaging(reports: ReadonlyMap<NodeName, Report>): number | null {
  let longest: number | null = null;
  for (const { stagingMs } of reports.values()) {
    if (stagingMs !== null) longest = Math.max(longest ?? 0, stagingMs);
  }
  return longest;
}
