/**
 * Rotations to a key that the controller makes itself: asked for by an operator, or due. First the fleet record says that
 * one is awaited, then its key is written where the nodes read it, then the record says which, and the rotation begins when
 * nodes offer it, as with any other key.
 *
 * Invariant: a key is written only for an awaited rotation that the stored record names, and only while it names no key and
 * nodes offer none that is newer. Whoever dies in between is followed by one that finds the same record and asks the same:
 * what is there already is not written again (ports/next-key.ts), and an id that was refused is not used again.
 */
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { slotOf } from "../jitter.js";
import { wallMsBetween } from "../wall-time.js";
import { countedNodes, type CountedNode } from "./barrier.js";
import type {
  Condition,
  ControllerEffect,
  ControllerObservation,
  ControllerOptions,
  ControllerState,
} from "./controller-state.js";
import { isSettled } from "./levels.js";
import { findConflicts, newestOffered } from "./offers.js";
import { checkPreflight } from "./preflight.js";
import type { AwaitedRotation, FleetRecord, OperatorRequest } from "./record.js";

/** So much of `everyMs` is left to chance: fleets that were made together do not rotate together. */
const dueJitterShare = 0.1;

/** When the last rotation ended, on this clock. The wall clock is asked once: a jump of it later makes nothing due. */
export function seeEnd(
  state: ControllerState,
  record: FleetRecord,
  { audit, wallAt }: ControllerObservation,
  nowMs: number,
  { generate }: ControllerOptions,
): ControllerState["ended"] {
  const everyMs = generate?.everyMs ?? null;
  if (everyMs === null || record.phase !== "steady" || audit === undefined) return null;
  const { rotation } = record;
  if (state.ended?.rotation === rotation) return state.ended;
  const endedAt = audit?.rotation === rotation ? audit.endedAt : null;
  const ageMs = endedAt === null ? 0 : (wallMsBetween(endedAt, wallAt) ?? 0);
  return { rotation, atMs: nowMs - Math.min(Math.max(0, ageMs), everyMs) };
}

/** Since when this process knows that the key is written. */
export function seeWritten({ keyWritten }: ControllerState, { awaited }: FleetRecord, nowMs: number): ControllerState["keyWritten"] {
  const keyId = awaited?.keyId ?? null;
  if (keyId === null) return null;
  return keyWritten?.keyId === keyId ? keyWritten : { keyId, sinceMs: nowMs };
}

/** How long after the last rotation the next one is due: the same for whoever leads, and never more than `everyMs`. */
export function dueAfterMs(everyMs: number, current: KeyIdentity, rotation: number): number {
  return everyMs * (1 - dueJitterShare * slotOf(current.check, rotation));
}

export interface NextKeyDecision {
  readonly record: FleetRecord;
  readonly conditions: readonly Condition[];
}

/** @param isQuiet no node is excluded, or silent and held */
export function decideDue(
  record: FleetRecord,
  state: ControllerState,
  observation: ControllerObservation,
  isQuiet: boolean,
  nowMs: number,
  options: ControllerOptions,
): NextKeyDecision {
  const undue = { record, conditions: [] };
  const { current, rotation, phase, awaited, levels } = record;
  const everyMs = options.generate?.everyMs ?? null;
  if (everyMs === null || state.ended === null || current === null || phase !== "steady") return undue;
  if (awaited !== undefined || !isQuiet || observation.request !== null) return undue;
  if (levels !== undefined && !isSettled(levels)) return undue;
  if (nowMs - state.ended.atMs < dueAfterMs(everyMs, current, rotation)) return undue;
  const nodes = countedNodes(observation.roster, observation.reports, record.excluded);
  if (nodes.length === 0 || findConflicts(record, nodes).length > 0) return undue;
  const preflight = checkPreflight(nodes.length, state.stagingMs, false, options);
  if (!preflight.fits) {
    return { record, conditions: [{ code: "PREFLIGHT_REFUSED", message: preflight.notes.join("; "), node: null }] };
  }
  const reason = `key ${current.keyId} is due to be replaced (rotation.every)`;
  const due = { by: `controller ${options.name}`, at: observation.wallAt, reason, scheduled: true, compromised: null };
  return { record: { ...record, awaited: { ...due, keyId: null, problem: null } }, conditions: [] };
}

/** What became of the last attempt to write the key. Returns the same record when it says so already. */
export function withKeyWrite(record: FleetRecord, { keyWrite }: ControllerObservation): FleetRecord {
  const { awaited, phase, rotation } = record;
  if (awaited === undefined || awaited.keyId !== null || phase !== "steady") return record;
  if (keyWrite === null || keyWrite.rotation !== rotation) return record;
  if (keyWrite.kind === "written") return { ...record, awaited: { ...awaited, keyId: keyWrite.keyId, problem: null } };
  const { problem } = keyWrite;
  const isSaid = awaited.problem?.code === problem.code && awaited.problem.why === problem.why;
  return isSaid ? record : { ...record, awaited: { ...awaited, problem } };
}

export interface Awaiting {
  readonly awaited: AwaitedRotation;
  readonly why: string;
}

/** What an operator's request makes of the rotation that is awaited; null when it asks for nothing new. */
export function awaitRotation(record: FleetRecord, { by, at, reason, compromised }: OperatorRequest): Awaiting | null {
  const { awaited, current } = record;
  const leaked = current !== null && sameKey(compromised, current) ? current : null;
  const order = { by, at, reason, scheduled: false, compromised: leaked };
  if (awaited === undefined) {
    const why = "the controller writes the next key; the rotation begins when nodes offer it";
    return { awaited: { ...order, keyId: null, problem: null }, why };
  }
  const isUrgent = leaked !== null && awaited.compromised === null;
  if (!isUrgent && !awaited.scheduled) return null;
  return { awaited: { ...awaited, ...order }, why: "the rotation that waits for its key is this one now" };
}

/**
 * May the awaited rotation begin with this key? A compromised key's deadline runs from there: it waits until everybody who
 * counts has the new one in its file, or has had the time for it.
 */
export function isSpread(
  record: FleetRecord,
  { keyWritten }: ControllerState,
  nodes: readonly CountedNode[],
  target: KeyIdentity,
  nowMs: number,
  { keyDistributionMs }: ControllerOptions,
): boolean {
  if ((record.awaited?.compromised ?? null) === null) return true;
  if (keyWritten !== null && nowMs - keyWritten.sinceMs >= keyDistributionMs) return true;
  return nodes.every(({ report }) => report !== undefined && includesKey(report.available, target));
}

/** Taken off the record: nothing is awaited, or the rotation has ended. */
export function withoutAwaited(record: FleetRecord): FleetRecord {
  const { awaited, ...rest } = record;
  return awaited === undefined ? record : rest;
}

/**
 * Asks for the key of the rotation that the stored record awaits.
 * @param isQuiet as for `decideDue`: what was only due waits for it here, too
 */
export function wantNextKey(
  record: FleetRecord,
  observation: ControllerObservation,
  isQuiet: boolean,
  options: ControllerOptions,
  effects: ControllerEffect[],
): void {
  const { awaited, phase, rotation, current, refused, levels } = record;
  if (options.generate === undefined || awaited === undefined || awaited.keyId !== null) return;
  if (phase !== "steady" || levels?.level === "off" || (awaited.scheduled && !isQuiet)) return;
  const { keyWrite, inFlight } = observation;
  if (inFlight.has("write-next-key") || (keyWrite?.kind === "written" && keyWrite.rotation === rotation)) return;
  const nodes = countedNodes(observation.roster, observation.reports, record.excluded);
  if (findConflicts(record, nodes).length > 0 || newestOffered(record, nodes, options.ring) !== null) return;
  effects.push({
    kind: "write-next-key",
    rotation,
    current: current?.keyId ?? null,
    refused: refused.map(({ keyId }) => keyId),
  });
}

/** What holds the awaited rotation up. */
export function awaitedConditions(
  record: FleetRecord,
  { keyWritten }: ControllerState,
  isOffered: boolean,
  nowMs: number,
  { generate, keyDistributionMs }: ControllerOptions,
): readonly Condition[] {
  const { awaited, phase } = record;
  if (awaited === undefined || phase !== "steady") return [];
  if (awaited.keyId === null && generate === undefined) {
    const message = "a rotation waits for its key, and this controller has no rotation.generate: it writes none";
    return [{ code: "NEXT_KEY_NOT_WRITTEN", message, node: null }];
  }
  if (awaited.problem !== null) return [{ code: awaited.problem.code, message: awaited.problem.why, node: null }];
  if (keyWritten === null || isOffered || nowMs - keyWritten.sinceMs < 2 * keyDistributionMs) return [];
  const message = `key ${keyWritten.keyId} is written and no node offers it: do nodes read the file that the controller writes?`;
  return [{ code: "NEXT_KEY_NOT_OFFERED", message, node: null }];
}
