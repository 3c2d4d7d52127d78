/**
 * A fleet's summary as people read it: one line, what needs attention, and on request every node.
 */
import type { Colors, Terminal } from "../../adapters/system/terminal.js";
import { colorsFor } from "../../adapters/system/terminal.js";
import { awaitedWords } from "./awaited-text.js";
import type { NodeException } from "../../core/fleet/exceptions.js";
import type { FleetSummary, NodeRow } from "../../core/fleet/summary.js";
import { formatDuration } from "../duration.js";
import { formatTable, type Column } from "../output.js";

/** `staging key 7 → 8 · 3 of 5 nodes staged · rotation 3 · about 12s left` */
export function summaryLine(summary: FleetSummary, colors: Colors): string {
  return joinWords(
    [headWords(summary, colors), countWords(summary), ...restWords(summary)],
    colors,
  );
}

/** The same without the counts, for above the bars that show them. */
export function headLine(summary: FleetSummary, colors: Colors): string {
  return joinWords([headWords(summary, colors), ...restWords(summary)], colors);
}

function restWords(summary: FleetSummary): readonly (string | null)[] {
  return [levelWords(summary), rotationWords(summary), timeWords(summary)];
}

function joinWords(words: readonly (string | null)[], colors: Colors): string {
  return words.filter((word) => word !== null).join(colors.dim(" · "));
}

function headWords(summary: FleetSummary, colors: Colors): string {
  const { phase, current, target, emergency } = summary;
  const words = `${phase} ${phaseKey(summary)}`.trimEnd();
  if (emergency) return colors.red(colors.bold(`emergency: ${words}`));
  if (current === null && target === null) return colors.bold("no key yet");
  const isCalm = phase === "steady" && summary.exceptions.length === 0;
  return colors.bold(isCalm ? colors.green(words) : colors.yellow(words));
}

/** The key that the phase is about. */
function phaseKey({ phase, current, target }: FleetSummary): string {
  if (phase === "steady") return current === null ? "" : `on key ${current.keyId}`;
  if (phase === "aborting") return current === null ? "" : `back to key ${current.keyId}`;
  const from = current === null ? "" : `${current.keyId} → `;
  return `key ${from}${target?.keyId ?? "?"}`;
}

function countWords({ phase, counted, nodes, steps }: FleetSummary): string {
  const excluded = nodes === counted ? "" : `, ${nodes - counted} excluded`;
  const all = `${counted} ${counted === 1 ? "node" : "nodes"}`;
  const of = (count: number, what: string): string => `${count} of ${all} ${what}${excluded}`;
  switch (phase) {
    case "steady":
      return `${all}${excluded}`;
    case "staging":
      return of(steps.staged, "staged") + (steps.waiting === 0 ? "" : `, ${steps.waiting} waiting`);
    case "staged":
      return of(steps.switched, "switched");
    case "draining":
      return of(steps.retired, "retired");
    case "aborting":
      return of(steps.reverted, "back");
  }
}

function levelWords({ level, counted }: FleetSummary): string | null {
  if (level === null) return null;
  const { level: present, wanted, appliedBy, isSettled } = level;
  if (isSettled) return `level ${wanted}`;
  const way = present === wanted ? `level ${wanted}` : `level ${present ?? "?"} → ${wanted}`;
  return `${way}, ${present ?? "known"} at ${appliedBy} of ${counted}`;
}

function rotationWords({ rotation, phase, lastRotation }: FleetSummary): string | null {
  if (rotation === null || rotation === 0) return null;
  if (phase !== "steady" || lastRotation?.rotation !== rotation) return `rotation ${rotation}`;
  const { outcome, endedForMs, durationMs } = lastRotation;
  if (endedForMs === null || durationMs === null) return `rotation ${rotation}`;
  const took = formatDuration(durationMs);
  return `rotation ${rotation} ${outcome} ${formatSeconds(endedForMs)} ago, took ${took}`;
}

function timeWords({ timeLeftMs }: FleetSummary): string | null {
  if (timeLeftMs === null) return null;
  return timeLeftMs === 0 ? "longer than estimated" : `about ${formatSeconds(timeLeftMs)} left`;
}

/** Whole seconds, at least one: what is drawn again every second should not flicker. */
export function formatSeconds(durationMs: number): string {
  return formatDuration(Math.max(1, Math.round(durationMs / 1_000)) * 1_000);
}

/** What concerns the fleet as a whole and is not as it should be, or waits for someone. */
export function fleetNotes(summary: FleetSummary): readonly string[] {
  const { offered, awaited, request, lastRetire, phase, counted, level } = summary;
  const notes: string[] = [];
  if (awaited !== null) {
    const { by, reason } = awaited;
    const offering = `${awaited.keyId === offered?.key.keyId ? offered.nodes : 0} of ${counted} nodes`;
    notes.push(`rotation by ${by} (${reason}) waits for its key: ${awaitedWords(awaited, offering)}`);
  } else if (offered !== null) {
    const waits =
      phase === "steady" ? "no rotation has started" : "it waits for this rotation to end";
    notes.push(
      `key ${offered.key.keyId} is offered by ${offered.nodes} of ${counted} nodes; ${waits}`,
    );
  }
  if (request !== null) {
    const what = request.kind === "level" ? "for a level" : `to ${request.kind}`;
    notes.push(`request ${what} by ${request.by}: ${request.reason}`);
  }
  if (level !== null && level.why !== null)
    notes.push(`level ${level.level ?? "?"} → ${level.wanted} waits: ${level.why}`);
  const { forcedRetires, errors } = lastRetire;
  if (forcedRetires + errors > 0) {
    notes.push(
      `the last key went with ${forcedRetires} forced retires and ${errors} packet errors`,
    );
  }
  return notes;
}

const shownExceptionsMax = 20;

const exceptionColumns: readonly Column<NodeException>[] = [
  { header: "NODE", cell: ({ node }) => node },
  { header: "WHY", cell: ({ why }, colors) => colors.yellow(why) },
  { header: "FOR", cell: ({ forMs }) => (forMs === null ? "" : formatSeconds(forMs)) },
];

const rowColumns: readonly Column<NodeRow>[] = [
  { header: "NODE", cell: ({ node }) => node },
  { header: "STEP", cell: ({ step }) => step },
  { header: "HOLDS", cell: ({ holds }) => holds.join(" ") || "-" },
  { header: "SENDS WITH", cell: ({ sending }) => sending.join(" ") || "-" },
  { header: "LEASE", cell: ({ lease }) => lease },
  { header: "INDEX", cell: ({ index }) => String(index), align: "right", wide: true },
  {
    header: "INCARNATION",
    cell: ({ incarnation }) => String(incarnation),
    align: "right",
    wide: true,
  },
  { header: "LEVEL", cell: ({ level }) => level ?? "-", wide: true },
  { header: "THROUGH", cell: ({ through }) => String(through ?? "-"), align: "right", wide: true },
];

export interface SummaryTextOptions {
  readonly stream: Terminal;
  /** With the table of every node, and all of its columns. */
  readonly all: boolean;
  readonly wide: boolean;
}

export function formatSummary(summary: FleetSummary, options: SummaryTextOptions): string {
  const { stream, all, wide } = options;
  const colors = colorsFor(stream);
  const blocks = [summaryLine(summary, colors)];
  const notes = fleetNotes(summary).map((note) => colors.yellow(note));
  if (notes.length > 0) blocks.push(notes.join("\n"));
  const shown = summary.exceptions.slice(0, all ? undefined : shownExceptionsMax);
  if (shown.length > 0) {
    const isTimed = shown.some(({ forMs }) => forMs !== null);
    const columns = isTimed ? exceptionColumns : exceptionColumns.slice(0, -1);
    blocks.push(formatTable(columns, shown, stream) + hiddenWords(summary, shown));
  }
  if (all && summary.rows.length > 0)
    blocks.push(formatTable(rowColumns, summary.rows, stream, wide));
  return blocks.join("\n\n");
}

function hiddenWords({ exceptions }: FleetSummary, shown: readonly NodeException[]): string {
  const hidden = exceptions.length - shown.length;
  return hidden === 0 ? "" : `\nand ${hidden} more (--all shows them)`;
}

/** What `-o json` shows: stable names, and the rows only where they were asked for. */
export function summaryJson(summary: FleetSummary, all: boolean): object {
  const { rows, ...rest } = summary;
  return { schemaVersion: 1, ...rest, ...(all ? { rows } : {}) };
}
