/** Replays one run of a recorded program: takes its inputs and turns, and compares what each turn does. */
import type { AgentInput } from "../../runtime/agent-input.js";
import type { ControllerInput } from "../../runtime/controller-input.js";
import type { RecordingEnd, RecordingHeader, StepOutcome, TurnArguments } from "../../runtime/recording.js";
import { findDifference, type Difference } from "./difference.js";
import type { Subject } from "./subject.js";

/** An input with its line in the file, from 1. */
export interface ReplayedInput {
  readonly line: number;
  readonly input: AgentInput | ControllerInput;
}

export interface ReplayedTurn {
  readonly header: RecordingHeader;
  readonly line: number;
  /** From 1, within the run. */
  readonly turn: number;
  readonly atMs: number;
  /** What came in since the turn before. */
  readonly inputs: readonly ReplayedInput[];
  /** What this program does; null when its step threw. */
  readonly did: StepOutcome | null;
  readonly thrown: string | null;
}

export interface FoundDifference extends ReplayedTurn {
  /** Null when the recorded run ended within this turn. */
  readonly recorded: StepOutcome | null;
  readonly first: Difference;
}

/** `killed`: it just ends. */
export type RunEnd = RecordingEnd | "killed";

export interface RunSummary {
  readonly header: RecordingHeader;
  readonly inputs: number;
  readonly turns: number;
  readonly forMs: number;
  readonly end: RunEnd;
}

export class RunReplay {
  readonly #header: RecordingHeader;
  readonly #subject: Subject;
  #inputs: ReplayedInput[] = [];
  #open: ReplayedTurn | null = null;
  #inputCount = 0;
  #turnCount = 0;
  #lastAtMs: number;
  #end: RunEnd = "killed";

  constructor(header: RecordingHeader, subject: Subject) {
    this.#header = header;
    this.#subject = subject;
    this.#lastAtMs = header.atMs;
  }

  get summary(): RunSummary {
    const forMs = this.#lastAtMs - this.#header.atMs;
    return { header: this.#header, inputs: this.#inputCount, turns: this.#turnCount, forMs, end: this.#end };
  }

  /** Between `turn` and `finishTurn`. */
  get isWithinTurn(): boolean {
    return this.#open !== null;
  }

  get hasEnded(): boolean {
    return this.#end !== "killed";
  }

  /** Throws whatever a machine throws at an input that cannot follow what came before. */
  take(input: AgentInput | ControllerInput, atMs: number, line: number): void {
    this.#inputCount += 1;
    this.#lastAtMs = atMs;
    this.#inputs.push({ line, input });
    this.#subject.take(input, atMs);
  }

  turn(given: TurnArguments, atMs: number, line: number): void {
    this.#turnCount += 1;
    this.#lastAtMs = atMs;
    const about = { header: this.#header, line, turn: this.#turnCount, atMs, inputs: this.#inputs };
    this.#open = { ...about, ...this.#attempt(given, atMs) };
    this.#inputs = [];
  }

  #attempt(given: TurnArguments, atMs: number): Pick<ReplayedTurn, "did" | "thrown"> {
    try {
      return { did: asJson(this.#subject.turn(given, atMs)), thrown: null };
    } catch (cause) {
      return { did: null, thrown: String(cause) };
    }
  }

  /**
   * @param recorded null when the recorded run ended within the turn
   * @returns the turn; null when none is open
   */
  finishTurn(recorded: StepOutcome | null): { readonly turn: ReplayedTurn; readonly found: FoundDifference | null } | null {
    const turn = this.#open;
    if (turn === null) return null;
    this.#open = null;
    const first = firstDifference(recorded, turn);
    return { turn, found: first === null ? null : { ...turn, recorded, first } };
  }

  stop(end: RecordingEnd): void {
    this.#end = end;
  }
}

/** A run that ended within the turn says nothing of its outcome; a step that throws says that it could not have one. */
function firstDifference(recorded: StepOutcome | null, { did, thrown }: ReplayedTurn): Difference | null {
  if (thrown !== null) return { path: "", recorded: recorded === null ? null : "an outcome", replayed: thrown };
  return recorded === null ? null : findDifference(recorded, did);
}

/** As a recording has it: without fields that are undefined. */
function asJson(outcome: StepOutcome): StepOutcome {
  return JSON.parse(JSON.stringify(outcome)) as StepOutcome;
}
