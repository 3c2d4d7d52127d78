/**
 * The kernel port of an agent whose dataplane is the userspace process: a client of its control
 * socket. Invariant: plans and dumps run one at a time, in the order in which they were asked for,
 * each on one connection; what they return was read from the dataplane afterwards. It connects
 * again for ever; while there is no connection, requests fail at once and nothing is queued for
 * later: the agent plans anew from a new dump.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { AssertionError } from "../../core/assert.js";
import { limits } from "../../core/limits.js";
import { fail, succeed } from "../../core/result.js";
import type { Operation } from "../../core/sa.js";
import type { Done, PortFailure, Stop } from "../../ports/failure.js";
import type { ApplyOutcome, KernelDump, KernelPort, Recognise } from "../../ports/kernel.js";
import type { KeySource } from "../crypto/key-source.js";
import { PortError, toFailure } from "../port-error.js";
import { ControlConnection, unreachable } from "./control-connection.js";
import { runPlan } from "./plan-runner.js";
import { readAll, readTouched } from "./read-back.js";
import { makePace } from "../staging-pace.js";

export interface UserspaceKernelOptions {
  readonly socketPath: string;
  readonly keySource: KeySource;
  /**
   * Lab only ("--slow-node"): time added to each `apply` that installs inbound SAs; see
   * staging-pace.ts. Default 0.
   */
  readonly stagingDelayMs?: number;
  /** Waits; rejects when `signal` aborts. Default: a timer. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

type Watcher = (reason: "connected" | "disconnected" | "foreign-change") => void;

export class UserspaceKernel implements KernelPort {
  readonly #options: UserspaceKernelOptions;
  readonly #pause: (ms: number) => Promise<unknown>;
  readonly #closing = new AbortController();
  readonly #watchers = new Set<Watcher>();
  #connection: ControlConnection | null = null;
  #whyNot = unreachable("not connected yet");
  #lastTurn: Promise<void> = Promise.resolve();

  /** Starts to connect. `close` ends it. */
  constructor(options: UserspaceKernelOptions) {
    this.#options = options;
    const pause = options.pause ?? ((ms, signal) => sleep(ms, undefined, { signal }));
    this.#pause = (ms) => pause(ms, this.#closing.signal);
    void this.#stayConnected();
  }

  apply(
    stages: readonly (readonly Operation[])[],
    recognise: Recognise,
    done: Done<ApplyOutcome>,
  ): void {
    this.#enqueue(async (connection) => {
      const { keySource, stagingDelayMs } = this.#options;
      const pace = makePace(stages, stagingDelayMs ?? 0);
      const failed = await runPlan({ connection, keySource, pace, pause: this.#pause }, stages);
      return { ...(await readTouched(connection, keySource, recognise, stages)), failed };
    }, done);
  }

  dump(recognise: Recognise, done: Done<KernelDump>): void {
    this.#enqueue((connection) => readAll(connection, this.#options.keySource, recognise), done);
  }

  /** A watcher that comes while there is a connection is told so, later. */
  watch(changed: Watcher): Stop {
    const watcher: Watcher = (reason) => changed(reason);
    this.#watchers.add(watcher);
    if (this.#connection !== null) setImmediate(() => this.#greet(watcher));
    return () => void this.#watchers.delete(watcher);
  }

  /**
   * Ends the connection; what is running fails with `DATAPLANE_UNREACHABLE`, and watchers hear
   * nothing more.
   */
  close(): void {
    this.#watchers.clear();
    this.#whyNot = unreachable("this client was closed");
    this.#connection = null;
    this.#closing.abort();
  }

  #enqueue<T>(request: (connection: ControlConnection) => Promise<T>, done: Done<T>): void {
    const answer = this.#lastTurn.then(() => {
      if (this.#connection === null) throw this.#whyNot;
      return request(this.#connection);
    });
    // `done` runs in a turn of its own: what it throws is the caller's and must not end up in the
    // queue.
    this.#lastTurn = answer.then(
      (value) => void setImmediate(() => done(succeed(value))),
      (cause: unknown) => void setImmediate(() => done(fail(failureOf(cause)))),
    );
  }

  async #stayConnected(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted;) {
      failures = (await this.#stayOnce()) ? 0 : failures + 1;
      await sleep(reconnectMs(failures), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Lives through one connection. False when there was none. */
  async #stayOnce(): Promise<boolean> {
    const { signal } = this.#closing;
    try {
      const tellChange = (): void => this.#tell("foreign-change");
      this.#connection = await ControlConnection.open(this.#options.socketPath, tellChange, signal);
    } catch (cause) {
      if (!(cause instanceof PortError)) throw cause;
      this.#whyNot = asUnreachable(cause);
      return false;
    }
    this.#tell("connected");
    this.#whyNot = asUnreachable(await this.#connection.closed);
    this.#connection = null;
    this.#tell("disconnected");
    return true;
  }

  #greet(watcher: Watcher): void {
    if (this.#connection !== null && this.#watchers.has(watcher)) watcher("connected");
  }

  #tell(reason: Parameters<Watcher>[0]): void {
    for (const watcher of [...this.#watchers]) watcher(reason);
  }
}

/** Wait before the next attempt, after so many that failed in a row: 50 ms, doubled up to 1 s. */
export function reconnectMs(failures: number): number {
  const doublings = Math.max(0, failures - 1);
  return Math.min(limits.controlReconnectMsMax, limits.controlReconnectMsMin * 2 ** doublings);
}

function asUnreachable(cause: PortError): PortError {
  return cause.code === "DATAPLANE_UNREACHABLE" ? cause : unreachable(cause.message, cause);
}

/**
 * Aborted waits and broken connections are failures; a bug of ours is not, and ends the program.
 */
function failureOf(cause: unknown): PortFailure {
  if (cause instanceof AssertionError) throw cause;
  return toFailure(cause, "DATAPLANE_UNREACHABLE");
}
