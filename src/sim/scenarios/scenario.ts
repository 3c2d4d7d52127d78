/**
 * A failure of the field as a script: the same events under the behaviour that failed and under ours. A scenario that
 * does not fail under the old behaviour shows nothing under the new one, so both runs say what to expect.
 */
import type { SimOptions } from "../options.js";
import type { Outcome } from "./outcome.js";
import type { Play } from "./play.js";

export interface Scenario {
  readonly name: string;
  /** Where the failure was reported. */
  readonly source: string;
  /** What happened there, and what to look at here. */
  readonly summary: string;
  readonly runs: readonly ScenarioRun[];
  /** Where the size matters: the size of the report, and the same scenario at any size. `runs` is a small one. */
  readonly sized?: { readonly reportedNodes: number; readonly at: (nodes: number) => Scenario };
}

export type ScenarioRun = FleetRun | OtherRun;

interface RunWords {
  /** "before" for the field's behaviour, "after" for ours, with more words where there are several. */
  readonly label: string;
  /** The rules that decide in this run, in words. */
  readonly rules: string;
  /** What is not as it should be; empty when the run went as reported (before) or held (after). */
  readonly expect: (outcome: Outcome) => readonly string[];
}

/** A run of a fleet of nodes, by a script. */
export interface FleetRun extends RunWords {
  /** Made anew for each play: old behaviours remember things. */
  readonly options: () => Omit<SimOptions, "seed">;
  /** What happens when. */
  readonly script: (play: Play) => void;
}

/** A run of something else, which tells its story itself. */
export interface OtherRun extends RunWords {
  readonly play: (seed: number) => { readonly outcome: Outcome; readonly story: readonly string[] };
}

/** This run's expectations, with what decides in another run of the same scenario. */
export function withRulesOf(run: ScenarioRun, other: ScenarioRun): ScenarioRun {
  if ("play" in other) return { label: run.label, rules: other.rules, expect: run.expect, play: other.play };
  return "play" in run ? { ...other, expect: run.expect } : { ...run, options: other.options };
}
