/**
 * An etcd server as a child process, on loopback, alone or as one of a cluster. It ends with this
 * process, however that ends: `setpriv` asks the kernel for it (prctl(2), PR_SET_PDEATHSIG).
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { EtcdEndpoint } from "../../adapters/registry/etcd/options.js";
import { LabError } from "../lab-error.js";

export interface EtcdMemberSpec {
  readonly name: string;
  /** Holds its data. */
  readonly directory: string;
  readonly clientPort: number;
  readonly peerPort: number;
  /** All members of the cluster by name, this one included. */
  readonly peerPorts: ReadonlyMap<string, number>;
  /** More flags, as for TLS. */
  readonly flags?: readonly string[];
  readonly scheme?: "http" | "https";
}

const host = "127.0.0.1";
const healthyMsMax = 30_000;
const probeEveryMs = 25;
const stopGraceMs = 5_000;
const outputCharactersMax = 4_000;

export class EtcdMember {
  readonly spec: EtcdMemberSpec;
  #child: ChildProcess | null = null;
  #output = "";

  constructor(spec: EtcdMemberSpec) {
    this.spec = spec;
  }

  get endpoint(): EtcdEndpoint {
    return { host, port: this.spec.clientPort };
  }

  /** Null while it is down. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Does not wait until it serves: a member of a cluster does so when others are there. */
  start(): void {
    const words = ["--pdeathsig", "KILL", "etcd", ...flagsOf(this.spec)];
    const child = spawn("setpriv", words, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-outputCharactersMax);
    });
    child.on("error", (cause) => (this.#output += String(cause)));
    child.on("close", () => {
      if (this.#child === child) this.#child = null;
    });
  }

  /**
   * Resolves when it serves requests.
   * @throws LabError LAB_REGISTRY_FAILED when it ends, or does not serve in time
   */
  async healthy(isServing: () => Promise<boolean>): Promise<void> {
    const untilMs = performance.now() + healthyMsMax;
    while (!(await isServing())) {
      const isDown = this.#child === null;
      if (isDown || performance.now() > untilMs) {
        const what = isDown ? "ended" : "does not serve";
        throw new LabError("LAB_REGISTRY_FAILED", `etcd ${what}:\n  ${this.#output.trim()}`);
      }
      await sleep(probeEveryMs);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends it and waits for its end; its data stays. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const closed = once(child, "close");
    child.kill(signal);
    // One that is stopped takes no other signal.
    child.kill("SIGCONT");
    const force = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
    await closed;
    clearTimeout(force);
  }
}

function flagsOf(spec: EtcdMemberSpec): readonly string[] {
  const { name, directory, clientPort, peerPort, peerPorts, scheme = "http", flags = [] } = spec;
  const client = `${scheme}://${host}:${clientPort}`;
  const token = `spindle-${[...peerPorts.values()].join("-")}`;
  const peers = [...peerPorts].map(([member, port]) => `${member}=http://${host}:${port}`);
  return [
    ...["--name", name],
    ...["--data-dir", join(directory, "data")],
    ...["--listen-client-urls", client, "--advertise-client-urls", client],
    ...["--listen-peer-urls", `http://${host}:${peerPort}`],
    ...["--initial-advertise-peer-urls", `http://${host}:${peerPort}`],
    ...["--initial-cluster", peers.join(","), "--initial-cluster-token", token],
    ...["--log-level", "error"],
    ...flags,
  ];
}
