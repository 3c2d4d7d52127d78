/**
 * `spindle status --watch`: on a terminal the status in place, drawn again every second; otherwise
 * a line for each change. Ends when it is interrupted.
 */
import { colorsFor, type Terminal } from "../../adapters/system/terminal.js";
import { summarizeFleet, type FleetSummary } from "../../core/fleet/summary.js";
import type { OutputFormat } from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";
import type { FleetWatch } from "./fleet-watch.js";
import { refreshEvery } from "./refresh.js";
import { runAfterChanges } from "./run-after-changes.js";
import { makeAges } from "./seen-since.js";
import { fleetNotes, formatSummary, summaryJson, summaryLine } from "./summary-text.js";
import { waitUntil } from "./wait.js";

export interface WatchStatusOptions {
  readonly format: OutputFormat;
  readonly all: boolean;
  readonly shell: Shell;
}

export async function watchStatus(fleet: FleetWatch, options: WatchStatusOptions): Promise<void> {
  const { format, shell } = options;
  const isLive = shell.stdout.isTTY === true && (format === "table" || format === "wide");
  const stopRefresh = refreshEvery(fleet, 1_000);
  const stop = isLive ? drawStatus(fleet, options) : printChanges(fleet, options);
  await waitUntil(fleet, () => null, { signal: shell.interrupted(), timeoutMs: null });
  stop();
  stopRefresh();
}

function drawStatus(fleet: FleetWatch, options: WatchStatusOptions): () => void {
  const { all, format, shell } = options;
  const { stdout } = shell;
  const fillAges = makeAges();
  const lines = (): readonly string[] => {
    const summary = fillAges(summarizeFleet(fleet.snapshot()));
    const text = formatSummary(summary, { stream: stdout, all, wide: format === "wide" });
    return fitScreen([...awayLines(fleet), ...text.split("\n")], stdout);
  };
  const progress = startProgress({ stream: stdout, lines, redrawMs: 1_000 });
  return () => {
    progress.stop();
    stdout.write(`${lines().join("\n")}\n`);
  };
}

function awayLines({ away }: FleetWatch): readonly string[] {
  return away === null
    ? []
    : [`the registry does not answer (${away}); this is what it said last`, ""];
}

/** What does not fit could not be drawn over. */
function fitScreen(lines: readonly string[], { rows = 24 }: Terminal): readonly string[] {
  if (lines.length < rows) return lines;
  const shown = lines.slice(0, rows - 2);
  return [...shown, `… ${lines.length - shown.length} more lines`];
}

function printChanges(fleet: FleetWatch, { format, all, shell }: WatchStatusOptions): () => void {
  let last = "";
  let away: string | null = null;
  const fillAges = makeAges();
  const print = (): void => {
    if (fleet.away !== null && fleet.away !== away) {
      shell.stderr.write(`the registry does not answer: ${fleet.away}\n`);
    }
    away = fleet.away;
    const summary = fillAges(summarizeFleet(fleet.snapshot()));
    const state = JSON.stringify(withoutTimes(summary));
    if (state === last) return;
    last = state;
    shell.stdout.write(`${changeText(summary, format, all, shell.stdout)}\n`);
  };
  return runAfterChanges(fleet, print);
}

/** One line, or one document of a stream. */
function changeText(
  summary: FleetSummary,
  format: OutputFormat,
  all: boolean,
  stream: Terminal,
): string {
  if (format === "json") return JSON.stringify(summaryJson(summary, all));
  if (format === "yaml") return `---\n${JSON.stringify(summaryJson(summary, all), null, 2)}`;
  const exceptions = summary.exceptions.map(({ node, why }) => `${node}: ${why}`);
  return [summaryLine(summary, colorsFor(stream)), ...fleetNotes(summary), ...exceptions].join(
    "; ",
  );
}

/** Time passes without anything having changed. */
function withoutTimes(summary: FleetSummary): object {
  const exceptions = summary.exceptions.map(({ node, why }) => ({ node, why }));
  const lastRotation =
    summary.lastRotation === null ? null : { ...summary.lastRotation, endedForMs: null };
  const isLate = summary.timeLeftMs === 0;
  const level = summary.level === null ? null : { ...summary.level, asked: { ...summary.level.asked, forMs: null } };
  return { ...summary, level, phaseForMs: null, timeLeftMs: isLate, exceptions, lastRotation };
}
