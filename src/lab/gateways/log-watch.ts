/** What the lab's programs logged above `info`, by text, and when: the errors that an operator would see. */
import { systemClock } from "../../adapters/system/clock.js";

export interface LoggedError {
  readonly atMs: number;
  readonly program: string;
  readonly text: string;
}

const quietLevels: readonly string[] = ["info", "debug"];

export class LogWatch {
  readonly errors: LoggedError[] = [];

  take(program: string, line: string): void {
    const fields = parse(line);
    // What is no line of the log is a program's last words.
    if (fields !== null && quietLevels.includes(fields.level)) return;
    this.errors.push({ atMs: systemClock.nowMs(), program, text: fields === null ? line : describe(fields) });
  }

  between(fromMs: number, toMs: number): readonly LoggedError[] {
    return this.errors.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
  }
}

interface LogFields {
  readonly level: string;
  readonly msg?: string;
  readonly [name: string]: unknown;
}

function parse(line: string): LogFields | null {
  try {
    const fields = JSON.parse(line) as LogFields;
    return typeof fields.level === "string" ? fields : null;
  } catch {
    return null;
  }
}

function describe({ msg = "", code, why, what, effect }: LogFields): string {
  return [msg, code, effect ?? what, why].filter((part) => typeof part === "string" && part !== "").join(": ");
}
