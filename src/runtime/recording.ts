/**
 * A recording: all that reached one program from outside and what its steps did, line by line, so that a replay needs
 * nothing else. A run begins with a header; a restarted program appends another run. Lines are values that JSON carries
 * as they are, and hold no secret, as neither inputs nor effects do. What a step did is kept at the size of the change.
 */
import type { AgentStep } from "../core/rotation/step.js";
import type { ControllerOptions, ControllerStep } from "../core/fleet/controller-state.js";
import type { CheckpointNode, DurableState } from "../core/rotation/durable.js";
import type { Effect } from "../core/rotation/effect.js";
import type { AgentOptions } from "../core/rotation/state.js";
import type { RecordedProgram } from "../ports/recorder.js";
import type { AgentInput, Chances } from "./agent-input.js";
import type { ControllerInput } from "./controller-input.js";

/** Rises when a line changes its meaning; a replay refuses what it does not know. */
export const recordingVersion = 1;

interface Header extends RecordedProgram {
  readonly schemaVersion: typeof recordingVersion;
  /** Wall clock, ISO 8601; only shown. */
  readonly wallAt: string;
  readonly atMs: number;
}

export interface AgentHeader extends Header {
  readonly kind: "agent-recording";
  readonly options: AgentOptions;
  /** The two documents that the run began with. */
  readonly durable: DurableState;
  readonly nodes: readonly CheckpointNode[];
}

export interface ControllerHeader extends Header {
  readonly kind: "controller-recording";
  readonly options: ControllerOptions;
}

export type RecordingHeader = AgentHeader | ControllerHeader;

/** Chance and shown time of a turn, as arguments of its step. */
export type TurnArguments = Chances | { readonly wallAt: string };

export type RecordingLine =
  | RecordingHeader
  | { readonly atMs: number; readonly input: AgentInput | ControllerInput }
  /** Stands before the step is taken, so that a run which ended within it says so. */
  | { readonly atMs: number; readonly turn: TurnArguments }
  | { readonly did: StepOutcome }
  | { readonly atMs: number; readonly end: RecordingEnd };

/** A run without an end was killed. */
export type RecordingEnd = "stopped" | "size limit";

export interface StepOutcome {
  readonly effects: readonly object[];
  readonly notes: readonly object[];
  readonly wakeAtMs: number | null;
}

export function outcomeOfAgent({ effects, notes, wakeAtMs }: AgentStep): StepOutcome {
  return { effects: effects.map(changesOf), notes, wakeAtMs };
}

export function outcomeOfController({ effects, notes, wakeAtMs }: ControllerStep): StepOutcome {
  return { effects, notes, wakeAtMs };
}

/** A checkpoint is as large as the fleet: only the records that changed are kept, and how many there are. */
function changesOf(effect: Effect): object {
  if (effect.kind !== "save-checkpoint") return effect;
  const { kind, checkpoint, peers } = effect;
  const changed = peers.map((peer) => ({ peer, record: checkpoint.get(peer) ?? null }));
  return { kind, nodes: checkpoint.size, changed };
}
