/** `spindle simulate` of a fleet: one run, or runs that differ in one option, side by side. */
import { writeFile } from "node:fs/promises";
import { CliError } from "../exit.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import { renderReport } from "../report/page.js";
import type { Shell } from "../shell.js";
import { driveSimulation } from "./drive.js";
import { heapBytesFor, runWithHeap } from "./heap.js";
import { describeRuns, type NamedRun } from "./result-text.js";
import { peersOf, type PlannedRun } from "./run-flags.js";

export interface FleetOutput extends OutputOptions {
  /** Where the page goes, if one is wanted. */
  readonly report?: string;
}

export async function simulateFleets(planned: readonly PlannedRun[], output: FleetOutput, shell: Shell): Promise<void> {
  const largest = Math.max(...planned.map(({ options }) => heapBytesFor(options.nodes, peersOf(options))));
  if (await runWithHeap(largest, shell)) return;
  const runs: NamedRun[] = [];
  for (const { name, options } of planned) {
    if (shell.interrupted().aborted) break;
    runs.push({ name, result: await driveSimulation(options, name === null ? "" : `${name}: `, shell) });
  }
  if (output.report !== undefined) await writeReport(output.report, runs);
  const ok = runs.length === planned.length && runs.every(({ result }) => result.ok);
  const results = runs.map(({ result }) => result);
  const value = planned.length === 1 ? results[0] : { schemaVersion: 1, runs: results, ok };
  await printResult(shell.stdout, formatOf(output), value, (wide) => describeRuns(runs, shell.stdout, wide));
  if (!ok) shell.exitWith(1);
}

async function writeReport(path: string, runs: readonly NamedRun[]): Promise<void> {
  try {
    await writeFile(path, await renderReport(runs));
  } catch (cause) {
    const message = `${path} cannot be written: ${(cause as Error).message}`;
    throw new CliError({ exitCode: 2, code: "REPORT_NOT_WRITTEN", message }, { cause });
  }
}
