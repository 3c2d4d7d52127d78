/** The machine that a recording is replayed on: the very one that the loops run. */
import { PersistentMap } from "../../core/persistent-map.js";
import type { AgentInput, Chances } from "../../runtime/agent-input.js";
import { AgentMachine, type StepAgent } from "../../runtime/agent-machine.js";
import type { ControllerInput } from "../../runtime/controller-input.js";
import { ControllerMachine, type StepController } from "../../runtime/controller-machine.js";
import {
  outcomeOfAgent,
  outcomeOfController,
  type AgentHeader,
  type RecordingHeader,
  type StepOutcome,
  type TurnArguments,
} from "../../runtime/recording.js";

export interface Subject {
  take(input: AgentInput | ControllerInput, atMs: number): void;
  turn(given: TurnArguments, atMs: number): StepOutcome;
}

/** The steps to replay with; the program's own where none is given. */
export interface ReplaySteps {
  readonly agent?: StepAgent;
  readonly controller?: StepController;
  /** Steps that a recording may name in its header. */
  readonly named?: Readonly<Record<string, StepAgent>>;
}

/** @returns null when the recording names a step that is not among `steps` */
export function makeSubject(header: RecordingHeader, steps: ReplaySteps): Subject | null {
  if (header.kind === "agent-recording") return makeAgent(header, steps);
  const machine = new ControllerMachine(header.options, steps.controller);
  return {
    take: (input, atMs) => machine.take(input as ControllerInput, atMs),
    turn: (given, atMs) => {
      const { wallAt } = given as { readonly wallAt: string };
      return outcomeOfController(machine.turn(wallAt, atMs));
    },
  };
}

function makeAgent(header: AgentHeader, steps: ReplaySteps): Subject | null {
  const step = header.step === null ? steps.agent : steps.named?.[header.step];
  if (header.step !== null && step === undefined) return null;
  const checkpoint = PersistentMap.from(header.nodes.map((node) => [node.entry.name, node] as const));
  const machine = new AgentMachine(header.options, header.durable, checkpoint, step);
  return {
    take: (input, atMs) => machine.take(input as AgentInput, atMs),
    turn: (given, atMs) => outcomeOfAgent(machine.turn(given as Chances, atMs)),
  };
}
