/** The pre-flight check for people: the verdict, then what it rests on. */
import { colorsFor, type Terminal } from "../../adapters/system/terminal.js";
import { formatDuration } from "../duration.js";
import type { PreflightResult } from "./preflight.js";

export function formatPreflight(result: PreflightResult, stream: Terminal): string {
  const colors = colorsFor(stream);
  const { nodes, offeredBy, jitterMs, stagingMs, reports, fleetEvents, notes, obstacles } = result;
  const facts: readonly (readonly [string, string])[] = [
    ["nodes", `${nodes}, ${offeredBy} of them offer the key`],
    ["jitter", jitterMs === 0 ? "none" : `up to ${formatDuration(jitterMs)}`],
    ["staging", formatDuration(stagingMs)],
    ["registry", `${reports} reports, ${fleetEvents} fleet events`],
  ];
  return [
    verdict(result, colors),
    ...obstacles.map((obstacle) => colors.yellow(`not now: ${obstacle}`)),
    "",
    ...facts.map(([name, value]) => `  ${name.padEnd(10)}${value}`),
    ...notes.map((note) => `  ${colors.dim(note)}`),
  ].join("\n");
}

function verdict(
  { fits, emergency, from, to, estimateMs }: PreflightResult,
  colors: ReturnType<typeof colorsFor>,
): string {
  const keys = to === null ? "" : `, key ${from ?? "none"} → ${to}`;
  if (!fits && emergency) return `${colors.red("late, but not refused")}${keys}`;
  if (!fits) return `${colors.red("does not fit")}${keys}`;
  return `${colors.green("fits")}${keys}: done in about ${formatDuration(estimateMs)}`;
}
