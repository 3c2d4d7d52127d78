/** What a checker is: it watches a fleet from outside the code under test, and says what was violated and why. */
export type Invariant = "S1" | "S2" | "S3" | "S4" | "S5" | "S6" | "L1" | "G1" | "budget";

export interface Violation {
  readonly invariant: Invariant;
  /** Milliseconds of virtual time. */
  readonly atMs: number;
  readonly message: string;
  /** First cause, in words, from the run's own history: who did what when. */
  readonly cause: string | null;
}

/** Watches one fleet. `finish` may be called once. */
export interface Checker {
  readonly invariant: Invariant;
  /** Called often while the run goes on. */
  look(): void;
  /** Called once, when it has ended. */
  finish(): readonly Violation[];
}

/** A violation of a kind that repeats is listed this often and then only counted. */
export const violationsMax = 5;

/** @param ms virtual time @returns seconds, as violations print them */
export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}
