/** Where a loop tells what reached it and what it did, line by line, for a replay (`src/runtime/recording.ts`). */

/** Who records. */
export interface RecordedProgram {
  /** Name and version. */
  readonly program: string;
  /** The name of another step than the program's own, null for that. */
  readonly step: string | null;
}

/** A value that JSON carries as it is, without a secret. The outcome of a turn has no time: it belongs to its turn. */
export type RecordedLine = { readonly atMs: number } | { readonly did: object };

export interface Recorder<Line extends RecordedLine = RecordedLine> {
  readonly program: RecordedProgram;
  /** Takes the line as it is now: what it refers to may change later. Never throws and never waits. */
  write(line: Line): void;
}
