/**
 * Runs a recording through the machines of this program, line by line, and stops at the first turn that did something
 * else. It keeps nothing of the file but the present run, so a file of any length can be fed to it.
 */
import type { RecordingHeader } from "../../runtime/recording.js";
import { readLine, type LineFault, type ReadLine } from "./lines.js";
import { RunReplay, type FoundDifference, type ReplayedTurn, type RunSummary } from "./run.js";
import { makeSubject, type ReplaySteps } from "./subject.js";

export interface ReplayFault {
  /** From 1. */
  readonly line: number;
  readonly kind: "not-a-recording" | "unknown-version" | "unknown-step" | "cut-off" | "damaged";
  readonly message: string;
}

export interface ReplayResult {
  readonly runs: readonly RunSummary[];
  /** Of the first turn that did something else; nothing after it was replayed. */
  readonly difference: FoundDifference | null;
  readonly faults: readonly ReplayFault[];
}

export interface ReplayOptions {
  readonly steps?: ReplaySteps;
  /** The last line to replay. */
  readonly untilLine?: number;
  readonly told?: (turn: ReplayedTurn) => void;
}

/** @param lines without line ends */
export function replayRecording(lines: Iterable<string>, options: ReplayOptions = {}): ReplayResult {
  const replay = new Replay(options);
  for (const line of lines) if (!replay.feed(line)) break;
  return replay.finish();
}

type RunLine = Exclude<ReadLine, { kind: "header" }>;

export class Replay {
  readonly #options: ReplayOptions;
  readonly #runs: RunReplay[] = [];
  readonly #faults: ReplayFault[] = [];
  #line = 0;
  /** A line that is no JSON: cut off when the run ends with it, else damaged. */
  #brokenLine: number | null = null;
  #difference: FoundDifference | null = null;
  #isDone = false;

  constructor(options: ReplayOptions = {}) {
    this.#options = options;
  }

  /** False once there is nothing more to learn from the file. */
  feed(text: string): boolean {
    if (this.#isDone) return false;
    this.#line += 1;
    this.#feedLine(text);
    if (this.#line === this.#options.untilLine) this.#isDone = true;
    return !this.#isDone;
  }

  finish(): ReplayResult {
    if (!this.#isDone) this.#endRun();
    if (this.#line === 0) this.#stop("not-a-recording", "the file is empty");
    this.#isDone = true;
    return { runs: this.#runs.map((run) => run.summary), difference: this.#difference, faults: this.#faults };
  }

  #feedLine(text: string): void {
    const read = readLine(text);
    if (!read.ok) return this.#refuse(read.error);
    if (read.value.kind === "header") return this.#begin(read.value.header);
    const run = this.#runs.at(-1);
    if (run === undefined) return this.#stop("not-a-recording", "the file does not begin with the header of a recording");
    if (this.#brokenLine !== null) return this.#stop("damaged", "no JSON, and the run goes on", this.#brokenLine);
    if (run.hasEnded) return this.#stop("damaged", "the run had ended before");
    if (run.isWithinTurn !== (read.value.kind === "did")) {
      return this.#stop("damaged", run.isWithinTurn ? "the turn before has no outcome" : "an outcome without its turn");
    }
    this.#play(read.value, run);
  }

  #refuse(fault: LineFault): void {
    if (fault.kind === "unknown-version") {
      return this.#stop("unknown-version", `recorded with schema version ${fault.version}, this program reads 1`);
    }
    if (this.#runs.length === 0) {
      return this.#stop("not-a-recording", "the file does not begin with the header of a recording");
    }
    if (fault.kind === "unknown-line") return this.#stop("damaged", "neither header, input, turn, outcome nor end");
    if (this.#brokenLine !== null) return this.#stop("damaged", "no JSON, and the run goes on", this.#brokenLine);
    this.#brokenLine = this.#line;
  }

  #begin(header: RecordingHeader): void {
    this.#endRun();
    if (this.#isDone) return;
    const subject = this.#attempt("the header is not whole", () => makeSubject(header, this.#options.steps ?? {}));
    if (subject === null) {
      return this.#stop("unknown-step", `recorded with the step "${header.step ?? ""}", which this program does not know`);
    }
    if (subject !== undefined) this.#runs.push(new RunReplay(header, subject));
  }

  /** Of the present run, if there is one. */
  #endRun(): void {
    if (this.#brokenLine !== null) {
      this.#fault("cut-off", "the line is cut off; what is before it was replayed", this.#brokenLine);
    }
    this.#brokenLine = null;
    this.#closeTurn(this.#runs.at(-1)?.finishTurn(null) ?? null);
  }

  #play(line: RunLine, run: RunReplay): void {
    switch (line.kind) {
      case "input":
        this.#attempt("the input cannot follow what came before", () => run.take(line.input, line.atMs, this.#line));
        return;
      case "turn":
        return run.turn(line.given, line.atMs, this.#line);
      case "did":
        return this.#closeTurn(run.finishTurn(line.did));
      case "end":
        return run.stop(line.end);
    }
  }

  #closeTurn(closed: ReturnType<RunReplay["finishTurn"]>): void {
    if (closed === null) return;
    this.#options.told?.(closed.turn);
    if (closed.found === null) return;
    this.#difference = closed.found;
    this.#isDone = true;
  }

  /** The machines trust their ports: what a damaged line makes them throw is the line's fault. */
  #attempt<T>(what: string, take: () => T): T | undefined {
    try {
      return take();
    } catch (cause) {
      this.#stop("damaged", `${what}: ${String(cause)}`);
      return undefined;
    }
  }

  #stop(kind: ReplayFault["kind"], message: string, line = this.#line): void {
    this.#fault(kind, message, line);
    this.#isDone = true;
  }

  #fault(kind: ReplayFault["kind"], message: string, line: number): void {
    this.#faults.push({ line, kind, message });
  }
}
