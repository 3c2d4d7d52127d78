/**
 * The charts of a report, in the reader's browser: loss, phases and registry load over time, and staging by node. It
 * reads the figures that the page carries and fetches nothing. Runs that are compared share their axes.
 */
import type UPlot from "uplot";
import type { ReportRun } from "./report-data.js";

const { uPlot } = globalThis as unknown as { readonly uPlot: typeof UPlot };

/** Okabe and Ito (2008): told apart by every kind of colour vision. */
const phaseColors: Readonly<Record<string, string>> = {
  steady: "#8a8f98",
  waiting: "#f0e442",
  staging: "#e69f00",
  staged: "#56b4e9",
  switched: "#0072b2",
  draining: "#cc79a7",
  aborting: "#d55e00",
};
const lossColors = ["#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#009e73", "#8a8f98"];
const loadColor = "#009e73";
const capacityColor = "#d55e00";

const chartHeightPx = 190;

/** A figure holds for the whole of its bin. */
const steppedPaths = uPlot.paths.stepped?.({ align: 1 });
const stepped: Partial<UPlot.Series> = steppedPaths === undefined ? {} : { paths: steppedPaths };

interface Chart {
  readonly xLabel: string;
  readonly data: UPlot.AlignedData;
  readonly series: readonly UPlot.Series[];
  readonly xMax: number;
  readonly yMax: number;
  /** Each series lies on those after it. */
  readonly isStacked: boolean;
}

type Draw = (run: ReportRun, runs: readonly ReportRun[]) => Chart;

const charts: Readonly<Record<string, Draw>> = { losses: drawLosses, phases: drawPhases, registry: drawRegistry, staging: drawStaging };

function show(): void {
  const text = document.getElementById("runs")?.textContent ?? "[]";
  const runs = JSON.parse(text) as readonly ReportRun[];
  const shown: UPlot[] = [];
  const redraw = (): void => {
    for (const plot of shown.splice(0)) plot.destroy();
    for (const place of document.querySelectorAll<HTMLElement>("[data-chart]")) {
      const run = runs[Number(place.dataset["run"])];
      const draw = charts[place.dataset["chart"] ?? ""];
      if (run !== undefined && draw !== undefined) shown.push(plot(place, draw(run, runs)));
    }
  };
  redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => {
    for (const one of shown) one.setSize({ width: widthOf(one.root), height: chartHeightPx });
  }).observe(document.body);
}

function widthOf(element: HTMLElement): number {
  return element.parentElement?.clientWidth ?? element.clientWidth;
}

function plot(place: HTMLElement, chart: Chart): UPlot {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink-soft").trim();
  const grid = { stroke: style.getPropertyValue("--line").trim(), width: 1 };
  const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
  const options: UPlot.Options = {
    width: place.clientWidth,
    height: chartHeightPx,
    cursor: { drag: { x: true, y: false } },
    scales: { x: { time: false, range: [0, chart.xMax] }, y: { range: [0, chart.yMax] } },
    axes: [
      { ...axis, label: chart.xLabel, labelSize: 18, size: 34 },
      { ...axis, size: 58, values: (_, ticks) => ticks.map(compact) },
    ],
    series: [{ label: chart.xLabel, value: (_, value) => (value === null ? "–" : compact(value)) }, ...chart.series],
    ...(chart.isStacked ? { bands: bandsOf(chart.series.length) } : {}),
  };
  return new uPlot(options, chart.data, place);
}

function bandsOf(series: number): UPlot.Band[] {
  return Array.from({ length: series - 1 }, (_, i) => ({ series: [i + 1, i + 2] }));
}

function compact(value: number): string {
  if (value >= 10_000) return `${trim(value / 1_000)}k`;
  return trim(value);
}

function trim(value: number): string {
  return `${Number(value.toFixed(value < 10 ? 2 : 0))}`;
}

function timesOf(run: ReportRun): number[] {
  const { binMs } = run;
  return Array.from({ length: run.bins }, (_, bin) => (bin * binMs) / 1_000);
}

function longest(runs: readonly ReportRun[]): number {
  return Math.max(...runs.map((run) => (run.bins * run.binMs) / 1_000));
}

function largest(lists: readonly (readonly number[])[]): number {
  return Math.max(1, ...lists.map((values) => values.reduce((most, value) => Math.max(most, value), 0)));
}

/** Counts of a bin as a rate. */
function perSecond(run: ReportRun, values: readonly number[]): number[] {
  return values.map((value) => (value * 1_000) / run.binMs);
}

/** What came within the second that ends with each bin, or a bin's average where it is longer: as the figures above count. */
function withinSecond(run: ReportRun, values: readonly number[]): number[] {
  const bins = Math.floor(1_000 / run.binMs);
  if (bins < 1) return perSecond(run, values);
  let sum = 0;
  return values.map((value, bin) => (sum += value - (values[bin - bins] ?? 0)));
}

function drawLosses(run: ReportRun, runs: readonly ReportRun[]): Chart {
  const rates = run.losses.map(({ values }) => perSecond(run, values));
  const all = runs.flatMap((one) => one.losses.map(({ values }) => perSecond(one, values)));
  const series = run.losses.map(({ name }, i) => {
    const color = lossColors[i % lossColors.length] ?? capacityColor;
    return { label: name, stroke: color, fill: `${color}55`, width: 1.5, ...stepped, value: rateValue };
  });
  return { xLabel: "seconds", data: [timesOf(run), ...rates], series, xMax: longest(runs), yMax: largest(all) * 1.1, isStacked: false };
}

const rateValue: NonNullable<UPlot.Series["value"]> = (_, value) => (value === null ? "–" : `${compact(value)}/s`);

function drawPhases(run: ReportRun, runs: readonly ReportRun[]): Chart {
  const order = Object.keys(phaseColors).filter((phase) => run.phases.some(({ name }) => name === phase));
  const levels = order.map((phase) => run.phases.find(({ name }) => name === phase)?.values ?? []);
  const stacked = levels.map((_, i) => Array.from({ length: run.bins }, (__, bin) => sumFrom(levels, i, bin)));
  const series = order.map((phase, i) => {
    const color = phaseColors[phase] ?? "#888888";
    const value: NonNullable<UPlot.Series["value"]> = (_, __, ___, bin) => `${bin === null ? "–" : (levels[i]?.[bin] ?? 0)}`;
    return { label: phase, stroke: color, fill: color, width: 0.5, ...stepped, points: { show: false }, value };
  });
  const yMax = Math.max(...runs.map(({ nodes }) => nodes));
  return { xLabel: "seconds", data: [timesOf(run), ...stacked], series, xMax: longest(runs), yMax, isStacked: true };
}

function sumFrom(levels: readonly (readonly number[])[], first: number, bin: number): number {
  return levels.slice(first).reduce((sum, values) => sum + (values[bin] ?? 0), 0);
}

function drawRegistry(run: ReportRun, runs: readonly ReportRun[]): Chart {
  const rate = withinSecond(run, run.registryEvents);
  const peak = largest(runs.map((one) => withinSecond(one, one.registryEvents)));
  const capacity = run.capacityPerSecond;
  const line = Array.from({ length: run.bins }, () => capacity);
  const series = [
    { label: "events/s", stroke: loadColor, fill: `${loadColor}44`, width: 1.5, ...stepped, value: rateValue },
    { label: "capacity", stroke: capacityColor, dash: [6, 4], width: 1.5, points: { show: false }, value: rateValue },
  ];
  const yMax = Math.max(peak, peak > capacity / 20 ? capacity : 0) * 1.1;
  return { xLabel: "seconds", data: [timesOf(run), rate, line], series, xMax: longest(runs), yMax, isStacked: false };
}

/** Sorted, so that a thousand nodes read as one curve: how many took at most so long. */
function drawStaging(run: ReportRun, runs: readonly ReportRun[]): Chart {
  const sorted = [...run.stagingMs].sort((one, other) => one - other);
  const seconds = sorted.map((ms) => ms / 1_000);
  const ranks = sorted.map((_, i) => i + 1);
  const series = [{ label: "staging, s", stroke: "#0072b2", fill: "#0072b233", width: 1.5, points: { show: sorted.length < 60 } }];
  const yMax = Math.max(...runs.map((one) => largest([one.stagingMs]))) / 1_000;
  const xMax = Math.max(...runs.map(({ nodes }) => nodes));
  return { xLabel: "nodes, the fastest first", data: [ranks, seconds], series, xMax, yMax: yMax * 1.1, isStacked: false };
}

show();
