/**
 * What the lab reads in its agents' logs: the lines that operators read (docs/reference: one line
 * per phase change).
 */
import { agentPhases, type AgentPhase } from "../../core/rotation/state.js";

export type AgentLogEntry =
  | { readonly kind: "phase"; readonly to: AgentPhase; readonly keyId: number | null }
  | { readonly kind: "staged"; readonly keyId: number }
  | { readonly kind: "retired"; readonly keyId: number; readonly forced: boolean };

/** Null for a line that says something else. */
export function parseAgentLog(line: string): AgentLogEntry | null {
  const fields = parseObject(line);
  const keyId = typeof fields["keyId"] === "number" ? fields["keyId"] : null;
  switch (fields["msg"]) {
    case "phase changed": {
      const to = agentPhases.find((phase) => phase === fields["to"]);
      return to === undefined ? null : { kind: "phase", to, keyId };
    }
    case "staged":
      return keyId === null ? null : { kind: "staged", keyId };
    case "old key retired":
    case "old key retired by force":
      if (keyId === null) return null;
      return { kind: "retired", keyId, forced: fields["msg"] !== "old key retired" };
    default:
      return null;
  }
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // A line of the runtime, such as a warning of Node.js.
    return {};
  }
}
