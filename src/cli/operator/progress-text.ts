/**
 * A running rotation or abort as people watch it: where it stands, a bar for each step, and who
 * holds it up.
 */
import { colorsFor, type Colors, type Terminal } from "../../adapters/system/terminal.js";
import type { NodeException } from "../../core/fleet/exceptions.js";
import type { FleetSummary } from "../../core/fleet/summary.js";
import { formatSeconds, headLine, summaryLine } from "./summary-text.js";

const barCells = 24;
const stragglersShown = 5;

export function progressLines(summary: FleetSummary, stream: Terminal): readonly string[] {
  const colors = colorsFor(stream);
  const stragglers = stragglerLines(summary.exceptions, colors);
  if (stream.isTTY !== true) return [summaryLine(summary, colors), ...stragglers];
  return [headLine(summary, colors), ...barLines(summary, colors), ...stragglers];
}

type Bar = readonly [name: string, count: number];

function barLines(summary: FleetSummary, colors: Colors): readonly string[] {
  const { counted } = summary;
  return barsOf(summary).map(([name, count]) => {
    const isFull = count === counted;
    const bar = drawBar(counted === 0 ? 0 : count / counted);
    const numbers = `${count}/${counted}`;
    return `  ${name.padEnd(9)} ${isFull ? colors.green(bar) : colors.cyan(bar)} ${numbers}`;
  });
}

function barsOf({ phase, steps, level }: FleetSummary): readonly Bar[] {
  const { staged, switched, retired, refused, reverted } = steps;
  if (phase === "aborting") return [["refused", refused], ["back", reverted]];
  if (phase === "steady" && level !== null && !level.isSettled) return [[level.level ?? "asked", level.appliedBy]];
  return [["staged", staged], ["switched", switched], ["retired", retired]];
}

/** @param share 0 to 1; a bar is full only when everybody is there */
export function drawBar(share: number): string {
  const full = Math.floor(Math.min(1, Math.max(0, share)) * barCells);
  return "█".repeat(full) + "░".repeat(barCells - full);
}

function stragglerLines(exceptions: readonly NodeException[], colors: Colors): readonly string[] {
  const shown = exceptions.slice(0, stragglersShown).map(({ node, why, forMs }) => {
    const since = forMs === null ? "" : `, for ${formatSeconds(forMs)}`;
    return `  ${colors.yellow(node)} ${why}${since}`;
  });
  const hidden = exceptions.length - shown.length;
  return hidden === 0 ? shown : [...shown, `  and ${hidden} more`];
}
