/** Plays one run of a scenario to its end. One seed and one scenario give one story, byte for byte. */
import type { KeyIdentity } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import { allCheckers } from "../checkers/all-checkers.js";
import type { Checker } from "../checkers/checker.js";
import { watchedFleet } from "../checkers/history.js";
import type { SimFleet } from "../fleet.js";
import { outcomeOf, type Outcome } from "./outcome.js";
import { keyOf } from "./keys.js";
import { Play } from "./play.js";
import type { FleetRun, Scenario, ScenarioRun } from "./scenario.js";
import { tellStory } from "./story.js";

export interface PlayedRun {
  readonly run: ScenarioRun;
  readonly outcome: Outcome;
  readonly story: readonly string[];
  /** What is not as the run expects it. */
  readonly findings: readonly string[];
}

export function playRun(run: ScenarioRun, seed: number): PlayedRun {
  const { outcome, story } = "play" in run ? run.play(seed) : playFleet(run, seed);
  return { run, outcome, story, findings: run.expect(outcome) };
}

function playFleet(run: FleetRun, seed: number): Pick<PlayedRun, "outcome" | "story"> {
  const { fleet, history } = watchedFleet({ ...run.options(), seed });
  const play = new Play(fleet);
  const { compromised } = play;
  const newest = (): KeyIdentity => keyOf(play.newestKeyId);
  const checkers = allCheckers({ fleet, history, label: run.rules, drainMs: limits.drainMsDefault, compromised, newest });
  lookOften(fleet, checkers);
  run.script(play);
  const outcome = outcomeOf(fleet, play, checkers.flatMap((checker) => checker.finish()));
  return { outcome, story: tellStory(fleet, play, outcome) };
}

/** How often the checkers look, for small fleets and for large ones: a look costs what the fleet holds. */
const lookMs = 250;
const lookMsLarge = 5_000;
const largeNodes = 100;

function lookOften(fleet: SimFleet, checkers: readonly Checker[]): void {
  for (const checker of checkers) checker.look();
  const afterMs = fleet.nodes.size > largeNodes ? lookMsLarge : lookMs;
  fleet.time.at(fleet.time.nowMs + afterMs, () => lookOften(fleet, checkers));
}

/** All runs of a scenario, in order: the old behaviour first. */
export function playScenario(scenario: Scenario, seed: number): readonly PlayedRun[] {
  return scenario.runs.map((run) => playRun(run, seed));
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
