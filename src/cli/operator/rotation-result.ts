/**
 * How `rotate` and `abort` end: the value that JSON shows, the words for people, and the exit code.
 */
import type { FleetRecord, RotationRecord } from "../../core/fleet/record.js";
import { summarizeFleet } from "../../core/fleet/summary.js";
import { colorsFor, type Colors, type Terminal } from "../../adapters/system/terminal.js";
import { formatDuration } from "../duration.js";
import type { ExitCode } from "../exit.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import type { FleetWatch } from "./fleet-watch.js";
import type { Followed } from "./follow.js";
import { summaryLine } from "./summary-text.js";

/**
 * - distributed: the next key is where the nodes read it, and nobody waited for more
 * - awaited: accepted; the controller writes the key first, and nobody waited for more
 * - withdrawn: it was called off while it waited for its key
 * - started: accepted, and nobody waited for the end
 * - done, aborted: it ended with the new key, or with the old one
 * - replaced: the key that was written never came into use, as the fleet runs a newer one
 * - detached: the command stopped waiting, the work goes on
 */
export type RotationOutcome = "distributed" | "awaited" | "withdrawn" | "started" | "done" | "aborted" | "replaced" | "detached";

export interface RotationResult {
  readonly schemaVersion: 1;
  readonly command: "rotate" | "abort";
  /** Null in pairwise coordination, and before there is one. */
  readonly rotation: number | null;
  /** Key ids; `from` is null for the first key of a fleet. */
  readonly from: number | null;
  readonly to: number | null;
  readonly outcome: RotationOutcome;
  /** The audit record, once it is closed. */
  readonly record: RotationRecord | null;
}

export function resultOf(
  command: RotationResult["command"],
  started: Pick<FleetRecord, "rotation" | "current" | "target">,
  followed: Followed | null,
): RotationResult {
  const record = followed?.kind === "done" || followed?.kind === "aborted" ? followed.record : null;
  return {
    schemaVersion: 1,
    command,
    rotation: record?.rotation ?? started.rotation,
    from: (record === null ? started.current : record.from)?.keyId ?? null,
    to: (record?.to ?? started.target)?.keyId ?? null,
    outcome: outcomeOf(followed),
    record,
  };
}

/** Of a key that was distributed. @param record of the rotation to it, if there was one */
export function keyResult(
  keys: Pick<RotationResult, "from" | "to">,
  outcome: RotationOutcome,
  record: RotationRecord | null = null,
): RotationResult {
  const from = record === null ? keys.from : (record.from?.keyId ?? null);
  return { schemaVersion: 1, command: "rotate", rotation: record?.rotation ?? null, from, to: keys.to, outcome, record };
}

function outcomeOf(followed: Followed | null): RotationOutcome {
  if (followed === null) return "started";
  return followed.kind === "done" || followed.kind === "aborted" ? followed.kind : "detached";
}

/** Prints the result and sets the exit code: 1 when it ended otherwise than was asked for. */
export async function endWith(
  result: RotationResult,
  fleet: FleetWatch,
  flags: OutputOptions,
  shell: Shell,
): Promise<void> {
  shell.exitWith(exitCodeOf(result));
  await printResult(shell.stdout, formatOf(flags), result, () =>
    describe(result, fleet, shell.stdout),
  );
}

function exitCodeOf({ command, outcome }: RotationResult): ExitCode {
  if (outcome === "detached") return 4;
  if (outcome === "started" || outcome === "distributed" || outcome === "awaited") return 0;
  if (outcome === "replaced") return 1;
  return (outcome === "aborted" || outcome === "withdrawn") === (command === "abort") ? 0 : 1;
}

function describe(result: RotationResult, fleet: FleetWatch, stream: Terminal): string {
  const colors = colorsFor(stream);
  const name = result.rotation === null ? "the rotation" : `rotation ${result.rotation}`;
  const keys = `key ${result.from ?? "none"} → ${result.to ?? "?"}`;
  switch (result.outcome) {
    case "distributed":
      return (
        `key ${result.to ?? "?"} is on its way: the rotation starts when nodes offer it ` +
        "(rotation.start: auto), or by spindle rotate (manual)"
      );
    case "awaited":
      return `the controller writes the next key; the rotation starts when nodes offer it\n${colors.dim("spindle status --watch follows it")}`;
    case "withdrawn":
      return colors.yellow("the rotation that waited for its key was withdrawn");
    case "started":
      return `${name} started: ${keys}\n${colors.dim("spindle status --watch follows it")}`;
    case "detached":
      return `stopped waiting, ${name} goes on: ${lineNow(fleet, colors)}`;
    case "done":
      return [`${colors.green(`${name} done`)}: ${keys}`, ...describeRecord(result.record)].join(
        "\n",
      );
    case "replaced":
      return colors.yellow(`key ${result.to ?? "?"} was not taken into use: the fleet runs a newer key`);
    case "aborted":
      return `${colors.yellow(`${name} aborted`)}: back to key ${result.from ?? "none"}`;
  }
}

function lineNow(fleet: FleetWatch, colors: Colors): string {
  return summaryLine(summarizeFleet(fleet.snapshot()), colors);
}

function describeRecord(record: RotationRecord | null): readonly string[] {
  if (record === null) return [];
  const reached = record.phases.flatMap(({ phase, afterMs }) => {
    const name = milestones[phase];
    return name === null ? [] : [`${name} after ${formatDuration(afterMs)}`];
  });
  const { forcedRetires, errors } = record;
  const losses = `${count(forcedRetires, "forced retire")}, ${count(errors, "packet error")}`;
  const stragglers = record.stragglers.map(({ name, kind, why }) => `${kind}: ${name}, ${why}`);
  return [reached.join(", "), ...stragglers, losses];
}

/** What has been reached when a phase begins. */
const milestones = {
  staging: null,
  staged: "staged",
  draining: "switched",
  steady: "retired",
  aborting: null,
} as const satisfies Record<FleetRecord["phase"], string | null>;

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
