/** The mutants that the model checker catches, within which bounds, and how long the shortest run is. */
import type { Violation } from "../../src/modelcheck/checks.js";
import type { Scope } from "../../src/modelcheck/scope.js";

export interface Caught {
  readonly mutant: string;
  /** The trace of design.md 4.7 that has this rule. */
  readonly trace?: string;
  readonly bounds: Partial<Scope>;
  readonly invariant: Violation["invariant"];
  readonly moves: number;
}

const pairwise = { coordination: "pairwise" } as const;

export const caught: readonly Caught[] = [
  { mutant: "advertise-before-staged", bounds: {}, invariant: "S1", moves: 9 },
  { mutant: "advertise-before-staged", bounds: pairwise, invariant: "S1", moves: 8 },
  { mutant: "switch-without-evidence", bounds: {}, invariant: "S1", moves: 9 },
  { mutant: "switch-without-evidence", bounds: pairwise, invariant: "S1", moves: 5 },
  { mutant: "through-without-receiver", trace: "join-3-steps", bounds: { rotations: 0, joins: 1 }, invariant: "S1", moves: 5 },
  { mutant: "through-without-receiver", trace: "join-3-steps", bounds: { ...pairwise, rotations: 0, joins: 1 }, invariant: "S1", moves: 5 },
  { mutant: "through-without-receiver", trace: "join-3-steps", bounds: { rotations: 0, reboots: 1 }, invariant: "S1", moves: 5 },
  { mutant: "evidence-without-incarnation", trace: "reboot-3-steps", bounds: { ...pairwise, rotations: 0, reboots: 1 }, invariant: "S1", moves: 5 },
  { mutant: "staged-as-newest", trace: "stale-secret-18", bounds: {}, invariant: "L1", moves: 29 },
  { mutant: "staged-as-newest", trace: "skip-9", bounds: { ...pairwise, rotations: 2 }, invariant: "S1", moves: 11 },
  { mutant: "retire-by-timer", bounds: {}, invariant: "S1", moves: 8 },
  { mutant: "retire-by-timer", bounds: pairwise, invariant: "S1", moves: 5 },
  { mutant: "flush-on-start", bounds: { rotations: 0, crashes: 1 }, invariant: "S1", moves: 2 },
  { mutant: "edge-triggered-acks", bounds: { crashes: 1 }, invariant: "L1", moves: 8 },
  { mutant: "edge-triggered-acks", bounds: { ...pairwise, crashes: 1 }, invariant: "L1", moves: 17 },
  { mutant: "abort-one-phase", trace: "abort-barrier-16", bounds: { aborts: 1 }, invariant: "S2", moves: 20 },
  { mutant: "abort-one-phase", trace: "abort-pairwise-9", bounds: { ...pairwise, aborts: 1 }, invariant: "S2", moves: 13 },
  { mutant: "abort-after-retire", trace: "abort-after-retire-13", bounds: { aborts: 1 }, invariant: "S1", moves: 28 },
  { mutant: "abort-after-retire", trace: "abort-after-retire-13", bounds: { ...pairwise, aborts: 1 }, invariant: "S1", moves: 19 },
  { mutant: "abandon-reported", trace: "abandon-barrier-14", bounds: { rotations: 2 }, invariant: "S2", moves: 22 },
  { mutant: "abandon-reported", trace: "abandon-11", bounds: { ...pairwise, rotations: 2 }, invariant: "S2", moves: 13 },
  { mutant: "never-abandon", trace: "two-targets-deadlock-11", bounds: { ...pairwise, rotations: 2 }, invariant: "L1", moves: 13 },
  { mutant: "purge-while-planning", bounds: { ...pairwise, rotations: 2 }, invariant: "S2", moves: 18 },
  { mutant: "return-unstaged", bounds: { silences: 1 }, invariant: "S1", moves: 13 },
  { mutant: "old-words", bounds: { silences: 1 }, invariant: "S2", moves: 24 },
  { mutant: "level-before-applied", bounds: { rotations: 0, levels: 1 }, invariant: "S1", moves: 9 },
  { mutant: "level-skipped", bounds: { rotations: 0, levels: 1 }, invariant: "S1", moves: 14 },
  { mutant: "report-before-reading", bounds: { ...pairwise, aborts: 1, crashes: 1 }, invariant: "S2", moves: 17 },
];
