/**
 * Evidence from every peer's report, and the rules by which an agent names, abandons and ends a rotation on its own
 * (design 4.2 and 4.3). Its word is kept durably: what it reported, it does not take back.
 */
import { includesKey, isNewer, sameKey, type KeyIdentity, type KeyRing } from "../key-id.js";
import { limits } from "../limits.js";
import type { Context, Directive } from "./context.js";
import type { DurableState } from "./durable.js";
import type { Note } from "./effect.js";
import type { Observation } from "./observation.js";
import { unknownRefusals, unknownWord } from "./peer.js";
import type { AgentOptions, AgentState } from "./state.js";
import type { Tally } from "./tally.js";
import { hasGivenWord } from "./word.js";

export function pairwiseDirective(
  state: AgentState,
  observation: Observation,
  waited: boolean,
  options: AgentOptions,
): Directive {
  const { current, next, retired, refused } = state.durable;
  const aborting = next !== null && includesKey(refused, next);
  const emergency = isCompromised(observation, current) && (next !== null || isSuperseded(observation, current, options.ring));
  const mayStage = next !== null && (waited || aborting || emergency);
  const hold = heldKeys(current, mayStage ? next : null, retired);
  return {
    current,
    next,
    hold,
    installable: hold.filter((key) => includesKey(observation.keys.usable, key) && !(aborting && sameKey(key, next))),
    candidates: candidatesOf(state, aborting, mayStage),
    refused,
    evidence: { kind: "pairwise" },
    drainAllowed: next !== null && !aborting && sendsOnlyNext(state),
    retireEarly: true,
    aborting,
    emergency,
    drainMs: options.drainMs,
    retireMs: emergency ? options.emergencyDeadlineMs : options.retireDeadlineMs,
  };
}

function heldKeys(current: KeyIdentity | null, next: KeyIdentity | null, retired: KeyIdentity | null): readonly KeyIdentity[] {
  const held: KeyIdentity[] = [];
  if (current !== null && !sameKey(current, retired)) held.push(current);
  if (next !== null && !sameKey(next, retired)) held.push(next);
  return held;
}

function candidatesOf(state: AgentState, aborting: boolean, mayStage: boolean): readonly KeyIdentity[] {
  const { current, next, sendFloor } = state.durable;
  const isBound = next !== null && sameKey(sendFloor, next) && !aborting;
  const older = current === null || isBound ? [] : [current];
  if (next === null || !mayStage || aborting) return older;
  const hasStaged = state.tally.missingNext === 0 && state.context?.hold.some((key) => sameKey(key, next)) === true;
  const hasSwitched = isBound || state.tally.onNext > 0;
  return hasStaged || hasSwitched || current === null ? [next, ...older] : older;
}

/** Everybody, we included, sends with `next` and nothing else. */
function sendsOnlyNext(state: AgentState): boolean {
  const { tally } = state;
  return tally.sendsOnlyNext === tally.counted && (tally.counted === 0 || hasGivenWord(state));
}

/** Did an operator declare the running key compromised? */
export function isCompromised(observation: Observation, current: KeyIdentity | null): boolean {
  return current !== null && sameKey(observation.request?.compromised ?? null, current);
}

/** Does anybody offer a newer key? Without one the order is ahead of its rotation, and the fleet would fall silent. */
function isSuperseded(observation: Observation, current: KeyIdentity | null, ring: KeyRing): boolean {
  if (current === null) return false;
  for (const { available } of observation.reports.values()) {
    if (available.some((key) => isNewer(key.keyId, current.keyId, ring))) return true;
  }
  return false;
}

/** Names `next` from the key file, refuses it, or purges it. Returns the same object when nothing changed. */
export function decidePairwise(
  state: AgentState,
  observation: Observation,
  options: AgentOptions,
  notes: Note[],
): DurableState {
  const named = nameKeys(state.durable, observation, options.ring);
  if (named !== state.durable || state.context === null) return named;
  const joined = joinRefusals(state, state.context, observation);
  if (joined !== state.durable) return joined;
  const reason = reasonToRefuse(state, observation, options.ring);
  if (reason !== null && state.durable.next !== null) {
    notes.push({ kind: "refused", key: state.durable.next, why: reason });
    return { ...named, refused: [...named.refused, state.durable.next].slice(-limits.refusedKeysMax), sendFloor: null };
  }
  const skipped = skippedKey(state, state.context, observation, options.ring);
  if (skipped !== null) {
    notes.push({ kind: "refused", key: skipped, why: "this node skipped it for a newer key" });
    return { ...named, refused: [...named.refused, skipped].slice(-limits.refusedKeysMax) };
  }
  return purge(state, observation, notes);
}

function nameKeys(durable: DurableState, observation: Observation, ring: KeyRing): DurableState {
  const offered = observation.keys.available;
  const newest = offered.at(-1);
  if (newest === undefined || durable.next !== null || !isUnused(durable, newest)) return durable;
  if (durable.current !== null) {
    return isNewer(newest.keyId, durable.current.keyId, ring) ? { ...durable, next: newest } : durable;
  }
  const before = offered.at(-2);
  const isFirstRotation = before === undefined || !isUnused(durable, before);
  return isFirstRotation ? { ...durable, next: newest } : { ...durable, current: before, next: newest };
}

/**
 * A key that was abandoned before we took it up costs us nothing to refuse, and those who hold it wait for our word
 * before they delete it. Without this a node that skipped a key and one that abandoned it wait for each other for ever.
 */
function joinRefusals(state: AgentState, context: Context, observation: Observation): DurableState {
  if (state.tally.refusesOther === 0) return state.durable;
  const refused = [...state.durable.refused];
  for (const entry of observation.roster.entries.values()) {
    for (const key of unknownRefusals(context, entry, observation.reports.get(entry.name))) {
      if (!includesKey(refused, key)) refused.push(key);
    }
  }
  return refused.length === state.durable.refused.length ? state.durable : { ...state.durable, refused };
}

function isUnused(durable: DurableState, key: KeyIdentity): boolean {
  const spent = [durable.current, durable.retired, ...durable.refused];
  return !spent.some((one) => sameKey(one, key));
}

/**
 * Refusing is safe while nobody can have retired `current`: we never gave our word for `next`, and every peer reported,
 * after it knew this incarnation of ours, that it holds `current`. Or a peer that could refuse did.
 */
function reasonToRefuse(state: AgentState, observation: Observation, ring: KeyRing): string | null {
  const { current, next, refused, sendFloor } = state.durable;
  const { tally } = state;
  if (next === null || current === null || includesKey(refused, next)) return null;
  if (tally.refusesNext > 0) return "a peer refused it";
  if (sameKey(sendFloor, next) || !isHeldByAll(tally)) return null;
  if (sameKey(observation.request?.abort ?? null, next)) return "an operator aborted the rotation";
  const newest = observation.keys.available.at(-1);
  const isOvertaken = newest !== undefined && isNewer(newest.keyId, next.keyId, ring) && isUnused(state.durable, newest);
  return isOvertaken ? "the key file offers a newer key" : null;
}

/**
 * A key between ours and `next` that a peer gave its word for, null when there is none to refuse. Its peers were fewer
 * then: it cannot leave that key by itself, and waits for our word, which we cannot give for a key that we skipped. Our
 * refusal frees it, and is as safe as that of our own `next`: nobody has retired `current` while we never gave our word.
 */
function skippedKey(state: AgentState, context: Context, observation: Observation, ring: KeyRing): KeyIdentity | null {
  const { current, next } = state.durable;
  if (state.tally.boundToOther === 0 || current === null || next === null || !isHeldByAll(state.tally)) return null;
  if (includesKey(state.durable.refused, next)) return null;
  for (const entry of observation.roster.entries.values()) {
    const key = unknownWord(context, entry, observation.reports.get(entry.name));
    if (key === null || !isUnused(state.durable, key)) continue;
    if (isNewer(key.keyId, current.keyId, ring) && isNewer(next.keyId, key.keyId, ring)) return key;
  }
  return null;
}

/** Every peer reported, after it knew this incarnation of ours, that it holds `current`. */
function isHeldByAll(tally: Tally): boolean {
  return tally.coveredForCurrent === tally.counted;
}

/**
 * The second barrier of an abort: everybody refused `next` and sends older keys, so no packet can need it. We are among
 * them: a plan under way may be about to take `next` up.
 */
function purge(state: AgentState, observation: Observation, notes: Note[]): DurableState {
  const { durable, tally } = state;
  if (observation.inFlight.has("apply")) return durable;
  if (durable.next === null || !includesKey(durable.refused, durable.next)) return durable;
  if (tally.refusedAndOlder < tally.counted || tally.usingNext > 0) return durable;
  notes.push({ kind: "purged", key: durable.next });
  return { ...durable, next: null };
}
