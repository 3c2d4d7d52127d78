/** `spindle simulate --scenario NAME`: a failure of the field under the behaviour that failed, and under ours. */
import { setImmediate } from "node:timers/promises";
import { findScenario, scenarios } from "../../sim/scenarios/catalogue.js";
import { summarise } from "../../sim/scenarios/outcome.js";
import { playRun, tellScenario, type PlayedRun } from "../../sim/scenarios/run.js";
import type { Scenario } from "../../sim/scenarios/scenario.js";
import { CliError } from "../exit.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";
import { heapBytesFor, runWithHeap } from "./heap.js";
import { nearest } from "./nearest.js";

interface ScenarioFlags extends OutputOptions {
  readonly seed: number;
}

/** @param nodes null for the small fleet that the scenario's story is told with */
export async function playScenario(
  name: string,
  nodes: number | null,
  flags: ScenarioFlags,
  shell: Shell,
): Promise<void> {
  const scenario = atSize(name, nodes);
  if (nodes !== null && (await runWithHeap(heapBytesFor(nodes, nodes - 1), shell))) return;
  const { seed } = flags;
  const runs = await playAll(scenario, seed, shell);
  const complete = runs.length === scenario.runs.length;
  const ok = complete && runs.every(({ findings }) => findings.length === 0);
  const value = { schemaVersion: 1, scenario: name, source: scenario.source, seed, runs: runs.map(viewOf), ok };
  await printResult(shell.stdout, formatOf(flags), value, () => tellScenario(scenario, runs).trimEnd());
  if (!ok) shell.exitWith(1);
}

function atSize(name: string, nodes: number | null): Scenario {
  const scenario = findScenario(name);
  if (scenario === undefined) throw unknownScenario(name);
  if (nodes === null) return scenario;
  if (scenario.sized !== undefined) return scenario.sized.at(nodes);
  const message = `scenario ${name} is a script for nodes by name: it does not take --nodes`;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message, hint: "leave it out" });
}

async function playAll(scenario: Scenario, seed: number, shell: Shell): Promise<readonly PlayedRun[]> {
  let playing = "";
  const signal = shell.interrupted();
  const progress = startProgress({ stream: shell.stderr, lines: () => [`${scenario.name}: ${playing}`] });
  const runs: PlayedRun[] = [];
  try {
    for (const run of scenario.runs) {
      playing = run.label;
      await setImmediate();
      if (signal.aborted) break;
      runs.push(playRun(run, seed));
    }
  } finally {
    progress.stop();
  }
  return runs;
}

function viewOf({ run, outcome, findings }: PlayedRun): object {
  const { sent, losses, unexcused, figures, unmet } = outcome;
  const asExpected = findings.length === 0;
  return {
    label: run.label,
    rules: run.rules,
    summary: summarise(outcome),
    packets: { sent, lost: unexcused, losses },
    figures: Object.fromEntries(figures),
    violations: outcome.violations,
    unmet,
    findings,
    asExpected,
  };
}

function unknownScenario(name: string): CliError {
  const message = `there is no scenario ${name}; ${nearest(name, scenarios.map((scenario) => scenario.name))}`;
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message, hint: "spindle simulate --list" });
}
