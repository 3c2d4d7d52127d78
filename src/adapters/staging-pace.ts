/**
 * Slows an `apply` down for the lab ("--slow-node"): the time that CPU contention adds to staging
 * in the field. The delay is spread over the installation of inbound SAs, so that a slow node holds
 * some of them, then more, then all. Nothing else uses it; without a delay a plan runs in the
 * largest slices and without pauses.
 */
import { limits } from "../core/limits.js";
import type { Operation } from "../core/sa.js";

export interface StagingPace {
  /** Operations per request. */
  readonly sliceMax: number;
  /**
   * How long to wait before these operations run. The pauses of a whole plan add up to the delay.
   */
  pauseMs(slice: readonly Operation[]): number;
}

/** Steps in which a slow node stages, when it has that many inbound SAs. */
const steps = 20;

/** The pace of one plan whose staging is to take `stagingDelayMs` longer. */
export function makePace(
  stages: readonly (readonly Operation[])[],
  stagingDelayMs: number,
): StagingPace {
  const inbound = countInbound(stages.flat());
  const sliceMax = limits.controlEntriesPerFrameMax;
  if (stagingDelayMs === 0 || inbound === 0) return { sliceMax, pauseMs: () => 0 };
  return {
    sliceMax: Math.min(sliceMax, Math.ceil(inbound / steps)),
    pauseMs: (slice) => (stagingDelayMs * countInbound(slice)) / inbound,
  };
}

function countInbound(operations: readonly Operation[]): number {
  return operations.filter(isInboundInstall).length;
}

function isInboundInstall(operation: Operation): boolean {
  return operation.kind === "install-sa" && operation.sa.direction === "in";
}
