/** Runs labs from tests: the library in this process, or the command as a user runs it. */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { LabHost } from "../../src/lab/lab.js";
import type { LabReport } from "../../src/lab/report.js";
import { root } from "./repository.js";

const program = join(root, "dist/src/cli/main.js");

export const quietHost: LabHost = { spindle: [process.execPath, program], note: () => undefined };

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param temporary where the command puts its temporary files, when not where the system does */
export function startSpindle(words: readonly string[], temporary?: string): ChildProcess {
  const env = temporary === undefined ? process.env : { ...process.env, TMPDIR: temporary };
  return spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "pipe"], env });
}

/** Runs `spindle` to its end. */
export async function runSpindle(...words: readonly string[]): Promise<CommandResult> {
  const child = startSpindle(words);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, stdout: stdout(), stderr: stderr() };
}

export interface LabResult extends CommandResult {
  readonly report: LabReport;
}

/** Runs `spindle lab … --json`. */
export async function runLabCommand(...words: readonly string[]): Promise<LabResult> {
  const result = await runSpindle("lab", ...words, "--json");
  return { ...result, report: JSON.parse(result.stdout) as LabReport };
}

/** What a run found, for the message of a failed assertion. */
export function summaryOf({ stdout, stderr, code }: CommandResult): string {
  return `exit code ${code}\n${stderr}\n${stdout}`;
}

function collect(stream: ChildProcess["stdout"]): () => string {
  const chunks: Buffer[] = [];
  stream?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}
