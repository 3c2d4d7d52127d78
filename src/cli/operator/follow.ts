/**
 * Watches a running rotation or abort to its end, with progress on stderr. It only looks: whatever
 * becomes of this command, the fleet goes on.
 */
import type { FleetRecord, RotationRecord } from "../../core/fleet/record.js";
import { summarizeFleet } from "../../core/fleet/summary.js";
import { sameKey } from "../../core/key-id.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";
import type { FleetWatch } from "./fleet-watch.js";
import { progressLines } from "./progress-text.js";
import { refreshEvery } from "./refresh.js";
import { makeAges } from "./seen-since.js";
import { waitUntil, type Waited } from "./wait.js";

export interface FollowOptions {
  readonly shell: Shell;
  readonly signal: AbortSignal;
  /** Null waits for ever. */
  readonly timeoutMs: number | null;
}

/** A summary of the largest fleet takes 0.1 s. */
const redrawMs = 500;
const refreshMs = 1_000;
const auditRefreshMs = 100;
/** The record of a rotation is closed just after the fleet record says that it ended. */
const auditWithinMs = 3_000;

/** Shows where the fleet stands until `check` says that it is over, or the operator stops watching. */
export function watchProgress<T>(
  fleet: FleetWatch,
  check: () => T | null,
  options: FollowOptions,
): Promise<Waited<T>> {
  return watchLines(fleet, check, options, fleetLines(fleet, options.shell));
}

/** Where the fleet stands now. */
export function fleetLines(fleet: FleetWatch, { stderr }: Shell): () => readonly string[] {
  const fillAges = makeAges();
  return () => progressLines(fillAges(summarizeFleet(fleet.snapshot())), stderr);
}

/** The same with other lines to show. */
export async function watchLines<T>(
  fleet: FleetWatch,
  check: () => T | null,
  { shell, signal, timeoutMs }: FollowOptions,
  linesNow: () => readonly string[],
): Promise<Waited<T>> {
  const lines = (): readonly string[] =>
    fleet.away === null ? linesNow() : [...linesNow(), `  the registry does not answer: ${fleet.away}`];
  const progress = startProgress({ stream: shell.stderr, lines, redrawMs });
  const stopRefresh = refreshEvery(fleet, refreshMs);
  try {
    return await waitUntil(fleet, check, { signal, timeoutMs });
  } finally {
    stopRefresh();
    progress.stop();
  }
}

export type Followed =
  | {
      readonly kind: "done" | "aborted";
      readonly rotation: number;
      readonly record: RotationRecord | null;
    }
  | { readonly kind: "interrupted" | "timed-out" };

/**
 * Follows the rotation of `started`, and the one that replaces it when a newer key comes while it
 * stages.
 */
export async function followRotation(
  fleet: FleetWatch,
  started: Pick<FleetRecord, "rotation" | "target">,
  options: FollowOptions,
): Promise<Followed> {
  let { target } = started;
  const ended = (): FleetRecord | null => {
    const record = fleet.fleet;
    if (record === null || record.rotation < started.rotation) return null;
    target = record.target ?? target;
    return record.phase === "steady" ? record : null;
  };
  const waited = await watchProgress(fleet, ended, options);
  if (waited.kind !== "reached") return waited;
  const { rotation } = waited.value;
  const record = await readAudit(fleet, (one) => one.rotation === rotation, options.signal);
  const isDone =
    record === null ? sameKey(waited.value.current, target) : record.outcome === "done";
  return { kind: isDone ? "done" : "aborted", rotation, record };
}

/** Null when the controller does not close the record in time. */
export async function readAudit(
  fleet: FleetWatch,
  isMeant: (record: RotationRecord) => boolean,
  signal: AbortSignal,
): Promise<RotationRecord | null> {
  const closed = (): RotationRecord | null => {
    const record = fleet.rotations.find(isMeant);
    return record === undefined || record.outcome === "running" ? null : record;
  };
  const stopRefresh = refreshEvery(fleet, auditRefreshMs);
  const waited = await waitUntil(fleet, closed, { signal, timeoutMs: auditWithinMs });
  stopRefresh();
  return waited.kind === "reached" ? waited.value : null;
}
