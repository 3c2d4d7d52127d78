/** What `spindle simulate --replay` prints as JSON, for one recording. */
import type { RecordingHeader } from "../../runtime/recording.js";
import type { ReplayFault, ReplayResult } from "../../sim/replay/replay.js";
import type { FoundDifference, RunEnd } from "../../sim/replay/run.js";
import { describeInput, describeOutcome } from "../../sim/replay/words.js";

export interface RecordingView {
  readonly path: string;
  /** Null for a file that is no recording. */
  readonly kind: RecordingHeader["kind"] | null;
  readonly name: string | null;
  readonly runs: readonly RunView[];
  readonly difference: DifferenceView | null;
  readonly faults: readonly ReplayFault[];
}

export interface RunView {
  readonly program: string;
  readonly recordedAt: string;
  readonly inputs: number;
  readonly turns: number;
  readonly durationMs: number;
  readonly end: RunEnd;
}

export interface DifferenceView {
  readonly line: number;
  /** From 1; `turn` counts within the run. */
  readonly run: number;
  readonly turn: number;
  /** On the recorded program's monotonic clock. */
  readonly atMs: number;
  readonly path: string;
  readonly recorded: string | null;
  readonly now: string | null;
  /** What the recorded program got to know since the turn before. */
  readonly after: readonly { readonly line: number; readonly what: string }[];
  /** The whole turn in words: as recorded, and now. */
  readonly recordedTurn: string;
  readonly turnNow: string;
}

export function viewOf(path: string, { runs, difference, faults }: ReplayResult): RecordingView {
  const header = runs[0]?.header ?? null;
  return {
    path,
    kind: header?.kind ?? null,
    name: header?.options.name ?? null,
    runs: runs.map(({ header: { program, wallAt }, inputs, turns, forMs, end }) => {
      return { program, recordedAt: wallAt, inputs, turns, durationMs: Math.round(forMs), end };
    }),
    difference: difference === null ? null : differenceView(difference, runs.length),
    faults,
  };
}

function differenceView(found: FoundDifference, run: number): DifferenceView {
  const { line, turn, atMs, first, inputs, recorded, did, thrown } = found;
  return {
    line,
    run,
    turn,
    atMs,
    path: first.path,
    recorded: first.recorded,
    now: first.replayed,
    after: inputs.map(({ line: inputLine, input }) => ({ line: inputLine, what: describeInput(input) })),
    recordedTurn: recorded === null ? "the program ended within this turn" : describeOutcome(recorded),
    turnNow: did === null ? `throws ${thrown ?? ""}` : describeOutcome(did),
  };
}
