/**
 * What a rotation of N nodes costs, before there is a fleet: registry load, the earliest safe end
 * of the old key, total time, in both kinds of coordination. Arithmetic on the pre-flight check,
 * not a simulation: every burst is delivered at one constant rate, and nobody fails.
 */
import { checkPreflight, type Preflight, type PreflightOptions } from "./preflight.js";

/**
 * Barrier: the file offers the key, the node holds it, sends only with it, has retired the old one. With jitter also that
 * it waits, and that it waits no more.
 */
const barrierReports = 4;
const waitingReports = 2;
/** Pairwise: the same four, and that the first pairs send with the new key. */
const pairwiseReports = 5;
/** The fleet record says staging, staged, draining and steady. */
const fleetWrites = 4;
/** The history of the rotation is written along with it. */
const historyWrites = 4;

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
  /** The registry delivers the busiest second within a second. */
  readonly withinCapacity: boolean;
  /** How far behind its watchers are when it does not, milliseconds; else 0. */
  readonly lagMs: number;
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
 * Reports go to the controller alone; the fleet record goes to every node. The busiest second holds the record that says
 * staged, the reports of the switch, the record that says draining, and what is still being said about the staging.
 */
function planBarrier(preflight: Preflight, options: PlanOptions): CoordinationPlan {
  const { nodes } = options;
  const waiting = preflight.jitterMs === 0 ? 0 : waitingReports;
  const reports = (barrierReports + waiting) * nodes;
  const roundMs = deliveryMs(2 * nodes, options);
  const earliestRetireMs = Math.round(preflight.estimateMs + 2 * roundMs);
  const opening = (3 + waiting) * nodes;
  const peakEventsPerSecond = Math.round(3 * nodes + opening / openingSeconds(preflight, options));
  return {
    coordination: "barrier",
    writes: reports + fleetWrites + historyWrites,
    events: reports + fleetWrites * nodes,
    peakEventsPerSecond,
    earliestRetireMs,
    totalMs: Math.round(earliestRetireMs + roundMs),
    ...fit(peakEventsPerSecond, options),
  };
}

/**
 * Every report goes to every other node. When the last node has staged, all switch their last pair at once; where jitter
 * is on, they say so over half of it, and the end of the old key likewise.
 */
function planPairwise(preflight: Preflight, options: PlanOptions): CoordinationPlan {
  const { nodes } = options;
  const burst = nodes * Math.max(0, nodes - 1);
  const burstMs = deliveryMs(burst, options);
  const saidMs = Math.max(burstMs, preflight.jitterMs / 2);
  const stagedMs = preflight.jitterMs + options.keyDistributionMs + preflight.stagingMs;
  const drainMs = Math.min(options.drainMs, options.retireDeadlineMs);
  const openingBacklogMs = Math.max(0, openingReports * burstMs - stagedMs);
  const earliestRetireMs = Math.round(stagedMs + openingBacklogMs + saidMs + drainMs);
  const peakEventsPerSecond = pairwisePeak(preflight, options);
  return {
    coordination: "pairwise",
    writes: pairwiseReports * nodes,
    events: pairwiseReports * burst,
    peakEventsPerSecond,
    earliestRetireMs,
    totalMs: Math.round(earliestRetireMs + saidMs),
    ...fit(peakEventsPerSecond, options),
  };
}

/** Pairwise, while nodes read the file and stage: what it offers, what they hold, and the first pairs that switch. */
const openingReports = 3;

/**
 * Without jitter all say in one second that they have switched. With it they say so over half of it; how many reports meet
 * in a second is then a matter of chance, and the busiest is taken to be three standard deviations above the mean.
 */
function pairwisePeak(preflight: Preflight, options: PlanOptions): number {
  const { nodes } = options;
  const others = Math.max(0, nodes - 1);
  const seconds = openingSeconds(preflight, options);
  const atOnce = nodes * (1 + openingReports / seconds);
  if (preflight.jitterMs === 0) return Math.round(others * atOnce);
  const spread = nodes / (preflight.jitterMs / 2_000) + (2 * nodes) / seconds;
  return Math.round(others * Math.min(atOnce, spread + 3 * Math.sqrt(spread)));
}

/** How long the nodes take, one with another, to read the new file and to stage; at least the second of a peak. */
function openingSeconds({ jitterMs, stagingMs }: Preflight, { keyDistributionMs }: PlanOptions): number {
  return Math.max(1, (jitterMs + stagingMs + keyDistributionMs) / 1_000);
}

function fit(peakEventsPerSecond: number, options: PlanOptions): Pick<CoordinationPlan, "withinCapacity" | "lagMs"> {
  const lagMs = Math.max(0, Math.round(deliveryMs(peakEventsPerSecond, options) - 1_000));
  return { withinCapacity: lagMs === 0, lagMs };
}

function deliveryMs(events: number, { registryRate }: PlanOptions): number {
  return (events * 1_000) / registryRate;
}
