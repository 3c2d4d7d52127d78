/** Runs a command of `spindle` in this process and in the namespace that it is in. */
import { run } from "../../../src/cli/program.js";
import type { ExitCode } from "../../../src/cli/exit.js";
import { captureTerminal } from "../terminal.js";

export interface CommandOutcome {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCommand(argv: readonly string[]): Promise<CommandOutcome> {
  const [stdout, stderr] = [captureTerminal(), captureTerminal()];
  let exitCode: ExitCode = 0;
  await run(argv, {
    stdout,
    stderr,
    env: {},
    interrupted: () => new AbortController().signal,
    exitWith: (code) => (exitCode = code),
  });
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}
