/**
 * A fleet of real processes in a folder of its own: a controller with the embedded registry, and for each node a
 * dataplane and an agent. Everything is on loopback and unix sockets, and ends with the test.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./repository.js";

/** What a test calls at its end; `node:test`'s context is one. */
export interface Cleanup {
  after(clean: () => Promise<void> | void): void;
}

export interface ProcessFleetOptions {
  readonly nodes: number;
  readonly coordination?: "barrier" | "pairwise";
  readonly start?: "auto" | "manual";
  /** How long the old key must have been idle, as in configuration files. */
  readonly drain?: string;
  /** More lines of the controller's file. */
  readonly controllerLines?: readonly string[];
}

export interface ProcessFleet {
  readonly folder: string;
  /** For `--config`. */
  readonly controllerFile: string;
  agentFile(node: string): string;
  keyFile(node: string): string;
  /** Runs in place of the one before, which must have ended. */
  startController(): Promise<ChildProcess>;
  startAgent(node: string): ChildProcess;
  readonly agents: ReadonlyMap<string, ChildProcess>;
}

const main = join(root, "dist/src/cli/main.js");
const dataplaneMain = join(root, "dist/test/support/dataplane-process.js");

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one `spindle` command to its end. */
export async function spindle(...argv: string[]): Promise<Outcome> {
  return outcomeOf(spawnSpindle(argv));
}

export function spawnSpindle(argv: readonly string[]): ChildProcess {
  return spawn(process.execPath, [main, ...argv], { stdio: ["ignore", "pipe", "pipe"] });
}

export async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode, stdout, stderr };
}

/** Starts everything; the nodes are `node-1`, `node-2` and so on, each with a copy of one key file. */
export async function startProcessFleet(
  cleanup: Cleanup,
  options: ProcessFleetOptions,
): Promise<ProcessFleet> {
  const folder = mkdtempSync(join(tmpdir(), "spindle-fleet-"));
  cleanup.after(() => rmSync(folder, { recursive: true, force: true }));
  const fleet = new Processes(folder, options, cleanup);
  await fleet.start();
  return fleet;
}

class Processes implements ProcessFleet {
  readonly folder: string;
  readonly controllerFile: string;
  readonly agents = new Map<string, ChildProcess>();
  readonly #options: ProcessFleetOptions;
  readonly #cleanup: Cleanup;

  constructor(folder: string, options: ProcessFleetOptions, cleanup: Cleanup) {
    this.folder = folder;
    this.controllerFile = join(folder, "controller.yaml");
    this.#options = options;
    this.#cleanup = cleanup;
  }

  agentFile(node: string): string {
    return join(this.folder, node, "agent.yaml");
  }

  keyFile(node: string): string {
    return join(this.folder, node, "keys");
  }

  async start(): Promise<void> {
    await this.startController();
    for (let index = 1; index <= this.#options.nodes; index += 1) {
      const node = `node-${index}`;
      mkdirSync(join(this.folder, node), { mode: 0o700 });
      const udpPort = await this.#startDataplane(node, `127.0.0.${index}`);
      writeFileSync(this.agentFile(node), this.#agentText(node, index, udpPort));
    }
  }

  async startController(): Promise<ChildProcess> {
    const { coordination = "barrier", start = "manual", drain = "200ms" } = this.#options;
    const lines = [
      "schemaVersion: 1",
      "name: controller-1",
      "stateDir: controller",
      "registry: { listen: { socket: registry.sock } }",
      `coordination: ${coordination}`,
      `rotation: { start: ${start}, drain: ${drain} }`,
      "preflight: { keyDistribution: 100ms }",
      "metrics: { enabled: false }",
      ...(this.#options.controllerLines ?? []),
    ];
    writeFileSync(this.controllerFile, `${lines.join("\n")}\n`);
    const child = this.#spawn([main, "controller", "--config", this.controllerFile]);
    await lineWith(child.stderr, "registry served");
    return child;
  }

  startAgent(node: string): ChildProcess {
    const child = this.#spawn([main, "agent", "--config", this.agentFile(node)]);
    child.stderr?.resume();
    this.agents.set(node, child);
    return child;
  }

  async #startDataplane(node: string, address: string): Promise<number> {
    const child = this.#spawn([dataplaneMain, address, this.#dataplaneSocket(node)]);
    child.stderr?.resume();
    return Number(await lineWith(child.stdout, ""));
  }

  #dataplaneSocket(node: string): string {
    return join(this.folder, node, "dataplane", "control.sock");
  }

  #agentText(node: string, index: number, udpPort: number): string {
    const { coordination = "barrier", drain = "200ms" } = this.#options;
    const lines = [
      "schemaVersion: 1",
      `node: { name: ${node}, addresses: { ipv4: 127.0.0.${index} }, udpPort: ${udpPort} }`,
      "stateDir: state",
      "registry: { socket: ../registry.sock }",
      `coordination: ${coordination}`,
      "keyFile: { path: keys, poll: 200ms }",
      `dataplane: { socket: ${this.#dataplaneSocket(node)} }`,
      `rotation: { drain: ${drain} }`,
      "lease: { duration: 1s }",
      "metrics: { enabled: false }",
    ];
    return `${lines.join("\n")}\n`;
  }

  #spawn(argv: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "close");
    this.#cleanup.after(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    return child;
  }
}

/** The first line with `text` in it. What follows is read and dropped, so that the pipe never fills. */
function lineWith(stream: ChildProcess["stdout"], text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    if (stream === null) return reject(new Error("the stream is not piped"));
    const seen: string[] = [];
    const lines = createInterface({ input: stream });
    lines.on("line", (line) => {
      if (seen.push(line) < 100 && line.includes(text)) resolve(line);
    });
    lines.on("close", () => reject(new Error(`ended before "${text}":\n${seen.join("\n")}`)));
  });
}
