/**
 * Reclaim as in the field (cilium): the old key goes a fixed time after this node loaded the new one, whoever still
 * sends with it. The time is counted in memory, so a restart of the agent begins it anew, and no order shortens it.
 */
import { sameKey, type KeyIdentity } from "../../../core/key-id.js";
import type { Note } from "../../../core/rotation/effect.js";
import type { Observation } from "../../../core/rotation/observation.js";
import type { AgentState } from "../../../core/rotation/state.js";
import type { StepAgent } from "../../../runtime/agent-loop.js";

/** Evidence that nobody sends with the old key any more is not waited for, and not used either. */
const drainNeverMs = 1e9;

interface Loaded {
  readonly key: KeyIdentity;
  readonly atMs: number;
}

/** One wrapper for one run of one agent's program: what it remembers dies with it. */
export function retireByTimer(retentionMs: number, inner: StepAgent): StepAgent {
  let loaded: Loaded | null = null;
  return (state, observation, nowMs, options) => {
    const { next } = state.durable;
    if (next === null) loaded = null;
    else if (!sameKey(loaded?.key ?? null, next)) loaded = { key: next, atMs: nowMs };
    const timed = loaded === null ? state : withTimer(state, observation, loaded.atMs + retentionMs);
    const deaf = { ...observation, request: null };
    const result = inner(timed, deaf, nowMs, { ...options, drainMs: drainNeverMs });
    return { ...result, notes: result.notes.map(asRoutine) };
  };
}

function withTimer(state: AgentState, { kernel }: Observation, dueMs: number): AgentState {
  const { current, deadline } = state.durable;
  if (current === null || kernel.identity === null) return state;
  if (sameKey(deadline?.key ?? null, current) && deadline?.dueMs === dueMs) return state;
  const timer = { key: current, bootId: kernel.identity.bootId, dueMs, remainingMs: 0, emergency: false };
  return { ...state, durable: { ...state.durable, deadline: timer } };
}

/** To this rule it is the ordinary end of a key, and no loss is excused by it. */
function asRoutine(note: Note): Note {
  return note.kind === "retired" ? { ...note, forced: false } : note;
}
