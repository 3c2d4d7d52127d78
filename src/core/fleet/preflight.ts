/**
 * Says before a rotation whether it fits its deadlines and when it will be done, from the fleet's size, what the last
 * staging took, jitter and drain. A stage deadline that even an undisturbed rotation would miss is refused.
 */
import { limits } from "../limits.js";
import type { ControllerOptions } from "./controller-state.js";

/** What the check needs to know of the configuration. Durations are milliseconds. */
export type PreflightOptions = Pick<
  ControllerOptions,
  | "stageDeadlineMs"
  | "retireDeadlineMs"
  | "drainMs"
  | "jitterMaxMs"
  | "jitterMinNodes"
  | "keyDistributionMs"
>;

export interface Preflight {
  readonly fits: boolean;
  readonly nodes: number;
  /** From the target's publication to the last retirement. */
  readonly estimateMs: number;
  readonly stagingMs: number;
  readonly jitterMs: number;
  readonly reports: number;
  readonly fleetEvents: number;
  readonly notes: readonly string[];
}

/** `measuredStagingMs` is what the last rotation's staging took without jitter, null when none was seen. */
export function checkPreflight(
  nodes: number,
  measuredStagingMs: number | null,
  emergency: boolean,
  options: PreflightOptions,
): Preflight {
  const jitter = !emergency && nodes >= options.jitterMinNodes ? options.jitterMaxMs : 0;
  const stagingMs = measuredStagingMs ?? assumedStagingMs(nodes);
  const neededMs = jitter + options.keyDistributionMs + 2 * stagingMs;
  const fits = neededMs <= options.stageDeadlineMs;
  const notes = [
    measuredStagingMs === null
      ? `staging assumed ${stagingMs} ms (no rotation measured yet)`
      : `staging measured ${stagingMs} ms in the last rotation`,
  ];
  if (!fits) {
    notes.push(
      `stage deadline ${options.stageDeadlineMs} ms is below jitter ${jitter} + key distribution ` +
        `${options.keyDistributionMs} + twice staging ${stagingMs} = ${neededMs} ms: raise rotation.stageDeadline`,
    );
  }
  const drainMs = Math.min(options.drainMs, options.retireDeadlineMs);
  const roundsMs = 2 * limits.barrierRoundMs;
  const estimateMs = jitter + options.keyDistributionMs + stagingMs + drainMs + roundsMs;
  return { fits, nodes, estimateMs, stagingMs, jitterMs: jitter, reports: 3 * nodes, fleetEvents: 4 * nodes, notes };
}

function assumedStagingMs(nodes: number): number {
  return Math.ceil((Math.max(0, nodes - 1) * 1000) / limits.stagedPeersPerSecond) + limits.stagingOverheadMs;
}
