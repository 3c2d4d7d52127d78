/** Runs the search of `spindle modelcheck` in slices, with live progress, until it ends, a limit is met or SIGINT. */
import { writeFile } from "node:fs/promises";
import { colorsFor } from "../../adapters/system/terminal.js";
import { systemClock } from "../../adapters/system/clock.js";
import { counterexampleFile } from "../../modelcheck/counterexample-file.js";
import { withMutant } from "../../modelcheck/mutants.js";
import { abstractions, type Scope } from "../../modelcheck/scope.js";
import { Search, type Counterexample } from "../../modelcheck/search.js";
import { describeRun } from "../../modelcheck/words.js";
import type { ModelcheckFlags } from "../commands/modelcheck.js";
import { formatOf, printResult } from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";

const statesPerSlice = 500;

export async function checkModel(flags: ModelcheckFlags, shell: Shell): Promise<void> {
  const scope = scopeOf(flags);
  const startMs = systemClock.nowMs();
  const search = new Search(scope);
  const why = await run(search, flags, shell, startMs);
  const result = resultOf(search, scope, flags, why, (systemClock.nowMs() - startMs) / 1_000);
  const { outcome } = search;
  if (outcome.kind === "counterexample" && flags.trace !== undefined) await writeTrace(flags, scope, outcome.found);
  if (outcome.kind !== "holds") shell.exitWith(outcome.kind === "running" ? 4 : 1);
  await printResult(shell.stdout, formatOf(flags), result, () => textOf(result, search, shell));
}

function scopeOf(flags: ModelcheckFlags): Scope {
  const { nodes, coordination, crashes, reboots, rotations, aborts, losses } = flags;
  const controllers = coordination === "barrier" ? flags.controllers : 0;
  const joins = Math.min(flags.joins, nodes);
  const scope: Scope = { nodes, coordination, controllers, crashes, reboots, rotations, aborts, joins, losses, silences: flags.silences, levels: flags.levels };
  return flags.mutant === undefined ? scope : withMutant(scope, flags.mutant);
}

/** @returns why it stopped before the end, null when it did not */
async function run(search: Search, flags: ModelcheckFlags, shell: Shell, startMs: number): Promise<string | null> {
  const endMs = flags.minutes === undefined ? Number.POSITIVE_INFINITY : startMs + flags.minutes * 60_000;
  const interrupted = shell.interrupted();
  const lines = (): readonly string[] => [progressLine(search, (systemClock.nowMs() - startMs) / 1_000)];
  const progress = startProgress({ stream: shell.stderr, lines });
  try {
    while (search.advance(statesPerSlice).kind === "running") {
      if (interrupted.aborted) return "interrupted";
      if (search.progress.states >= flags.statesMax) return `--states-max ${flags.statesMax}`;
      if (systemClock.nowMs() >= endMs) return `--minutes ${flags.minutes ?? 0}`;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return null;
  } finally {
    progress.stop();
  }
}

function progressLine(search: Search, seconds: number): string {
  const { states, depth, waiting } = search.progress;
  const rate = Math.round(states / Math.max(seconds, 0.001));
  return `${count(states)} states, depth ${depth}, ${count(waiting)} waiting, ${count(rate)} states/s`;
}

async function writeTrace(flags: ModelcheckFlags, scope: Scope, found: Counterexample): Promise<void> {
  const file = counterexampleFile(scope, flags.mutant ?? null, found);
  await writeFile(flags.trace ?? "", `${JSON.stringify(file, null, 1)}\n`);
}

function resultOf(search: Search, scope: Scope, flags: ModelcheckFlags, stopped: string | null, seconds: number) {
  const { outcome, progress } = search;
  const found = outcome.kind === "counterexample" ? outcome.found : null;
  return {
    schemaVersion: 1,
    ok: outcome.kind === "holds",
    stopped,
    coordination: scope.coordination,
    nodes: scope.nodes,
    bounds: {
      controllers: scope.controllers,
      rotations: scope.rotations,
      crashes: scope.crashes,
      reboots: scope.reboots,
      aborts: scope.aborts,
      joins: scope.joins,
      losses: scope.losses,
      silences: scope.silences,
      levels: scope.levels,
    },
    mutant: flags.mutant ?? null,
    states: progress.states,
    transitions: progress.transitions,
    depth: progress.depth,
    waiting: progress.waiting,
    seconds: Math.round(seconds * 100) / 100,
    statesPerSecond: Math.round(progress.states / Math.max(seconds, 0.001)),
    tableBytes: progress.bytes,
    memoryBytes: process.memoryUsage().rss,
    counterexample:
      found === null
        ? null
        : { violation: found.violation, moves: found.moves, steps: describeRun(search.model, found.moves) },
    abstractions,
  };
}

function textOf(result: ReturnType<typeof resultOf>, search: Search, shell: Shell): string {
  const colors = colorsFor(shell.stdout);
  const bounds = Object.entries(result.bounds).map(([name, value]) => `${name} ${value}`);
  const mutant = result.mutant === null ? "" : `, without: ${result.mutant}`;
  const megabytes = Math.round(result.memoryBytes / 1e6);
  return [
    colors.bold(`${result.nodes} nodes, ${result.coordination}, ${bounds.join(", ")}${mutant}`),
    `${count(result.states)} states, ${count(result.transitions)} transitions, depth ${result.depth}, ` +
      `${result.seconds} s (${count(result.statesPerSecond)} states/s), ${megabytes} MB`,
    "",
    ...verdict(result, search, colors),
    "",
    "what is bounded and left out:",
    ...result.abstractions.map((line) => `  ${line}`),
  ].join("\n");
}

function verdict(result: ReturnType<typeof resultOf>, search: Search, colors: ReturnType<typeof colorsFor>): readonly string[] {
  const { counterexample, stopped } = result;
  if (counterexample !== null) {
    const { invariant, message } = counterexample.violation;
    return [colors.red(`counterexample, ${counterexample.moves.length} steps:`), ...counterexample.steps.map((step) => `  ${step}`), colors.red(`${invariant}: ${message}`)];
  }
  if (stopped !== null) {
    return [colors.yellow(`stopped (${stopped}): no counterexample of up to ${result.depth - 1} steps; ${count(result.waiting)} states were not looked at`)];
  }
  const rest = search.outcome.kind === "holds" ? search.outcome.restStates : 0;
  return [colors.green("holds: S1, S2 and S4 in every state; L1: from every state the fleet can come to rest"), `states of rest: ${count(rest)}`];
}

function count(value: number): string {
  return value.toLocaleString("en");
}
