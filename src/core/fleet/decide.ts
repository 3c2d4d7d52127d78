/**
 * The next fleet record, from all that is known now. Every change is one compare-and-set, so two controllers can do no
 * harm and a crash between any two steps loses nothing. Returns the same record when there is nothing to do.
 */
import { isNewer, sameKey, type KeyIdentity } from "../key-id.js";
import {
  countedNodes,
  hasPurged,
  hasRefused,
  hasRetired,
  hasStaged,
  hasSwitched,
  lacksKey,
  provenThrough,
  raiseThrough,
  type CountedNode,
} from "./barrier.js";
import { isBelow } from "../policy-level.js";
import type { Condition, ControllerObservation, ControllerOptions, ControllerState } from "./controller-state.js";
import { awaitRotation, awaitedConditions, isSpread, withoutAwaited } from "./next-key.js";
import { findConflicts, mostOffered, newestOffered } from "./offers.js";
import { checkPreflight } from "./preflight.js";
import type { FleetRecord, OperatorRequest } from "./record.js";

export interface Decision {
  readonly record: FleetRecord;
  readonly conditions: readonly Condition[];
}

export function decideFleet(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  nowMs: number,
  options: ControllerOptions,
): Decision {
  const phaseMs = nowMs - (state.seen?.sinceMs ?? nowMs);
  const nodes = countedNodes(observation.roster, observation.reports, record.excluded);
  if (nodes.length === 0) return { record, conditions: [] };
  const conflicts = findConflicts(record, nodes);
  switch (record.phase) {
    case "steady":
      return withConditions(decideSteady(record, state, observation, nodes, conflicts, nowMs, options), conflicts);
    case "staging":
      return withConditions(decideStaging(record, observation, nodes, conflicts, phaseMs, options), conflicts);
    case "staged":
      return withConditions(decideStaged(record, observation, nodes, options), conflicts);
    case "draining":
      return withConditions(decideDraining(record, observation, nodes, options), conflicts);
    case "aborting":
      return withConditions(decideAborting(record, observation, nodes), conflicts);
  }
}

function withConditions(decision: Decision, conflicts: readonly Condition[]): Decision {
  return { record: decision.record, conditions: [...conflicts, ...decision.conditions] };
}

function decided(record: FleetRecord, ...conditions: Condition[]): Decision {
  return { record, conditions };
}

function decideSteady(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  nodes: readonly CountedNode[],
  conflicts: readonly Condition[],
  nowMs: number,
  options: ControllerOptions,
): Decision {
  const { request } = observation;
  const { awaited } = record;
  const raised = record.current === null ? record : raise(record, observation, nodes, record.current);
  if (request?.kind === "abort") return decided(withdraw(raised, request, options));
  if (record.levels?.level === "off") {
    const why = "the fleet is at level off, where no key is in use: see spindle level";
    return decided(request === null ? raised : answer(raised, request, false, why));
  }
  if (request === null && awaited === undefined && options.start === "manual" && !needsFirstKey(record)) return decided(raised);
  const target = newestOffered(record, nodes, options.ring);
  const held = awaitedConditions(record, state, target !== null, nowMs, options);
  if (target === null && request === null) return decided(raised, ...held);
  if (target === null && request !== null && options.generate === undefined) return decided(answerNoKey(raised, request), ...held);
  if (conflicts.length > 0) {
    return decided(request === null ? raised : answer(raised, request, false, "key files disagree; see the conditions"), ...held);
  }
  const emergency = isCompromised(request ?? awaited ?? null, record);
  const preflight = checkPreflight(nodes.length, state.stagingMs, emergency, options);
  if (!preflight.fits && !emergency) return refusePreflight(raised, request, preflight.notes);
  if (target === null) return request === null ? decided(raised) : decided(askForKey(raised, request), ...held);
  if (request === null && !isSpread(record, state, nodes, target, nowMs, options)) return decided(raised, ...held);
  const begun = begin(raised, target, emergency, options);
  if (request === null) return decided(begun);
  return decided(answer(withoutAwaited(begun), request, true, `rotation ${begun.rotation} started`));
}

function answerNoKey(record: FleetRecord, request: OperatorRequest): FleetRecord {
  const why = "no node offers a newer key: run `spindle keyfile next` and distribute the file";
  return answer(record, request, false, why);
}

/** No node offers a newer key, and the controller may make one. */
function askForKey(record: FleetRecord, request: OperatorRequest): FleetRecord {
  const asked = awaitRotation(record, request);
  if (asked === null) return answer(record, request, false, "a rotation waits for its key already");
  return answer({ ...record, awaited: asked.awaited }, request, true, asked.why);
}

/** A rotation that only waits for its key. */
function withdraw(record: FleetRecord, request: OperatorRequest, { start }: ControllerOptions): FleetRecord {
  const { awaited } = record;
  if (awaited === undefined) return answer(record, request, false, "no rotation is running");
  const { keyId } = awaited;
  if (keyId !== null && start === "auto") {
    return answer(record, request, false, `key ${keyId} is on its way to the nodes: abort the rotation when it has begun`);
  }
  const rest = keyId === null ? "" : `; key ${keyId} is written and waits for spindle rotate`;
  return answer(withoutAwaited(record), request, true, `the rotation that waited for its key is withdrawn${rest}`);
}

/** Who asked for encryption asked for the key that it takes. */
function needsFirstKey({ current, levels }: FleetRecord): boolean {
  return current === null && levels !== undefined && isBelow("accept", levels.wanted);
}

function refusePreflight(record: FleetRecord, request: OperatorRequest | null, notes: readonly string[]): Decision {
  const message = notes.join("; ");
  const code = "PREFLIGHT_REFUSED";
  const answered = request === null ? record : answer(record, request, false, message, code);
  return decided(answered, { code, message, node: null });
}

function isCompromised(order: Pick<OperatorRequest, "compromised"> | null, record: FleetRecord): boolean {
  return record.current !== null && sameKey(order?.compromised ?? null, record.current);
}

function begin(record: FleetRecord, target: KeyIdentity, emergency: boolean, options: ControllerOptions): FleetRecord {
  return {
    ...record,
    rotation: record.rotation + 1,
    phase: "staging",
    target,
    emergency,
    purge: false,
    leftBehind: false,
    refused: stillRefused(record, options),
    retireMs: emergency ? options.emergencyDeadlineMs : options.retireDeadlineMs,
    drainMs: options.drainMs,
  };
}

/** A refused id stays refused while it is ahead of the key in use: in this turn of the ring it could be offered again. */
function stillRefused(record: FleetRecord, options: ControllerOptions): readonly KeyIdentity[] {
  const { current } = record;
  if (current === null) return record.refused;
  return record.refused.filter((key) => isNewer(key.keyId, current.keyId, options.ring));
}

function answer(
  record: FleetRecord,
  request: OperatorRequest,
  accepted: boolean,
  why: string,
  code?: string,
): FleetRecord {
  if (record.answer?.requestId === request.id) return record;
  const given = { requestId: request.id, accepted, why };
  return { ...record, answer: code === undefined ? given : { ...given, code } };
}

function raise(
  record: FleetRecord,
  observation: ControllerObservation,
  nodes: readonly CountedNode[],
  key: KeyIdentity,
): FleetRecord {
  const through = raiseThrough(record, key, provenThrough(nodes, key, observation.roster.revision));
  return through === record.through ? record : { ...record, through };
}

/** The target may change only here: nobody was ever allowed to send with it. */
function decideStaging(
  record: FleetRecord,
  observation: ControllerObservation,
  nodes: readonly CountedNode[],
  conflicts: readonly Condition[],
  phaseMs: number,
  options: ControllerOptions,
): Decision {
  const { request } = observation;
  const target = targetOf(record);
  const isLate = phaseMs >= options.stageDeadlineMs;
  const abort = request?.kind === "abort" ? request : null;
  if (abort !== null && isOfAnother(abort, target)) return decided(answerOther(record, abort, target));
  if (abort !== null || (isLate && options.slow === "abort")) {
    return abortIfSafe(record, nodes, abort, "the stage deadline passed");
  }
  const better = conflicts.length > 0 ? null : mostOffered(record, nodes, target, options.ring);
  if (better !== null) return decided({ ...record, target: better, rotation: record.rotation + 1 });
  const current = record.current === null ? record : raise(record, observation, nodes, record.current);
  const escalated = escalate(current, request, options);
  const proven = provenThrough(nodes, target, observation.roster.revision);
  if (hasStaged(escalated, proven, observation.roster.revision)) {
    return decided({ ...escalated, phase: "staged", through: raiseThrough(escalated, target, proven) });
  }
  const late: Condition = { code: "STAGE_DEADLINE_PASSED", message: "staging is late; waiting for the stragglers", node: null };
  return isLate ? decided(escalated, late) : decided(escalated);
}

/** An operator may learn during a rotation that the key which is leaving has leaked. */
function escalate(record: FleetRecord, request: OperatorRequest | null, options: ControllerOptions): FleetRecord {
  if (request?.kind !== "rotate") return record;
  if (!isCompromised(request, record)) return answer(record, request, false, "a rotation is running");
  const emergency = { ...record, emergency: true, retireMs: options.emergencyDeadlineMs };
  return answer(emergency, request, true, "the running rotation is now an emergency");
}

function targetOf(record: FleetRecord): KeyIdentity {
  if (record.target === null) throw new Error("bug: a rotation has a target");
  return record.target;
}

function decideStaged(
  record: FleetRecord,
  observation: ControllerObservation,
  nodes: readonly CountedNode[],
  options: ControllerOptions,
): Decision {
  const { request } = observation;
  const target = targetOf(record);
  if (request?.kind === "abort" && isOfAnother(request, target)) return decided(answerOther(record, request, target));
  if (request?.kind === "abort") return abortIfSafe(record, nodes, request, "");
  const raised = raise(record, observation, nodes, target);
  const answered = escalate(raised, request, options);
  if (!hasSwitched(nodes, answered, target)) return decided(answered);
  return decided({ ...answered, phase: "draining", leftBehind: answered.excluded.length > 0 });
}

/** Past the second barrier somebody may have retired the old key: there is no way back. */
function decideDraining(
  record: FleetRecord,
  observation: ControllerObservation,
  nodes: readonly CountedNode[],
  options: ControllerOptions,
): Decision {
  const { request } = observation;
  const target = targetOf(record);
  const raised = raise(record, observation, nodes, target);
  const answered =
    request?.kind === "abort"
      ? answer(raised, request, false, "too late: nodes retire the old key already")
      : escalate(raised, request, options);
  const complete = takeAlong(answered, nodes, target);
  return decided(hasRetired(nodes, complete, target) ? finish(complete, target) : complete);
}

/** Whoever was left behind has returned, and everybody passed the second barrier again, knowing it. */
function takeAlong(record: FleetRecord, nodes: readonly CountedNode[], target: KeyIdentity): FleetRecord {
  const isComplete = record.leftBehind && record.excluded.length === 0 && hasSwitched(nodes, record, target);
  return isComplete ? { ...record, leftBehind: false } : record;
}

function finish(record: FleetRecord, target: KeyIdentity): FleetRecord {
  const through = record.through.filter((mark) => sameKey(mark.key, target));
  return { ...withoutAwaited(record), phase: "steady", current: target, target: null, emergency: false, through };
}

/** The target changed after the operator looked: what is running now was never to be aborted. */
function isOfAnother(request: OperatorRequest, target: KeyIdentity): boolean {
  return request.abort !== null && !sameKey(request.abort, target);
}

function answerOther(record: FleetRecord, request: OperatorRequest, target: KeyIdentity): FleetRecord {
  return answer(record, request, false, `the rotation is to key ${target.keyId} now`);
}

function abortIfSafe(
  record: FleetRecord,
  nodes: readonly CountedNode[],
  request: OperatorRequest | null,
  reason: string,
): Decision {
  const lacking = record.current === null ? null : lacksKey(nodes, record.current);
  const why =
    record.current === null
      ? "there is no key to go back to"
      : record.emergency
        ? "the key to go back to is compromised"
        : lacking === null
          ? null
          : `node ${lacking} does not hold the key to go back to`;
  if (why === null) {
    const aborting: FleetRecord = { ...record, phase: "aborting", purge: false };
    return decided(request === null ? aborting : answer(aborting, request, true, request.reason));
  }
  const condition: Condition = { code: "ABORT_REFUSED", message: `${reason} ${why}`.trim(), node: lacking };
  return decided(request === null ? record : answer(record, request, false, why), condition);
}

function decideAborting(record: FleetRecord, observation: ControllerObservation, nodes: readonly CountedNode[]): Decision {
  const target = targetOf(record);
  const { request } = observation;
  const base = record.current === null ? record : raise(record, observation, nodes, record.current);
  const answered = request === null ? base : answer(base, request, false, "an abort is running");
  if (!answered.purge) return decided(hasRefused(nodes, record, target) ? { ...answered, purge: true } : answered);
  if (!hasPurged(nodes, target)) return decided(answered);
  const through = answered.through.filter((mark) => !sameKey(mark.key, target));
  const refused = [...answered.refused, target];
  return decided({ ...withoutAwaited(answered), phase: "steady", target: null, purge: false, emergency: false, through, refused });
}
