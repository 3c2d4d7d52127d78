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

export interface ScenarioRun {
  /** "before" for the field's behaviour, "after" for ours, with more words where there are several. */
  readonly label: string;
  /** The rules that decide in this run, in words. */
  readonly rules: string;
  /** Made anew for each play: old behaviours remember things. */
  readonly options: () => Omit<SimOptions, "seed">;
  /** What happens when. */
  readonly script: (play: Play) => void;
  /** What is not as it should be; empty when the run went as reported (before) or held (after). */
  readonly expect: (outcome: Outcome) => readonly string[];
}
