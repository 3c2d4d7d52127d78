/**
 * What a rotation of N nodes costs, before there is a fleet: registry load, the earliest safe end
 * of the old key, total time, in both kinds of coordination. Arithmetic on the pre-flight check,
 * not a simulation: every burst is delivered at one constant rate, and nobody fails.
 */
import { checkPreflight, type Preflight, type PreflightOptions } from "./preflight.js";

/**
 * A node reports that it holds the new key, that it sends only with it, and that the old one is
 * gone.
 */
const reportsPerNode = 3;
/** The fleet record says staging, staged, draining and steady. */
const fleetWrites = 4;

export interface PlanOptions extends PreflightOptions {
  readonly nodes: number;
  /** What one node's staging took, milliseconds; null to assume it. */
  readonly stagingMs: number | null;
  /** Events per second that the registry delivers, to all watchers together. */
  readonly registryRate: number;
}

export interface CoordinationPlan {
  readonly coordination: "barrier" | "pairwise";
  /** Writes to the registry, without lease renewals. */
  readonly writes: number;
  /** Events that it delivers, to all watchers together. */
  readonly events: number;
  /** Events due in the second of a rotation in which most are. */
  readonly peakEventsPerSecond: number;
  /**
   * Milliseconds from the start to the moment when the old key may go: proven unused, and drained.
   */
  readonly earliestRetireMs: number;
  /** Milliseconds from the start to the moment when everybody knows that it is over. */
  readonly totalMs: number;
}

export interface FleetPlan {
  readonly preflight: Preflight;
  readonly barrier: CoordinationPlan;
  readonly pairwise: CoordinationPlan;
}

export function planRotation(options: PlanOptions): FleetPlan {
  const preflight = checkPreflight(options.nodes, options.stagingMs, false, options);
  return {
    preflight,
    barrier: planBarrier(preflight, options),
    pairwise: planPairwise(preflight, options),
  };
}

/**
 * Reports go to the controller alone; the fleet record goes to every node. The busiest second holds
 * the record that says staged, the reports of the switch, and the record that says draining.
 */
function planBarrier(preflight: Preflight, options: PlanOptions): CoordinationPlan {
  const { nodes } = options;
  const reports = reportsPerNode * nodes;
  const roundMs = deliveryMs(2 * nodes, options);
  const earliestRetireMs = Math.round(preflight.estimateMs + 2 * roundMs);
  return {
    coordination: "barrier",
    writes: reports + fleetWrites,
    events: reports + fleetWrites * nodes,
    peakEventsPerSecond: 3 * nodes + stagingRate(nodes, preflight),
    earliestRetireMs,
    totalMs: Math.round(earliestRetireMs + roundMs),
  };
}

/**
 * Every report goes to every other node. When the last node has staged, all switch their last pair
 * at once; where jitter is on, they say so over half of it, and the end of the old key likewise.
 */
function planPairwise(preflight: Preflight, options: PlanOptions): CoordinationPlan {
  const { nodes } = options;
  const burst = nodes * Math.max(0, nodes - 1);
  const burstMs = deliveryMs(burst, options);
  const saidMs = Math.max(burstMs, preflight.jitterMs / 2);
  const stagedMs = preflight.jitterMs + options.keyDistributionMs + preflight.stagingMs;
  const drainMs = Math.min(options.drainMs, options.retireDeadlineMs);
  const stagingBurstMs = Math.max(0, burstMs - preflight.jitterMs);
  const earliestRetireMs = Math.round(stagedMs + stagingBurstMs + saidMs + drainMs);
  return {
    coordination: "pairwise",
    writes: reportsPerNode * nodes,
    events: reportsPerNode * burst,
    peakEventsPerSecond: pairwisePeak(nodes, preflight),
    earliestRetireMs,
    totalMs: Math.round(earliestRetireMs + saidMs),
  };
}

/**
 * While nodes stage, those that read the new file say so over half of the same time. Reports in a
 * second are a matter of chance then: the busiest is taken to be four standard deviations above.
 */
function pairwisePeak(nodes: number, preflight: Preflight): number {
  const others = Math.max(0, nodes - 1);
  if (preflight.jitterMs === 0) return nodes * others + stagingRate(nodes * others, preflight);
  const reports = nodes / (preflight.jitterMs / 2_000) + stagingRate(nodes, preflight);
  return Math.round(others * Math.min(2 * nodes, reports + 4 * Math.sqrt(reports)));
}

/** Events per second while nodes stage, `events` being those of all reports of it. */
function stagingRate(events: number, { jitterMs, stagingMs }: Preflight): number {
  return Math.round(events / Math.max(1, (jitterMs + stagingMs) / 1_000));
}

function deliveryMs(events: number, { registryRate }: PlanOptions): number {
  return (events * 1_000) / registryRate;
}
