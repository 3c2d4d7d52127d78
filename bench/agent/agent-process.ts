/** One `spindle agent` as users run it, and what the system says of its process. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { RegistryTarget } from "../../src/adapters/registry/connect.js";
import { formatEndpoint } from "../../src/adapters/registry/etcd/options.js";
import type { AgentStatus } from "../../src/http/status.js";
import { root } from "../../test/support/repository.js";

const main = join(root, "dist/src/cli/main.js");
const lookMs = 200;

export interface AgentFiles {
  readonly folder: string;
  readonly name: string;
  /** Sections `node` (without its name) and `dataplane` of the configuration. */
  readonly node: object;
  readonly dataplane: object;
  readonly target: RegistryTarget;
}

/** Megabytes, as `ps` and the goals count them: 2^20 bytes. */
export interface Memory {
  readonly residentMb: number;
  /** The most it ever was. */
  readonly peakMb: number;
}

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #socket: string;
  readonly #log: string;

  /** All defaults but what names places: with metrics, its lease, its log. */
  constructor({ folder, name, node, dataplane, target }: AgentFiles, nodeFlags: readonly string[] = []) {
    this.#socket = join(folder, "status.sock");
    this.#log = join(folder, "agent.log");
    const config = join(folder, "agent.yaml");
    const fields = {
      schemaVersion: 1,
      node: { name, ...node },
      stateDir: join(folder, "state"),
      registry: registrySection(target),
      keyFile: { path: join(folder, "keys") },
      dataplane,
      jitter: { enabled: false },
      metrics: { listen: this.#socket },
    };
    writeFileSync(config, JSON.stringify(fields), { mode: 0o600 });
    this.#child = spawn(process.execPath, [...nodeFlags, main, "agent", "--config", config], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.pipe(createWriteStream(this.#log));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  memory(): Memory {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    const megabytes = (field: string): number => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024;
    return { residentMb: megabytes("VmRSS"), peakMb: megabytes("VmHWM") };
  }

  /** User and system time so far (proc(5); USER_HZ is 100). */
  cpuMs(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }

  /** Waits until its status says so. @throws Error with the end of its log when it ended or the time is over */
  async until(what: string, holds: (status: AgentStatus) => boolean, limitMs: number): Promise<void> {
    const untilMs = performance.now() + limitMs;
    let last: AgentStatus | null = null;
    while (performance.now() < untilMs && this.#child.exitCode === null) {
      last = await this.#status();
      if (last !== null && holds(last)) return;
      await pause(lookMs);
    }
    const log = readFileSync(this.#log, "utf8").trim().split("\n").slice(-5).join("\n");
    throw new Error(`${what}: not within ${limitMs} ms\n${JSON.stringify(last)}\n${log}`);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill("SIGTERM");
    await closed;
  }

  #status(): Promise<AgentStatus | null> {
    return new Promise((resolve) => {
      const asked = request({ socketPath: this.#socket, path: "/status" }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => resolve(response.statusCode === 200 ? (JSON.parse(text) as AgentStatus) : null));
      });
      asked.on("error", () => resolve(null));
      asked.end();
    });
  }
}

function registrySection(target: RegistryTarget): object {
  switch (target.kind) {
    case "embedded":
      return target.address.kind === "unix" ? { socket: target.address.path } : target.address;
    case "etcd":
      return { kind: "etcd", etcd: { endpoints: target.endpoints.map(formatEndpoint), prefix: target.prefix } };
    case "kubernetes":
      return { kind: "kubernetes", kubernetes: { kubeconfig: target.kubeconfig } };
  }
}
