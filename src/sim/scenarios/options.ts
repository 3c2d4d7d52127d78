/** What scenarios have in common: the durations of production, and the reclaim time of the field. */
import { limits } from "../../core/limits.js";
import { stepAgent } from "../../core/rotation/step.js";
import type { SimOptions } from "../options.js";
import { retireByTimer } from "./field/retire-by-timer.js";

/** `ipsec-key-rotation-duration` of cilium: so long after the load, the old key goes. */
export const reclaimMs = 300_000;

export const emergencyDeadlineMs = limits.emergencyDeadlineMsDefault;

const agent = {
  drainMs: limits.drainMsDefault,
  retireDeadlineMs: limits.retireDeadlineMsDefault,
  emergencyDeadlineMs,
  reportIntervalMs: limits.reportIntervalMsDefault,
  resyncMs: limits.resyncMs,
  leaseMs: limits.leaseMsDefault,
} as const;

const controller = {
  silentMs: limits.silentMsDefault,
  excludeShareMax: limits.excludeShareMaxDefault,
  stageDeadlineMs: limits.stageDeadlineMsDefault,
  retireDeadlineMs: limits.retireDeadlineMsDefault,
  emergencyDeadlineMs,
  drainMs: limits.drainMsDefault,
  leaseMs: limits.leaseMsDefault,
} as const;

/** Ours. A packet of each pair every 100 ms is enough where minutes count. */
export const pairwise = { coordination: "pairwise", agent, controller, packetIntervalMs: 100 } as const;
export const barrier = { coordination: "barrier", agent, controller, packetIntervalMs: 100 } as const;

/** The old key goes by the clock of each node. */
export const reclaiming: Omit<SimOptions, "seed"> = {
  ...pairwise,
  step: () => retireByTimer(reclaimMs, stepAgent),
};
