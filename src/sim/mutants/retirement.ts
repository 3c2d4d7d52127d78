/** Mutants that delete the old key too early: by a timer, or without a drain (R3 of the design). */
import type { KeyIdentity } from "../../core/key-id.js";
import type { AgentOptions, AgentState } from "../../core/rotation/state.js";
import { stepAgent, type AgentStep } from "../../core/rotation/step.js";
import type { StepAgent } from "../../runtime/agent-loop.js";
import { everywhere, type Mutant } from "./mutant.js";

/** In the field it is five minutes, counted from the load of the key; here as short as a rotation is. */
const timerMs = 200;

const retiresByTimer: StepAgent = (state, observation, nowMs, options) => {
  const step = stepAgent(state, observation, nowMs, options);
  const { phase, phaseSinceMs } = step.state;
  if (phase !== "staged" && phase !== "switched") return step;
  if (nowMs >= phaseSinceMs + timerMs) return retired(step, options);
  const wakeAtMs = Math.min(step.wakeAtMs ?? Number.POSITIVE_INFINITY, phaseSinceMs + timerMs);
  return { ...step, wakeAtMs };
};

const retiresUndrained: StepAgent = (state, observation, nowMs, options) => {
  const step = stepAgent(state, observation, nowMs, options);
  return step.state.drain === null ? step : retired(step, options);
};

/** The next step deletes what this one declares retired. */
function retired(step: AgentStep, options: AgentOptions): AgentStep {
  const { state } = step;
  const old = state.context?.current ?? null;
  if (old === null || state.durable.retired === old) return step;
  return { ...step, state: { ...state, drain: null, durable: withoutKey(state, old, options) }, wakeAtMs: 0 };
}

function withoutKey({ durable }: AgentState, old: KeyIdentity, options: AgentOptions): AgentState["durable"] {
  const lastRetired = { key: old, forced: false, errors: 0 };
  const moved = options.coordination === "pairwise" ? { current: durable.next, next: null } : {};
  return { ...durable, ...moved, retired: old, lastRetired, deadline: null };
}

export const retirementMutants: readonly Mutant[] = [
  {
    name: "retire-by-timer",
    without: "the old key goes only when every counted peer has said that it sends with the new one",
    changes: everywhere(retiresByTimer),
  },
  {
    name: "retire-without-drain",
    without: "the old SAs must be seen idle for a while before they go",
    changes: everywhere(retiresUndrained),
  },
];
