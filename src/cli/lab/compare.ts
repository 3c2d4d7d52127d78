/** The two runs of `spindle lab --compare`: today's order, then ours, with the same slow node. */
import type { LabOptions } from "../../lab/options.js";
import type { LabReport } from "../../lab/report.js";

const slowNodeMsDefault = 2_000;
const noState = "inbound no_state";

export function comparedRuns(options: LabOptions): { today: LabOptions; ours: LabOptions } {
  const slowNodeMs = options.slowNodeMs === 0 ? slowNodeMsDefault : options.slowNodeMs;
  const shared = { ...options, slowNodeMs };
  return {
    today: { ...shared, coordination: "pairwise", order: "advertise-first", rotations: 1 },
    ours: { ...shared, coordination: "barrier", order: "stage-first" },
  };
}

/**
 * Today's order lost packets, all because the receiver had no SA yet; ours lost none; both runs
 * count.
 */
export function isAsCompared(today: LabReport, ours: LabReport): boolean {
  const reasons = Object.keys(today.packets.lostByReason);
  const hasReproduced = reasons.length === 1 && reasons[0] === noState;
  return (
    hasReproduced && today.validity.problems.length === 0 && ours.ok && ours.packets.lost === 0
  );
}
