/**
 * The agent's machine: `step(state, observation, now) -> { state, effects }`. Pure and level-triggered: it decides from
 * all that is known now. Decisions and facts depend on each other, so it repeats until neither changes; each round
 * makes at least one decision that it will not take back, which bounds the rounds.
 */
import { assert } from "../assert.js";
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { jitterMs } from "../jitter.js";
import type { RosterRevision } from "../node.js";
import { awaitedTarget, barrierDirective, newestFleet } from "./barrier.js";
import { sameContext, type Context, type Directive } from "./context.js";
import type { DurableState } from "./durable.js";
import type { Effect, Note } from "./effect.js";
import { wantedEffects } from "./effects.js";
import { contextOf, evaluate } from "./evaluate.js";
import { settleIncarnation } from "./incarnation.js";
import type { Observation } from "./observation.js";
import { decidePairwise, isCompromised, pairwiseDirective } from "./pairwise.js";
import { levelOf, withoutKeys } from "./level.js";
import { heldThrough } from "./publish.js";
import { giveWord, hasGivenWord } from "./word.js";
import { advanceRetirement, retireWithoutEvidence } from "./retire.js";
import type { AgentOptions, AgentPhase, AgentState } from "./state.js";

export interface AgentStep {
  readonly state: AgentState;
  readonly effects: readonly Effect[];
  /** What to log, in order. */
  readonly notes: readonly Note[];
  readonly wakeAtMs: number | null;
}

const roundsMax = 12;

export function stepAgent(state: AgentState, observation: Observation, nowMs: number, options: AgentOptions): AgentStep {
  const notes: Note[] = [];
  if (observation.kernel.identity === null || !observation.keys.read) {
    const wanted = wantedEffects(state, observation, nowMs, options.drainMs, options);
    return { ...wanted, notes };
  }
  const started = settleIncarnation(state, observation, options, notes);
  const decided = decide(started, observation, nowMs, options, notes);
  const spoken = withThrough(decided.state, heldThrough(decided.state, observation).through);
  const phased = withPhase(spoken, decided.directive, observation.kernel.counts.sasIn, nowMs, notes);
  const drainMs = decided.directive?.drainMs ?? options.drainMs;
  const wanted = wantedEffects(phased, observation, nowMs, drainMs, options);
  return { ...wanted, notes };
}

function withThrough(state: AgentState, through: RosterRevision): AgentState {
  return through === state.through ? state : { ...state, through };
}

interface Decided {
  readonly state: AgentState;
  readonly directive: Directive | null;
}

function decide(
  started: AgentState,
  observation: Observation,
  nowMs: number,
  options: AgentOptions,
  notes: Note[],
): Decided {
  // First the facts: no decision is made on counts of what was seen before this observation.
  let asked = ask(started, observation, options);
  let state = evaluate(started, observation, asked.context, options, notes);
  for (let round = 0; round < roundsMax; round += 1) {
    const before = state;
    state = nameKeys(state, observation, options, notes);
    state = startWait(state, observation, nowMs, options, notes);
    if (!isSettled(asked.of, state)) asked = ask(state, observation, options);
    if (!sameContext(asked.context, state.context)) {
      state = evaluate(state, observation, asked.context, options, notes);
      // Asked again: the counts above were of the keys that this round may have replaced.
      asked = ask(state, observation, options);
    }
    const { directive, context } = asked;
    state = directive === null || context === null
      ? retireWithoutEvidence(state, observation, nowMs, options, notes)
      : settleWords(state, observation, directive, nowMs, options, notes);
    if (isSettled(before, state)) return { state, directive };
  }
  assert(false, "decisions settle");
}

/** The decisions that follow from a state, asked for again only when it is another. */
interface Asked {
  readonly of: AgentState;
  readonly directive: Directive | null;
  readonly context: Context | null;
}

function ask(state: AgentState, observation: Observation, options: AgentOptions): Asked {
  const directive = directiveOf(state, observation, options);
  return { of: state, directive, context: contextOf(state, observation, directive, options) };
}

function isSettled(before: AgentState, after: AgentState): boolean {
  return (
    before.durable === after.durable &&
    before.deletionsHeld === after.deletionsHeld &&
    before.tally === after.tally &&
    sameContext(before.context, after.context)
  );
}

/** Durable decisions about which keys there are: the fleet record (barrier) or the node's own (pairwise). */
function nameKeys(state: AgentState, observation: Observation, options: AgentOptions, notes: Note[]): AgentState {
  const durable =
    options.coordination === "barrier"
      ? followFleet(state.durable, observation)
      : decidePairwise(state, observation, options, notes);
  return durable === state.durable ? state : { ...state, durable };
}

function followFleet(durable: DurableState, observation: Observation): DurableState {
  const fleet = newestFleet(durable, observation.fleet);
  return fleet === durable.fleet ? durable : { ...durable, fleet };
}

/**
 * Draws the length of a jitter wait once per key. A node that never sent anything has nothing to spread. An emergency
 * does not wait, and that staging began is as durable then: its order may be gone when the agent starts again.
 */
function startWait(
  state: AgentState,
  observation: Observation,
  nowMs: number,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  const key = awaitedKey(state, options);
  if (key === null || !observation.roster.complete || sameKey(state.durable.staging, key)) return state;
  const isUrgent = options.coordination === "pairwise" && isCompromised(observation, state.durable.current);
  if (isUrgent) return { ...state, durable: { ...state.durable, staging: key } };
  if (sameKey(state.wait?.key ?? null, key)) return endWait(state, key, nowMs);
  const isFresh = state.checkpoint.size === 0;
  const nodes = observation.roster.entries.size;
  const lengthMs = isFresh ? 0 : jitterMs(options.jitter, nodes, options.name, key.keyId, observation.chance);
  if (lengthMs > 0) notes.push({ kind: "waiting", key, waitMs: lengthMs });
  return endWait({ ...state, wait: { key, startedMs: nowMs, lengthMs } }, key, nowMs);
}

function endWait(state: AgentState, key: KeyIdentity, nowMs: number): AgentState {
  const isOver = state.wait !== null && nowMs >= state.wait.startedMs + state.wait.lengthMs;
  return isOver ? { ...state, durable: { ...state.durable, staging: key } } : state;
}

function awaitedKey(state: AgentState, options: AgentOptions): KeyIdentity | null {
  return options.coordination === "barrier" ? awaitedTarget(state.durable) : state.durable.next;
}

function directiveOf(state: AgentState, observation: Observation, options: AgentOptions): Directive | null {
  const awaited = awaitedKey(state, options);
  const waited = awaited === null || sameKey(state.durable.staging, awaited);
  const directive =
    options.coordination === "barrier"
      ? barrierDirective(state.durable, observation.keys.usable, waited)
      : pairwiseDirective(state, observation, waited, options);
  return directive !== null && levelOf(state.durable, options) === "off" ? withoutKeys(directive) : directive;
}

/** Decisions that follow from the facts: our word to send only with `next`, and the end of the old key. */
function settleWords(
  state: AgentState,
  observation: Observation,
  directive: Directive,
  nowMs: number,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  const spoken = giveWord(sawRotation(state, observation, directive), directive);
  if (options.coordination === "pairwise" && directive.current === null) return endFirst(spoken, directive);
  return advanceRetirement(spoken, observation, directive, nowMs, options, notes);
}

/** Errors are counted from the first sight of a rotation to the end of the old key. */
function sawRotation(state: AgentState, observation: Observation, directive: Directive): AgentState {
  const key = directive.next;
  if (key === null || sameKey(state.rotationSeen?.key ?? null, key)) return state;
  return { ...state, rotationSeen: { key, errors: observation.kernel.errors } };
}

/** Pairwise, the rotation from "no key": there is nothing to retire once the first key is staged. */
function endFirst(state: AgentState, directive: Directive): AgentState {
  const { next } = directive;
  if (next === null || state.tally.missingNext > 0) return state;
  return { ...state, durable: { ...state.durable, current: next, next: null } };
}

function withPhase(
  state: AgentState,
  directive: Directive | null,
  sas: number,
  nowMs: number,
  notes: Note[],
): AgentState {
  const phase = directive === null || state.context === null ? state.phase : phaseOf(state, directive);
  const stagingSinceMs = stagingSince(state, directive, phase, nowMs);
  if (phase === state.phase) return stagingSinceMs === state.stagingSinceMs ? state : { ...state, stagingSinceMs };
  const key = directive?.next ?? directive?.current ?? null;
  if (state.phase === "staging" && key !== null && phase !== "aborting" && phase !== "waiting") {
    const stagingMs = Math.max(0, Math.round(nowMs - (state.stagingSinceMs ?? nowMs)));
    notes.push({ kind: "staged", key, sas, stagingMs });
    notes.push({ kind: "phase-changed", from: state.phase, to: phase, key });
    return { ...state, stagingMs, stagingSinceMs, phase, phaseSinceMs: nowMs };
  }
  notes.push({ kind: "phase-changed", from: state.phase, to: phase, key });
  return { ...state, stagingSinceMs, phase, phaseSinceMs: nowMs };
}

/** A key file that comes late is no slow staging, which the pre-flight of every later rotation would count twice. */
function stagingSince(state: AgentState, directive: Directive | null, phase: AgentPhase, nowMs: number): number | null {
  if (phase !== "staging") return null;
  const next = directive?.next ?? null;
  if (directive === null || next === null) return state.stagingSinceMs;
  return includesKey(directive.installable, next) ? (state.stagingSinceMs ?? nowMs) : null;
}

function phaseOf(state: AgentState, directive: Directive): AgentPhase {
  const { tally, durable } = state;
  const { next } = directive;
  if (directive.aborting) return "aborting";
  const hasRetired = directive.current !== null && sameKey(durable.retired, directive.current);
  if (next === null || hasRetired) return "steady";
  if (!directive.hold.some((key) => sameKey(key, next))) return "waiting";
  if (tally.missingNext > 0) return "staging";
  if (!hasGivenWord(state)) return "staged";
  return directive.drainAllowed ? "draining" : "switched";
}
