/**
 * Guards taken away in the model, under the names of src/sim/mutants. A mutant that wraps a step is used as it is; one
 * that wraps a port has its counterpart here, as the model has no ports. Those of which the model has nothing to say
 * (time, departures, broken files, foreign SAs, plain packets) are left to the simulator.
 */
import { mutants as simulated } from "../sim/mutants/named-mutants.js";
import type { StepAgent } from "../runtime/agent-machine.js";
import { ownMutants } from "./own-mutants.js";
import type { Rule, Scope } from "./scope.js";

type Changes = Pick<Scope, "step" | "controllerStep" | "broken">;

/** For lack of leaves, lost files, foreign SAs, plain packets and a clock. */
const beyondTheModel = new Set([
  "act-before-saved",
  "drop-a-deletion",
  "resurrect-restored-node",
  "commit-before-validate",
  "exclude-after-outage",
  "older-registry-obeyed",
  "jitter-ignored",
  "retire-without-drain",
  "plain-until-covered",
  "touch-foreign",
  "taken-spi-kept",
  "level-without-drain",
  "retired-key-after-off",
  "require-while-plain",
  "begins-plain-while-closing",
  "refuse-while-probing",
  "switch-without-proof",
  "plain-without-proof",
]);

const brokenRules: ReadonlyMap<string, Rule> = new Map([
  ["flush-on-start", "adopt-on-start"],
  ["edge-triggered-acks", "listed-reports"],
  ["two-leaders-no-cas", "compare-and-set"],
]);

export function mutantNames(): readonly string[] {
  return [...simulated.keys(), ...ownMutants.keys()].filter((name) => !beyondTheModel.has(name)).sort();
}

/** @throws for a name that is not in `mutantNames` */
export function withMutant(scope: Scope, name: string): Scope {
  return { ...scope, ...changesOf(name) };
}

function changesOf(name: string): Changes {
  const rule = brokenRules.get(name);
  if (rule !== undefined) return { broken: rule };
  const own = ownMutants.get(name);
  if (own !== undefined) return own;
  const changes = simulated.get(name)?.changes;
  if (changes === undefined || beyondTheModel.has(name)) throw new Error(`the model has no mutant ${name}`);
  const step = changes.step?.(anyNode);
  const { controllerStep } = changes;
  return {
    ...(step === undefined ? {} : { step: name === "retire-by-timer" ? hurried(step) : step }),
    ...(controllerStep === undefined ? {} : { controllerStep }),
  };
}

/** The mutants of the registry change every node alike. */
const anyNode = "a" as never;

const laterMs = 60_000;

/** Time stands still in the model; here any timer has run out by the turn after the one that set it. */
function hurried(step: StepAgent): StepAgent {
  return (state, observation, nowMs, options) => {
    const isSet = state.phase === "staged" || state.phase === "switched";
    return step(state, observation, isSet ? nowMs + laterMs : nowMs, options);
  };
}
