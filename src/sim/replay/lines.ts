/** Reads one line of a recording: what kind of line it is, or why it is none. The values inside are not checked here. */
import { fail, succeed, type Result } from "../../core/result.js";
import type { AgentInput } from "../../runtime/agent-input.js";
import type { ControllerInput } from "../../runtime/controller-input.js";
import {
  recordingVersion,
  type RecordingEnd,
  type RecordingHeader,
  type StepOutcome,
  type TurnArguments,
} from "../../runtime/recording.js";

export type ReadLine =
  | { readonly kind: "header"; readonly header: RecordingHeader }
  | { readonly kind: "input"; readonly atMs: number; readonly input: AgentInput | ControllerInput }
  | { readonly kind: "turn"; readonly atMs: number; readonly given: TurnArguments }
  | { readonly kind: "did"; readonly did: StepOutcome }
  | { readonly kind: "end"; readonly end: RecordingEnd };

export type LineFault =
  | { readonly kind: "not-json" }
  | { readonly kind: "unknown-version"; readonly version: string }
  | { readonly kind: "unknown-line" };

const headerKinds = ["agent-recording", "controller-recording"];

export function readLine(text: string): Result<ReadLine, LineFault> {
  const value = parseObject(text);
  if (value === null) return fail({ kind: "not-json" });
  if (typeof value["kind"] === "string") return readHeader(value, value["kind"]);
  if (isObject(value["did"])) return succeed({ kind: "did", did: value["did"] as unknown as StepOutcome });
  const { atMs, input, turn, end } = value;
  if (typeof atMs !== "number") return fail({ kind: "unknown-line" });
  if (isObject(input)) return succeed({ kind: "input", atMs, input: input as unknown as AgentInput });
  if (isObject(turn)) return succeed({ kind: "turn", atMs, given: turn as unknown as TurnArguments });
  if (typeof end === "string") return succeed({ kind: "end", end: end as RecordingEnd });
  return fail({ kind: "unknown-line" });
}

function readHeader(value: Fields, kind: string): Result<ReadLine, LineFault> {
  if (!headerKinds.includes(kind)) return fail({ kind: "unknown-line" });
  const { schemaVersion } = value;
  if (schemaVersion !== recordingVersion) {
    return fail({ kind: "unknown-version", version: String(schemaVersion) });
  }
  return succeed({ kind: "header", header: value as unknown as RecordingHeader });
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
