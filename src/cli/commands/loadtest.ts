/**
 * `spindle loadtest`: many real agents over simulated kernels in this process, one rotation each way
 * against a real registry, and what it cost in one table.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../../adapters/system/clock.js";
import { LabError } from "../../lab/lab-error.js";
import { formatDuration, parseDuration } from "../duration.js";
import { CliError } from "../exit.js";
import { runKinds, runLoad, type LoadRun } from "../loadtest/run.js";
import { startServer, type LoadedRegistry } from "../loadtest/servers.js";
import {
  addOutputOptions,
  formatOf,
  formatTable,
  printResult,
  type Column,
  type OutputOptions,
} from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";
import { heapBytesFor, runWithHeap } from "../simulate/heap.js";

interface LoadtestFlags extends OutputOptions {
  readonly agents: number;
  readonly registry: LoadedRegistry;
  readonly jitter: number;
  readonly timeout: number;
}

const agentsMax = 2_000;
const agentsDefault = 100;
const jitterMsDefault = 10_000;
const timeoutMsDefault = 120_000;
const durationMsMax = 3_600_000;
const spindle = [process.execPath, fileURLToPath(new URL("../main.js", import.meta.url))];

const help = `
Every agent has a connection of its own, and is at rest when the registry has its report on the new
key alone. Writes are those of agents and controller together, without lease renewals; events are
what their watches were told.

Examples:
  $ spindle loadtest --agents 200 --registry etcd
  $ spindle loadtest --agents 500 --jitter 30s -o json
Exit codes: 0 every run converged; 1 one did not; 2 bad usage.`;

export function makeCommand(shell: Shell): Command {
  const registries: readonly LoadedRegistry[] = ["embedded", "etcd", "kubernetes"];
  const command = new Command("loadtest")
    .description("many agents with simulated kernels against a real registry: what a rotation costs it")
    .option("--agents <count>", "agents of the fleet", parseAgents, agentsDefault)
    .addOption(
      new Option("--registry <kind>", "the store; its server is started")
        .choices(registries)
        .default("embedded"),
    )
    .addOption(duration("--jitter <time>", "over which jittered runs spread", jitterMsDefault))
    .addOption(duration("--timeout <time>", "for joining, and for each rotation", timeoutMsDefault));
  return addOutputOptions(command)
    .addHelpText("after", help)
    .action((flags: LoadtestFlags) => act(flags, shell));
}

async function act(flags: LoadtestFlags, shell: Shell): Promise<void> {
  const { agents, registry } = flags;
  if (await runWithHeap(heapBytesFor(agents, agents - 1), shell)) return;
  const runs = await runAll(flags, shell);
  const ok = runs.every(({ convergeMs, forcedRetires }) => convergeMs !== null && forcedRetires === 0);
  const result = { schemaVersion: 1, registry, agents, runs, ok };
  await printResult(shell.stdout, formatOf(flags), result, (wide) =>
    formatTable(columns, runs, shell.stdout, wide),
  );
  if (!ok) shell.exitWith(1);
}

async function runAll(flags: LoadtestFlags, shell: Shell): Promise<readonly LoadRun[]> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-loadtest-"));
  const signal = shell.interrupted();
  const startedMs = systemClock.nowMs();
  let now = "starting";
  const lines = (): readonly string[] => [
    `${now}, ${Math.round((systemClock.nowMs() - startedMs) / 1_000)} s`,
  ];
  const progress = startProgress({ stream: shell.stderr, lines });
  const runs: LoadRun[] = [];
  try {
    for (const [number, kind] of runKinds.entries()) {
      now = `run ${number + 1} of ${runKinds.length}: ${kind.name}`;
      runs.push(await runOne(kind, join(directory, `run-${number}`), flags, signal));
      if (signal.aborted) throw interrupted();
    }
    return runs;
  } catch (cause) {
    if (signal.aborted) throw interrupted();
    if (!(cause instanceof LabError)) throw cause;
    throw new CliError({ exitCode: 1, code: cause.code, message: cause.message }, { cause });
  } finally {
    progress.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Each run begins with an empty registry. */
async function runOne(
  kind: (typeof runKinds)[number],
  directory: string,
  { agents, registry, jitter: jitterMaxMs, timeout: timeoutMs }: LoadtestFlags,
  signal: AbortSignal,
): Promise<LoadRun> {
  const server = await startServer(registry, directory, spindle);
  try {
    return await runLoad(kind, server, { agents, jitterMaxMs, timeoutMs, signal });
  } finally {
    await server.stop();
  }
}

const columns: readonly Column<LoadRun>[] = [
  { header: "RUN", cell: ({ name }) => name },
  { header: "CONVERGED", cell: convergedOf, align: "right" },
  { header: "WRITES/AGENT", cell: (run) => run.writesPerAgent.toFixed(1), align: "right" },
  { header: "EVENTS/AGENT", cell: (run) => run.watchEventsPerAgent.toFixed(1), align: "right" },
  { header: "EVENTS", cell: (run) => String(run.watchEvents), align: "right" },
  { header: "PEAK/S", cell: (run) => String(run.peakEventsPerSecond), align: "right" },
  { header: "SERVER CPU", cell: ({ cpuSeconds }) => formatCpu(cpuSeconds), align: "right" },
  { header: "SENT", cell: ({ sentBytes }) => formatBytes(sentBytes), align: "right" },
  { header: "JOINED", cell: (run) => formatSeconds(run.joinMs), align: "right", wide: true },
  { header: "LEASES", cell: (run) => String(run.leaseRenewals), align: "right", wide: true },
];

function convergedOf({ convergeMs }: LoadRun, colors: { red: (text: string) => string }): string {
  return convergeMs === null ? colors.red("no") : formatSeconds(convergeMs);
}

function formatSeconds(durationMs: number): string {
  return `${(durationMs / 1_000).toFixed(1)} s`;
}

function formatCpu(seconds: number | null): string {
  return seconds === null ? "-" : `${seconds.toFixed(1)} s`;
}

function formatBytes(bytes: number | null): string {
  return bytes === null ? "-" : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function interrupted(): CliError {
  const message = "interrupted; everything was stopped";
  return new CliError({ exitCode: 1, code: "LAB_INTERRUPTED", message });
}

function duration(flags: string, description: string, defaultMs: number): Option {
  const option = new Option(flags, description).argParser(parseTime);
  return option.default(defaultMs, formatDuration(defaultMs));
}

function parseTime(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== null && durationMs > 0 && durationMs <= durationMsMax) return durationMs;
  throw new InvalidArgumentError("It must be a duration such as 500ms or 30s, at most 1h.");
}

function parseAgents(text: string): number {
  const count = Number(text);
  if (/^\d{1,5}$/.test(text) && count >= 2 && count <= agentsMax) return count;
  throw new InvalidArgumentError(`It must be a whole number from 2 to ${agentsMax}.`);
}
