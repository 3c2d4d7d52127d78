/**
 * When the old key goes: by evidence that nobody sends with it and a drain in which its inbound SAs were seen idle by
 * two dumps, or at the deadline, which is counted and logged as forced (S2, S5). First-use and last-use times prove
 * nothing about packets in flight; unchanged packet counters do.
 */
import { sameKey, type KeyIdentity } from "../key-id.js";
import type { Directive } from "./context.js";
import type { Deadline, DurableState } from "./durable.js";
import type { Note } from "./effect.js";
import type { Observation, ObservedKernel } from "./observation.js";
import type { AgentOptions, AgentState, Drain } from "./state.js";
import { hasGivenWord } from "./word.js";

export function advanceRetirement(
  state: AgentState,
  observation: Observation,
  directive: Directive,
  nowMs: number,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  const old = oldKey(state, directive);
  if (old === null) return withoutDrain(withoutDeadline(state));
  const timed = withDeadline(state, observation, directive, old, nowMs);
  const forced = timed.durable.deadline !== null && nowMs >= timed.durable.deadline.dueMs;
  const drained = advanceDrain(timed, observation, directive, old, nowMs);
  const isIdle = drained.drain !== null && isIdleFor(drained.drain, observation.kernel, directive.drainMs);
  if (!forced && !isIdle) return drained;
  return retire(drained, observation, old, forced && !isIdle, options, notes);
}

/**
 * The key to get rid of, null while there is none or an abort goes back to it. A compromised one goes from a node that
 * has no other, too; an order once seen is not forgotten (S5).
 */
function oldKey(state: AgentState, directive: Directive): KeyIdentity | null {
  const { deadline, retired } = state.durable;
  const isOrdered = directive.emergency || (deadline?.emergency === true && sameKey(deadline.key, directive.current));
  if (directive.aborting || (directive.next === null && !isOrdered)) return null;
  return sameKey(directive.current, retired) ? null : directive.current;
}

/** A deadline runs from the first sight of its cause and is never renewed: not by a restart, not by a new reading. */
function withDeadline(
  state: AgentState,
  observation: Observation,
  directive: Directive,
  old: KeyIdentity,
  nowMs: number,
): AgentState {
  const { deadline } = state.durable;
  const bootId = observation.kernel.identity?.bootId ?? "";
  if (deadline !== null && sameKey(deadline.key, old)) {
    return hastened(rebased(state, deadline, bootId, nowMs), directive, nowMs);
  }
  const runs = directive.emergency || directive.drainAllowed || hasSwitched(state);
  if (!runs) return withoutDeadline(state);
  const { retireMs, emergency } = directive;
  const started: Deadline = { key: old, bootId, dueMs: nowMs + retireMs, remainingMs: retireMs, emergency };
  return withDurable(state, { ...state.durable, deadline: started });
}

/** The key turned out to be compromised while its deadline ran: the shorter one counts, from now. */
function hastened(state: AgentState, directive: Directive, nowMs: number): AgentState {
  const { deadline } = state.durable;
  if (deadline === null || deadline.emergency || !directive.emergency) return state;
  const dueMs = Math.min(deadline.dueMs, nowMs + directive.retireMs);
  return withDurable(state, { ...state.durable, deadline: { ...deadline, dueMs, emergency: true } });
}

/** Pairwise only: in barrier coordination the record's phase says when the deadline starts. */
function hasSwitched(state: AgentState): boolean {
  const { context, tally } = state;
  return context?.evidence.kind === "pairwise" && tally.counted > 0 && hasGivenWord(state);
}

/** The machine booted since, and its monotonic clock began anew: what was left then is left now. */
function rebased(state: AgentState, deadline: Deadline, bootId: string, nowMs: number): AgentState {
  if (deadline.bootId === bootId) return state;
  return withDurable(state, { ...state.durable, deadline: { ...deadline, bootId, dueMs: nowMs + deadline.remainingMs } });
}

function withoutDeadline(state: AgentState): AgentState {
  return state.durable.deadline === null ? state : withDurable(state, { ...state.durable, deadline: null });
}

function withoutDrain(state: AgentState): AgentState {
  return state.drain === null ? state : { ...state, drain: null };
}

function withDurable(state: AgentState, durable: DurableState): AgentState {
  return { ...state, durable };
}

/** Begins a window, and begins it again whenever a dump shows that the old SAs carried a packet. */
function advanceDrain(
  state: AgentState,
  observation: Observation,
  directive: Directive,
  old: KeyIdentity,
  nowMs: number,
): AgentState {
  const mayDrain = directive.drainAllowed && directive.retireEarly && state.tally.onCurrent === 0;
  if (!mayDrain) return withoutDrain(state);
  const { kernel } = observation;
  const { drain } = state;
  if (drain === null || !sameKey(drain.key, old)) {
    return { ...state, drain: { key: old, sinceMs: nowMs, dumpSerial: kernel.dumpSerial, packets: -1 } };
  }
  const packets = kernel.packetsIn.get(old.keyId) ?? 0;
  if (kernel.dumpSerial === drain.dumpSerial || packets === drain.packets) return state;
  return { ...state, drain: { key: old, sinceMs: kernel.dumpedAtMs, dumpSerial: kernel.dumpSerial, packets } };
}

function isIdleFor(drain: Drain, kernel: ObservedKernel, drainMs: number): boolean {
  const isSeenTwice = drain.packets >= 0 && kernel.dumpSerial > drain.dumpSerial;
  return isSeenTwice && kernel.dumpedAtMs - drain.sinceMs >= drainMs;
}

/**
 * When the drain needs its next dump, in monotonic milliseconds; null when it needs none: before it began, and once it
 * is over and only an excluded node keeps the old key.
 */
export function nextDrainDumpMs(state: AgentState, kernel: ObservedKernel, drainMs: number): number | null {
  const { drain } = state;
  if (drain === null || isIdleFor(drain, kernel, drainMs)) return null;
  return drain.packets < 0 ? drain.sinceMs : drain.sinceMs + drainMs;
}

function retire(
  state: AgentState,
  observation: Observation,
  old: KeyIdentity,
  forced: boolean,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  const errors = Math.max(0, observation.kernel.errors - (state.rotationSeen?.errors ?? observation.kernel.errors));
  notes.push({ kind: "retired", key: old, forced, errors });
  const { durable } = state;
  const moved = options.coordination === "pairwise" ? { current: durable.next, next: null } : {};
  const lastRetired = { key: old, forced, errors };
  return { ...state, drain: null, durable: { ...durable, ...moved, retired: old, lastRetired, deadline: null } };
}

/** S5 without a registry: a deadline that runs is obeyed even when nothing else is known. */
export function retireWithoutEvidence(
  state: AgentState,
  observation: Observation,
  nowMs: number,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  const { deadline } = state.durable;
  if (deadline === null) return state;
  const timed = rebased(state, deadline, observation.kernel.identity?.bootId ?? "", nowMs);
  const due = timed.durable.deadline;
  return due !== null && nowMs >= due.dueMs ? retire(timed, observation, due.key, true, options, notes) : timed;
}
