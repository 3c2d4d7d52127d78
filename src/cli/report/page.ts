/**
 * `--report FILE`: a page about simulated runs, in one file that fetches nothing. Words and tables are in the page itself
 * and stand without its script; the script (src/dashboard/report-charts.ts) draws the charts.
 */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { registryCapacities } from "../../core/fleet/registry-capacity.js";
import type { ReportRun } from "../../dashboard/report-data.js";
import type { SimulationResult } from "../../sim/run/simulation-result.js";
import type { NamedRun } from "../simulate/result-text.js";
import { version } from "../version.js";
import { html, join, raw } from "./html.js";
import { pageStyle } from "./page-style.js";
import { runSection } from "./run-section.js";

export async function renderReport(runs: readonly NamedRun[]): Promise<string> {
  const charts = await loadCharts();
  const carried = JSON.stringify(runs.map(({ result }) => chartData(result))).replaceAll("<", "\\u003c");
  const hasLost = runs.some(({ result }) => result.packets.lost > 0);
  const sections = join(runs.map((run, index) => runSection(run, index, hasLost)));
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${titleOf(runs)}</title>
<style>${raw(charts.style)}</style>
<style>${raw(pageStyle)}</style>
</head>
<body>
<header>
<h1>${titleOf(runs)}</h1>
<p class="soft">spindle ${version}, simulated in virtual time. The same command gives the same figures on any machine.</p>
</header>
<main class="runs">${sections}</main>
<script type="application/json" id="runs">${raw(carried)}</script>
<script>${raw(charts.library)}</script>
<script type="module">${raw(charts.script)}</script>
</body>
</html>
`.text;
}

function titleOf(runs: readonly NamedRun[]): string {
  const [first] = runs;
  const nodes = first?.result.nodes.toLocaleString("en-US") ?? "0";
  const differing = runs.map(({ name }) => name).filter((name) => name !== null);
  return differing.length > 1 ? `${differing.join(" and ")}, ${nodes} nodes` : `Key rotation of ${nodes} nodes`;
}

interface Charts {
  readonly style: string;
  readonly library: string;
  readonly script: string;
}

async function loadCharts(): Promise<Charts> {
  const { resolve } = createRequire(import.meta.url);
  const [library, style, license, script] = await Promise.all([
    readFile(resolve("uplot/dist/uPlot.iife.min.js"), "utf8"),
    readFile(resolve("uplot/dist/uPlot.min.css"), "utf8"),
    readFile(resolve("uplot/LICENSE"), "utf8"),
    readFile(fileURLToPath(new URL("../../dashboard/report-charts.js", import.meta.url)), "utf8"),
  ]);
  return { style, library: `/*\nuPlot\n${license}*/\n${library}`, script: withoutMap(script) };
}

/** A page that fetches nothing names no file beside it. */
function withoutMap(script: string): string {
  return script.replace(/^\/\/# sourceMappingURL=.*$/m, "");
}

/** From a second before the first rotation on: the start of a fleet is no part of its rotations. */
function chartData({ nodes, series, staging, startedMs, registry }: SimulationResult): ReportRun {
  const firstBin = Math.max(0, Math.floor((startedMs - 1_000) / series.binMs));
  const named = (prefix: string): ReportRun["losses"] =>
    series.all
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, values }) => ({ name: name.slice(prefix.length), values: values.slice(firstBin) }));
  const registryEvents = series.all.find(({ name }) => name === "registry events")?.values.slice(firstBin) ?? [];
  return {
    nodes,
    binMs: series.binMs,
    bins: registryEvents.length,
    losses: named("lost: "),
    phases: named("phase: "),
    registryEvents,
    capacityPerSecond: registry.rate ?? registryCapacities.embedded.eventsPerSecond,
    stagingMs: staging.map(({ stagingMs }) => stagingMs),
  };
}

