/** Plays one run of a scenario to its end. One seed and one scenario give one story, byte for byte. */
import { SimFleet } from "../fleet.js";
import { outcomeOf, type Outcome } from "./outcome.js";
import { Play } from "./play.js";
import type { Scenario, ScenarioRun } from "./scenario.js";
import { tellStory } from "./story.js";

export interface PlayedRun {
  readonly run: ScenarioRun;
  readonly outcome: Outcome;
  readonly story: readonly string[];
  /** What is not as the run expects it. */
  readonly findings: readonly string[];
}

export function playRun(run: ScenarioRun, seed: number): PlayedRun {
  const fleet = new SimFleet({ ...run.options(), seed });
  const play = new Play(fleet);
  run.script(play);
  const outcome = outcomeOf(fleet, play);
  return { run, outcome, story: tellStory(fleet, play, outcome), findings: run.expect(outcome) };
}

/** All runs of a scenario as text: the golden trace, and what `spindle simulate --scenario` shows. */
export function tellScenario(scenario: Scenario, runs: readonly PlayedRun[]): string {
  const heading = [`${scenario.name} (${scenario.source})`, scenario.summary];
  const told = runs.flatMap(({ run, story, findings }) => [
    "",
    `${run.label}: ${run.rules}`,
    ...story,
    ...findings.map((finding) => `    NOT AS EXPECTED: ${finding}`),
  ]);
  return `${[...heading, ...told].join("\n")}\n`;
}
