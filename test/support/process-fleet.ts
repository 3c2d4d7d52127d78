/**
 * A fleet of real processes in a folder of its own: a controller with the embedded registry, and
 * for each node a dataplane and an agent. Everything is on loopback and unix sockets, and ends with
 * the test.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "./repository.js";

/** What a test calls at its end; `node:test`'s context is one. */
export interface Cleanup {
  after(clean: () => Promise<void> | void): void;
}

export interface ProcessFleetOptions {
  readonly coordination?: "barrier" | "pairwise";
  readonly start?: "auto" | "manual";
  /** How long the old key must have been idle, as in configuration files. */
  readonly drain?: string;
  readonly stageDeadline?: string;
}

export interface ProcessFleet {
  readonly folder: string;
  /** For `--config`. */
  readonly controllerFile: string;
  agentFile(node: string): string;
  keyFile(node: string): string;
  readonly controller: ChildProcess;
  /** Ends the controller that runs, at once, and starts another one in its place, after what happens in between. */
  restartController(changes: Partial<ProcessFleetOptions>, meanwhile?: () => Promise<void>): Promise<void>;
  readonly agents: ReadonlyMap<string, ChildProcess>;
  /**
   * Gives each node a copy of the key file at `path`, at once as `keyfile` and mounted Secrets do.
   */
  distribute(path: string, nodes: readonly string[]): void;
}

process.once("SIGTERM", () => process.exit(143));

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

/** Starts everything; no node has a key file yet. */
export async function startProcessFleet(
  cleanup: Cleanup,
  nodes: readonly string[],
  options: ProcessFleetOptions,
): Promise<ProcessFleet> {
  const fleet = new Processes(mkdtempSync(join(tmpdir(), "spindle-fleet-")), options);
  cleanup.after(() => fleet.end());
  await fleet.start(nodes);
  return fleet;
}

class Processes implements ProcessFleet {
  readonly folder: string;
  readonly controllerFile: string;
  readonly agents = new Map<string, ChildProcess>();
  controller!: ChildProcess;
  readonly #running: { readonly child: ChildProcess; readonly ended: Promise<unknown> }[] = [];
  #options: ProcessFleetOptions;

  constructor(folder: string, options: ProcessFleetOptions) {
    this.folder = folder;
    this.controllerFile = join(folder, "controller.yaml");
    this.#options = options;
  }

  agentFile(node: string): string {
    return join(this.folder, node, "agent.yaml");
  }

  keyFile(node: string): string {
    return join(this.folder, node, "keys");
  }

  readonly #killAll = (): void => {
    for (const { child } of this.#running) child.kill("SIGKILL");
  };

  async start(nodes: readonly string[]): Promise<void> {
    // A test run that is ended from outside must leave nothing behind.
    process.on("exit", this.#killAll);
    const controller = this.#startController();
    const starting = nodes.map(async (node, index) => {
      const address = `127.0.0.${index + 1}`;
      mkdirSync(join(this.folder, node), { mode: 0o700 });
      const udpPort = await this.#startDataplane(node, address);
      writeFileSync(this.agentFile(node), this.#agentText(node, address, udpPort));
      await controller;
      this.#startAgent(node);
    });
    await Promise.all([controller, ...starting]);
  }

  async end(): Promise<void> {
    process.off("exit", this.#killAll);
    this.#killAll();
    await Promise.all(this.#running.map(({ ended }) => ended));
    rmSync(this.folder, { recursive: true, force: true });
  }

  distribute(path: string, nodes: readonly string[]): void {
    for (const node of nodes) {
      copyFileSync(path, `${this.keyFile(node)}.new`);
      renameSync(`${this.keyFile(node)}.new`, this.keyFile(node));
    }
  }

  async restartController(changes: Partial<ProcessFleetOptions>, meanwhile?: () => Promise<void>): Promise<void> {
    const ended = once(this.controller, "close");
    this.controller.kill("SIGKILL");
    await ended;
    await meanwhile?.();
    this.#options = { ...this.#options, ...changes };
    await this.#startController();
  }

  async #startController(): Promise<void> {
    const { coordination = "barrier", start = "manual", drain = "200ms" } = this.#options;
    const { stageDeadline = "10m" } = this.#options;
    const lines = [
      "schemaVersion: 1",
      "name: controller-1",
      "stateDir: controller",
      "registry: { listen: { socket: registry.sock } }",
      `coordination: ${coordination}`,
      `rotation: { start: ${start}, drain: ${drain}, stageDeadline: ${stageDeadline} }`,
      "preflight: { keyDistribution: 100ms }",
      "metrics: { enabled: false }",
    ];
    writeFileSync(this.controllerFile, `${lines.join("\n")}\n`);
    this.controller = this.#spawn([main, "controller", "--config", this.controllerFile]);
    await lineWith(this.controller.stderr, "registry served");
  }

  #startAgent(node: string): void {
    const child = this.#spawn([main, "agent", "--config", this.agentFile(node)]);
    child.stderr?.resume();
    this.agents.set(node, child);
  }

  async #startDataplane(node: string, address: string): Promise<number> {
    const child = this.#spawn([dataplaneMain, address, this.#dataplaneSocket(node)]);
    child.stderr?.resume();
    return Number(await lineWith(child.stdout, ""));
  }

  #dataplaneSocket(node: string): string {
    return join(this.folder, node, "dataplane", "control.sock");
  }

  #agentText(node: string, address: string, udpPort: number): string {
    const { coordination = "barrier", drain = "200ms" } = this.#options;
    const lines = [
      "schemaVersion: 1",
      `node: { name: ${node}, addresses: { ipv4: ${address} }, udpPort: ${udpPort} }`,
      "stateDir: state",
      "registry: { socket: ../registry.sock }",
      `coordination: ${coordination}`,
      "keyFile: { path: keys, poll: 200ms }",
      `dataplane: { socket: ${this.#dataplaneSocket(node)} }`,
      `rotation: { drain: ${drain} }`,
      "lease: { duration: 1s }",
      "report: { interval: 100ms }",
      "metrics: { enabled: false }",
    ];
    return `${lines.join("\n")}\n`;
  }

  #spawn(argv: readonly string[]): ChildProcess {
    const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"] });
    this.#running.push({ child, ended: once(child, "close") });
    return child;
  }
}

/**
 * The first line with `text` in it. What follows is read and dropped, so that the pipe never fills.
 */
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
