/**
 * What a command sees of the process it runs in: its streams, environment, interrupts and exit
 * code. Commands touch nothing else of `process`, so a test can run one with its own streams.
 */
import type { Terminal } from "../adapters/system/terminal.js";
import type { ExitCode } from "./exit.js";

export interface Shell {
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Aborts at the first SIGINT or SIGTERM; from the first call on, the command ends itself. The
   * second signal ends the process at once.
   */
  interrupted(): AbortSignal;
  /**
   * Sets the exit code of a command that ends without a fault, e.g. 1 when what it checked does not
   * hold.
   */
  exitWith(code: ExitCode): void;
}

/** The shell of the running process, and the exit code it was given. */
export function makeProcessShell(): Shell & { exitCode(): ExitCode } {
  let signal: AbortSignal | null = null;
  let exitCode: ExitCode = 0;
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    interrupted: () => (signal ??= watchSignals()),
    exitWith: (code) => {
      exitCode = code;
    },
    exitCode: () => exitCode,
  };
}

/** 128 + SIGINT, what shells show for an interrupted program. */
const interruptedExitCode = 130;

function watchSignals(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    controller.abort();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  return controller.signal;
}
