/**
 * One program of the lab and its restarts, as an init system would: what was killed starts again
 * after a moment, and what ends by itself with an error again and again ends the lab. Each program
 * is a process group of its own, so that a terminal's interrupt reaches only the lab, and is tied
 * to it by its standard input (leash.ts).
 */
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createWriteStream, writeFileSync, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { systemClock } from "../../adapters/system/clock.js";

export interface ProgramSpec {
  /** `node-1 agent`, as people see it. */
  readonly name: string;
  /** Program and arguments, asked for at each start. */
  readonly command: () => readonly string[];
  /** Its standard error, all runs one after another. */
  readonly logPath: string;
  /** Holds the id of the running process. */
  readonly pidPath: string;
  /** Where it is started, each time. Default: where the lab is. */
  readonly within?: <T>(run: () => T) => T;
}

export interface ProgramListener {
  readonly started?: (pid: number) => void;
  readonly output?: (chunk: Buffer) => void;
  readonly logLine?: (line: string) => void;
  /** All its output has been read. */
  readonly ended?: (how: ProgramEnd) => void;
  /** It will not be started again: it failed too often. */
  readonly gaveUp?: (why: string) => void;
}

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The lab meant it to end. */
  readonly wanted: boolean;
}

export const restartDelayMs = 300;
/**
 * Ends that are nobody's kill: so many, and something is wrong with the program or its
 * configuration.
 */
const failuresMax = 3;
const lastLinesMax = 8;

export class Program {
  readonly spec: ProgramSpec;
  readonly #listener: ProgramListener;
  readonly #log: WriteStream;
  readonly #lastLines: string[] = [];
  #child: ChildProcess | null = null;
  #closed: Promise<unknown> = Promise.resolve();
  #restart: NodeJS.Timeout | null = null;
  #isStopping = false;
  #isHeld = false;
  #failures = 0;

  constructor(spec: ProgramSpec, listener: ProgramListener) {
    this.spec = spec;
    this.#listener = listener;
    this.#log = createWriteStream(spec.logPath, { flags: "a", mode: 0o600 });
  }

  /** Null while it is down. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  start(): void {
    this.#isHeld = false;
    const [file = "", ...words] = this.spec.command();
    const { within = (run) => run() } = this.spec;
    const child = within(() => spawnDetached(file, words));
    this.#child = child;
    this.#closed = new Promise((resolve) => child.on("close", resolve));
    // A program that died takes its pipe with it; its end is told by "close".
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (chunk: Buffer) => this.#listener.output?.(chunk));
    createInterface({ input: child.stderr }).on("line", (line) => this.#readLog(line));
    child.on("error", (cause) => this.#lastLines.push(String(cause)));
    child.on("close", (code, signal) => this.#end(code, signal));
    if (child.pid === undefined) return;
    writeFileSync(this.spec.pidPath, `${child.pid}\n`, { mode: 0o600 });
    this.#listener.started?.(child.pid);
  }

  /** Writes a line to its standard input. */
  tell(line: string): void {
    this.#child?.stdin?.write(`${line}\n`);
  }

  /** kill -9, as a fault. False when it is down already. */
  kill(): boolean {
    return this.#child?.kill("SIGKILL") ?? false;
  }

  /** kill -9, as a fault. Resolves when it is down, `restartDelayMs` before it is started again. */
  async crash(): Promise<void> {
    this.kill();
    await this.#closed;
  }

  /** kill -9, and it stays down until it is started again. Resolves when it is down. */
  async takeDown(): Promise<void> {
    this.#isHeld = true;
    await this.crash();
  }

  /** Ends it for good: politely, then by force after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child !== null) {
      child.kill("SIGTERM");
      const force = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await this.#closed;
      clearTimeout(force);
    }
    await new Promise<void>((resolve) => this.#log.end(resolve));
  }

  #readLog(line: string): void {
    this.#log.write(`${line}\n`);
    this.#lastLines.push(line);
    if (this.#lastLines.length > lastLinesMax) this.#lastLines.shift();
    this.#listener.logLine?.(line);
  }

  #end(code: number | null, signal: NodeJS.Signals | null): void {
    this.#child = null;
    this.#listener.ended?.({ code, signal, wanted: this.#isStopping });
    if (this.#isStopping || this.#isHeld) return;
    if (signal === null) this.#failures += 1;
    if (this.#failures >= failuresMax) {
      const words = this.#lastLines.join("\n  ");
      const { name, logPath } = this.spec;
      this.#listener.gaveUp?.(`${name} ended ${this.#failures} times (${logPath}):\n  ${words}`);
      return;
    }
    const endedMs = Math.round(systemClock.nowMs());
    this.#log.write(`-- ended at ${endedMs} ms (${signal ?? `code ${code}`}), starts again --\n`);
    this.#restart = setTimeout(() => this.start(), restartDelayMs);
  }
}

function spawnDetached(file: string, words: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn(file, words, { stdio: ["pipe", "pipe", "pipe"], detached: true });
}
