/**
 * A site's tunnels as a process of its own, in a network namespace, told what to do over IPC: what is under test is the adapter with
 * real OpenVPN, and killing this process is what a crash of a site's program is.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Result } from "../../src/core/result.js";
import type { SiteName } from "../../src/core/gateway/link.js";
import type { PortFailure } from "../../src/ports/failure.js";
import type { TunnelPort } from "../../src/ports/tunnel.js";
import type { LinkSettings } from "../../src/adapters/openvpn/place.js";

export interface TunnelProcessOptions {
  readonly directory: string;
  readonly site: SiteName;
  readonly links: readonly LinkSettings[];
}

type Operation = Exclude<keyof TunnelPort, "watch">;

export interface Call {
  readonly id: number;
  readonly operation: Operation;
  readonly values: readonly unknown[];
}

export interface Reply {
  readonly id: number;
  readonly result: Result<unknown, PortFailure>;
}

export class TunnelProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (result: Result<unknown, PortFailure>) => void>();
  #next = 1;

  static async start(namespace: string, options: TunnelProcessOptions): Promise<TunnelProcess> {
    const program = fileURLToPath(new URL("tunnel-process-main.js", import.meta.url));
    const child = fork(program, [JSON.stringify(options)], {
      execPath: "/sbin/ip",
      execArgv: ["netns", "exec", namespace, process.execPath],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await once(child, "message");
    return new TunnelProcess(child);
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", ({ id, result }: Reply) => {
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** @throws the failure's code and text */
  async run<T>(operation: Operation, ...values: readonly unknown[]): Promise<T> {
    const id = this.#next++;
    const result = await new Promise<Result<unknown, PortFailure>>((answered) => {
      this.#waiting.set(id, answered);
      this.#child.send({ id, operation, values } satisfies Call);
    });
    if (result.ok) return result.value as T;
    throw Object.assign(new Error(result.error.message), result.error);
  }

  /** As a crash does: nothing is closed or told. */
  async kill(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}
