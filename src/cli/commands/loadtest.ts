/**
 * `spindle loadtest`: many real agents over simulated kernels in threads of this process, one rotation
 * each way against a real registry, and what it cost in one table.
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
import { runKinds, runLoad, type LoadRun, type RunKind } from "../loadtest/run.js";
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
import { checkMemory, heapBytesFor } from "../simulate/heap.js";

interface LoadtestFlags extends OutputOptions {
  readonly agents: number;
  readonly registry: LoadedRegistry;
  readonly jitter: number;
  readonly timeout: number;
  readonly runs: readonly RunKind[];
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
what their watches were told. SIGINT ends everything and shows the runs that were done.

Examples:
  $ spindle loadtest --agents 200 --registry etcd
  $ spindle loadtest --agents 500 --jitter 30s -o json
  $ spindle loadtest --agents 1000 --registry kubernetes --runs barrier --timeout 20m
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
    .addOption(
      new Option("--runs <names>", `which of ${namesOf(runKinds)}, with commas between`)
        .argParser(parseRuns)
        .default(runKinds, "all of them"),
    )
    .addOption(duration("--timeout <time>", "for joining, and for each rotation", timeoutMsDefault));
  return addOutputOptions(command)
    .addHelpText("after", help)
    .action((flags: LoadtestFlags) => act(flags, shell));
}

async function act(flags: LoadtestFlags, shell: Shell): Promise<void> {
  const { agents, registry } = flags;
  checkMemory(heapBytesFor(agents, agents - 1));
  const { runs, fault } = await runAll(flags, shell);
  const isRight = ({ convergeMs, forcedRetires }: LoadRun): boolean => convergeMs !== null && forcedRetires === 0;
  const ok = fault === null && runs.every(isRight);
  const result = { schemaVersion: 1, registry, agents, runs, ok };
  if (fault !== null && runs.length === 0) throw fault;
  await printResult(shell.stdout, formatOf(flags), result, (wide) =>
    formatTable(columns, runs, shell.stdout, wide),
  );
  if (fault !== null) throw fault;
  if (!ok) shell.exitWith(1);
}

/** A run that cannot be ends the test; those before it are told. */
async function runAll(
  flags: LoadtestFlags,
  shell: Shell,
): Promise<{ readonly runs: readonly LoadRun[]; readonly fault: Error | null }> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-loadtest-"));
  const signal = shell.interrupted();
  const startedMs = systemClock.nowMs();
  let doing = "starting";
  const seconds = (): number => Math.round((systemClock.nowMs() - startedMs) / 1_000);
  const progress = startProgress({ stream: shell.stderr, lines: () => [`${doing}, ${seconds()} s`] });
  const runs: LoadRun[] = [];
  try {
    for (const [number, kind] of flags.runs.entries()) {
      const now = (what: string): void => {
        doing = `run ${number + 1} of ${flags.runs.length}: ${kind.name}: ${what}`;
      };
      runs.push(await runOne(kind, join(directory, `run-${number}`), flags, signal, now));
    }
    return { runs, fault: null };
  } catch (cause) {
    return { runs, fault: faultOf(cause, signal) };
  } finally {
    progress.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

function faultOf(cause: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return interrupted();
  if (!(cause instanceof LabError)) return cause instanceof Error ? cause : new Error(String(cause));
  return new CliError({ exitCode: 1, code: cause.code, message: cause.message }, { cause });
}

/** Each run begins with an empty registry. */
async function runOne(
  kind: RunKind,
  directory: string,
  { agents, registry, jitter: jitterMaxMs, timeout: timeoutMs }: LoadtestFlags,
  signal: AbortSignal,
  now: (doing: string) => void,
): Promise<LoadRun> {
  now("starting the registry");
  const server = await startServer(registry, directory, spindle);
  try {
    const run = await runLoad(kind, server, { agents, jitterMaxMs, timeoutMs, signal, now });
    if (signal.aborted) throw interrupted();
    return run;
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

function convergedOf({ convergeMs, agentsAtRest }: LoadRun, colors: { red: (text: string) => string }): string {
  return convergeMs === null ? colors.red(`no, ${agentsAtRest} at rest`) : formatSeconds(convergeMs);
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

function parseRuns(text: string): readonly RunKind[] {
  return text.split(",").map((name) => {
    const kind = runKinds.find((known) => known.name === name.trim());
    if (kind === undefined) throw new InvalidArgumentError(`It must be some of ${namesOf(runKinds)}.`);
    return kind;
  });
}

function namesOf(kinds: readonly RunKind[]): string {
  return kinds.map(({ name }) => name).join(", ");
}

function parseAgents(text: string): number {
  const count = Number(text);
  if (/^\d{1,5}$/.test(text) && count >= 2 && count <= agentsMax) return count;
  throw new InvalidArgumentError(`It must be a whole number from 2 to ${agentsMax}.`);
}
