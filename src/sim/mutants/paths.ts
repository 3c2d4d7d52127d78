/** Mutants of path proof. */
import type { Effect } from "../../core/rotation/effect.js";
import { stepAgent } from "../../core/rotation/step.js";
import type { StepAgent } from "../../runtime/agent-loop.js";
import { everywhere, type Mutant } from "./mutant.js";

const isReport = ({ kind }: Effect): boolean => kind === "publish-report";

/** What it says does not wait for the probe that it has under way. */
const reportsWhileProbing: StepAgent = (state, observation, nowMs, options) => {
  const step = stepAgent(state, observation, nowMs, options);
  const inFlight = new Set(observation.inFlight);
  if (!inFlight.delete("probe") || step.effects.some(isReport)) return step;
  const reports = stepAgent(state, { ...observation, inFlight }, nowMs, options).effects.filter(isReport);
  return { ...step, effects: [...step.effects, ...reports] };
};

export const pathMutants: readonly Mutant[] = [
  {
    name: "switch-without-proof",
    without: "packets go over to a new key only when a probe with it was answered",
    changes: everywhere((state, observation, nowMs, options) =>
      stepAgent(state, observation, nowMs, { ...options, provesPaths: false }),
    ),
  },
  {
    name: "refuse-while-probing",
    without: "a key is refused only when no probe with it can be on its way any more",
    changes: everywhere(reportsWhileProbing),
  },
];
