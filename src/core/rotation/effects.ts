/**
 * Turns what a state wants into effects: intent is durable before it is acted upon, one apply or dump at a time, and a
 * stage of the plan only when the one before it was read back.
 */
import { includesKey, type KeyIdentity } from "../key-id.js";
import { limits } from "../limits.js";
import { sameAddresses, sameEnds, type NodeName } from "../node.js";
import { PersistentMap } from "../persistent-map.js";
import type { Report } from "../report.js";
import { policySlotOf, type Operation } from "../sa.js";
import { keyIdOf } from "../spi.js";
import type { Effect } from "./effect.js";
import { saSlot, type HeldSa } from "./held.js";
import type { Observation } from "./observation.js";
import { sendingPolicies } from "./incarnation.js";
import { wantedGuard } from "./level.js";
import { inputsOf } from "./path-view.js";
import { isEmpty, planPeer, stageNames, type PeerPlan } from "./peer-plan.js";
import { buildReport, publishAtMs, reportSpreadMs, sameReport } from "./publish.js";
import { wantProbes } from "./probes.js";
import { nextDrainDumpMs } from "./retire.js";
import type { AgentOptions, AgentState } from "./state.js";

export interface Wanted {
  readonly state: AgentState;
  readonly effects: readonly Effect[];
  /** When something is due although nothing changes, monotonic milliseconds. */
  readonly wakeAtMs: number | null;
}

export function wantedEffects(
  state: AgentState,
  observation: Observation,
  nowMs: number,
  drainMs: number,
  options: AgentOptions,
): Wanted {
  const effects: Effect[] = [];
  const wakes: number[] = [];
  const next = noteUnsaid(wantSaves(state, observation, effects), observation, nowMs, options);
  if (next.durable === observation.saved.durable && !observation.inFlight.has("save-state")) {
    wantRegistration(next, observation, options, effects);
    wantGuard(next, observation, options, effects);
    wantKernel(next, observation, nowMs, drainMs, options, effects, wakes);
    wantReport(next, observation, nowMs, options, effects, wakes);
    wantForgetting(next, observation, effects);
  }
  if (next.tally.outboundLost > 0) wakes.push(nowMs);
  const dueMs = next.durable.deadline?.dueMs ?? 0;
  if (dueMs > nowMs) wakes.push(dueMs);
  if (next.wait !== null && next.phase === "waiting") wakes.push(next.wait.startedMs + next.wait.lengthMs);
  return { state: next, effects, wakeAtMs: wakes.length === 0 ? null : Math.min(...wakes) };
}

function wantSaves(state: AgentState, observation: Observation, effects: Effect[]): AgentState {
  const { saved, inFlight } = observation;
  if (state.durable !== saved.durable && !inFlight.has("save-state")) {
    effects.push({ kind: "save-state", durable: state.durable });
  }
  if (state.checkpoint === saved.checkpoint) {
    return state.unrecorded.size === 0 ? state : { ...state, unrecorded: PersistentMap.empty() };
  }
  if (!inFlight.has("save-checkpoint")) {
    effects.push({ kind: "save-checkpoint", checkpoint: state.checkpoint, peers: [...state.unrecorded.keys()] });
  }
  return state;
}

function wantRegistration(state: AgentState, observation: Observation, options: AgentOptions, effects: Effect[]): void {
  const { incarnation } = state.durable;
  const entry = observation.roster.entries.get(options.name);
  if (incarnation === null || !incarnation.cleared || !observation.roster.complete) return;
  if (observation.inFlight.has("register")) return;
  // A life has its addresses, and other networks as they come.
  const addresses = sameEnds(incarnation.addresses, options.addresses) ? options.addresses : incarnation.addresses;
  const isAdmitted = entry?.incarnationId === incarnation.id && sameAddresses(entry.addresses, addresses);
  if (isAdmitted) return;
  effects.push({ kind: "register", incarnationId: incarnation.id, addresses });
}

function wantGuard({ durable }: AgentState, { guard }: Observation, options: AgentOptions, effects: Effect[]): void {
  const isWanted = wantedGuard(durable, options);
  if (isWanted !== null && isWanted !== guard) effects.push({ kind: "set-guard", isWanted });
}

function wantKernel(
  state: AgentState,
  observation: Observation,
  nowMs: number,
  drainMs: number,
  options: AgentOptions,
  effects: Effect[],
  wakes: number[],
): void {
  const { kernel, inFlight } = observation;
  if (!kernel.connected || inFlight.has("read-kernel") || inFlight.has("apply")) return;
  const resyncAtMs = kernel.dumpedAtMs + options.resyncMs;
  const drainAtMs = nextDrainDumpMs(state, kernel, drainMs);
  const why = reasonToRead(state, observation, nowMs, resyncAtMs, drainAtMs, options);
  wakes.push(resyncAtMs);
  if (why !== null) {
    effects.push({ kind: "read-kernel", why });
    return;
  }
  if (drainAtMs !== null) wakes.push(drainAtMs);
  const effect = planBatch(state, observation, nowMs, wakes) ?? wantProbes(state, observation, nowMs, wakes);
  if (effect !== null) effects.push(effect);
}

function reasonToRead(
  state: AgentState,
  observation: Observation,
  nowMs: number,
  resyncAtMs: number,
  drainAtMs: number | null,
  options: AgentOptions,
): string | null {
  const { kernel, roster } = observation;
  if (kernel.identity === null) return "start";
  if (kernel.stale) return "changed by someone else";
  const self = roster.entries.get(options.name);
  const isAdmitted = self !== undefined && self.incarnationId === state.durable.incarnation?.id;
  if (roster.complete && !kernel.recognisedWith.rosterComplete) return "the roster is complete";
  if (isAdmitted && kernel.recognisedWith.selfIncarnationId !== self.incarnationId) return "admitted";
  if (drainAtMs !== null && nowMs >= drainAtMs) return "drain";
  return nowMs >= resyncAtMs ? "resync" : null;
}

function planBatch(state: AgentState, observation: Observation, nowMs: number, wakes: number[]): Effect | null {
  const isHeldBack = (name: NodeName): boolean => {
    const untilMs = observation.heldBack.get(name)?.untilMs ?? nowMs;
    if (untilMs > nowMs) wakes.push(untilMs);
    return untilMs > nowMs;
  };
  if (state.durable.incarnation?.cleared === false) return stopEarlierLife(observation, isHeldBack);
  if (state.context === null) return sweepRetired(state, observation, isHeldBack);
  const { context } = state;
  if (state.toDo.size === 0) return null;
  const peers: NodeName[] = [];
  const plans: PeerPlan[] = [];
  for (const name of state.toDo.keys()) {
    if (peers.length === limits.peersPerPlanMax) break;
    if (isHeldBack(name)) continue;
    const plan = planPeer(context, inputsOf(observation, name));
    if (isEmpty(plan)) continue;
    peers.push(name);
    plans.push(plan);
  }
  return peers.length === 0 ? null : { kind: "apply", stages: mergeStages(plans), peers };
}

function mergeStages(plans: readonly PeerPlan[]): readonly (readonly Operation[])[] {
  const stages: Operation[][] = [];
  for (const name of stageNames) {
    const stage: Operation[] = [];
    for (const plan of plans) for (const operation of plan[name]) stage.push(operation);
    if (stage.length > 0) stages.push(stage);
  }
  return stages;
}

type IsHeldBack = (name: NodeName) => boolean;

function stopEarlierLife(observation: Observation, isHeldBack: IsHeldBack): Effect | null {
  const sending = sendingPolicies(observation.kernel).filter(([name]) => !isHeldBack(name));
  if (sending.length === 0) return null;
  const operations = sending.map(([, policy]) => ({ kind: "delete-policy", policy: policySlotOf(policy) }) as const);
  return { kind: "apply", stages: [operations], peers: sending.map(([name]) => name) };
}

/** Without evidence nothing is planned, but what must be gone goes (S5): every SA of the retired key, by its SPI. */
function sweepRetired(state: AgentState, observation: Observation, isHeldBack: IsHeldBack): Effect | null {
  const keyId = state.durable.retired?.keyId;
  if (keyId === undefined) return null;
  const peers: NodeName[] = [];
  const operations: Operation[] = [];
  const isRetired = ({ spi }: HeldSa): boolean => keyIdOf(spi) === keyId;
  for (const [name, peer] of observation.kernel.peers) {
    const found = peer.sas.filter(isRetired);
    if (found.length === 0 || isHeldBack(name)) continue;
    peers.push(name);
    operations.push(...found.map((sa) => ({ kind: "delete-sa", slot: saSlot(sa) }) as const));
  }
  return peers.length === 0 ? null : { kind: "apply", stages: [operations], peers };
}

/** Where reports are spread, their slots count from the first thing that was not said yet. */
function noteUnsaid(state: AgentState, observation: Observation, nowMs: number, options: AgentOptions): AgentState {
  const last = observation.publishedReport;
  const isSpread = last !== null && reportSpreadMs(observation, options) > 0;
  const report = isSpread ? buildReport(state, observation, options) : null;
  const isUnsaid = last !== null && report !== null && !sameReport(last, report);
  const unsaidSinceMs = isUnsaid ? (state.unsaidSinceMs ?? nowMs) : null;
  return unsaidSinceMs === state.unsaidSinceMs ? state : { ...state, unsaidSinceMs };
}

function wantReport(
  state: AgentState,
  observation: Observation,
  nowMs: number,
  options: AgentOptions,
  effects: Effect[],
  wakes: number[],
): void {
  // What an operation under way will leave behind is not known yet: nothing is said before it was read back.
  if (observation.inFlight.has("publish-report") || observation.inFlight.has("apply")) return;
  const report = buildReport(state, observation, options);
  if (report === null || (promisesMore(report, observation) && observation.inFlight.has("probe"))) return;
  const atMs = publishAtMs(report, state, observation, nowMs, options);
  if (atMs === null) return;
  if (atMs <= nowMs) effects.push({ kind: "publish-report", report });
  else wakes.push(atMs);
}

/**
 * Who hears of it deletes a key when all have said so: one that is refused, the old one where only `next` is sent with, any at
 * `off`, which is taken after `accept`. By then no probe with it is on its way.
 */
function promisesMore({ refused, sendingOldest, level }: Report, { publishedReport }: Observation): boolean {
  const isRefusal = refused.some((key) => !includesKey(publishedReport?.refused ?? [], key));
  return isRefusal || sendingOldest !== publishedReport?.sendingOldest || level?.applied !== publishedReport?.level?.applied;
}

/** A key that the file no longer offers and nobody needs is wiped. */
function wantForgetting(state: AgentState, observation: Observation, effects: Effect[]): void {
  const { context } = state;
  const { keys } = observation;
  if (context === null || !isSettled(state)) return;
  const needed = [...context.hold, context.current, context.next].filter((key): key is KeyIdentity => key !== null);
  const wantedNow = needed.filter((key) => !includesKey(retiredKeys(state), key));
  for (const key of keys.usable) {
    if (!includesKey(keys.available, key) && !includesKey(wantedNow, key)) effects.push({ kind: "forget-key", key });
  }
}

function isSettled({ toDo, tally }: AgentState): boolean {
  return toDo.size === 0 && tally.missingCurrent === 0 && tally.missingNext === 0;
}

function retiredKeys(state: AgentState): readonly KeyIdentity[] {
  return state.durable.retired === null ? [] : [state.durable.retired];
}
