/**
 * Our word: from now on we send only with `next`. It is durable (`sendFloor`), it is what "sending oldest" reports, and
 * others retire the old key upon it. A peer that nothing is sent to is not on the old key.
 */
import { includesKey, sameKey } from "../key-id.js";
import type { Directive } from "./context.js";
import type { AgentState } from "./state.js";

/**
 * Gives the word when no packet goes out with an older key and none will; an abort takes it back. Who shares no key
 * with us is not waited for: a node that was away for more than a rotation must be able to go on.
 */
export function giveWord(state: AgentState, directive: Directive): AgentState {
  const { tally, durable } = state;
  const { next } = directive;
  if (directive.aborting) {
    return durable.sendFloor === null ? state : { ...state, durable: { ...durable, sendFloor: null } };
  }
  if (next === null || sameKey(durable.sendFloor, next) || tally.onCurrent > 0) return state;
  const isBest = sameKey(directive.candidates[0] ?? null, next);
  const isOnly = !directive.candidates.some((key) => !sameKey(key, next));
  const isInUse = tally.counted > 0 && tally.onNext + tally.strangers === tally.counted;
  const isAlone = tally.counted > 0 && tally.strangers === tally.counted;
  const mayGive = isAlone || (isBest && (isOnly || isInUse));
  if (!mayGive || !includesKey(directive.hold, next)) return state;
  return { ...state, durable: { ...durable, sendFloor: next } };
}

/** Is the word given for the `next` of the present context, and does the kernel bear it out? */
export function hasGivenWord(state: AgentState): boolean {
  const next = state.context?.next ?? null;
  return next !== null && sameKey(state.durable.sendFloor, next) && state.tally.onCurrent === 0;
}
