/**
 * How a command ends: one exit code, and for a failure one printed fault with what to try next.
 * Every failure that reaches the user goes through `printFault`; no command writes its own error
 * text or calls `process.exit`.
 */
import { PortError } from "../adapters/port-error.js";
import { colorsFor, type Terminal } from "../adapters/system/terminal.js";

/**
 * 0 success; 1 what was checked does not hold, or the outside world failed; 2 bad usage or input; 3
 * a pre-flight check refused; 4 stopped waiting and the work goes on (design 8).
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

export interface Fault {
  readonly exitCode: ExitCode;
  /** Stable, upper case, documented in docs/reference/errors.md. */
  readonly code: string;
  readonly message: string;
  /** What the user should try; null when there is nothing better than the message. */
  readonly hint: string | null;
  /** One line each, printed below the message. */
  readonly details: readonly string[];
}

export type FaultSpec = Pick<Fault, "exitCode" | "code" | "message"> &
  Partial<Pick<Fault, "hint" | "details">>;

/** Thrown by commands, caught once in `run`. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly fault: Fault;

  constructor(spec: FaultSpec, options?: ErrorOptions) {
    super(spec.message, options);
    this.fault = { hint: null, details: [], ...spec };
  }
}

/**
 * The fault to print for anything that was thrown. What is neither ours nor a port's is a bug and
 * shows its stack.
 */
export function faultOf(cause: unknown): Fault {
  if (cause instanceof CliError) return cause.fault;
  if (cause instanceof PortError) {
    const hint = cause.retryable ? "this may pass by itself: try again" : null;
    return { exitCode: 1, code: cause.code, message: cause.message, hint, details: [] };
  }
  const error = cause instanceof Error ? cause : new Error(String(cause));
  return {
    exitCode: 1,
    code: "INTERNAL_ERROR",
    message: error.message,
    hint: "this is a bug in spindle: please report it with the lines above",
    details: (error.stack ?? "")
      .split("\n")
      .slice(1)
      .map((line) => line.trim()),
  };
}

/** Text for people, or one JSON object when the command was asked for JSON. */
export function printFault(fault: Fault, stderr: Terminal, json: boolean): void {
  stderr.write(json ? `${faultAsJson(fault)}\n` : faultAsText(fault, stderr));
}

function faultAsJson(fault: Fault): string {
  const { code, message, hint, details } = fault;
  return JSON.stringify({ schemaVersion: 1, error: { code, message, hint, details } });
}

function faultAsText(fault: Fault, stderr: Terminal): string {
  const colors = colorsFor(stderr);
  const lines = [`${colors.red(`error ${fault.code}:`)} ${fault.message}`];
  for (const detail of fault.details) lines.push(`  ${detail}`);
  if (fault.hint !== null) lines.push(`${colors.cyan("hint:")} ${fault.hint}`);
  return `${lines.join("\n")}\n`;
}
