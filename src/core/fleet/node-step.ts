/**
 * How far one node has come in a rotation, read from its report. Only shown; the barriers are in
 * barrier.ts.
 */
import { includesKey, sameKey } from "../key-id.js";
import type { CountedNode } from "./barrier.js";
import type { FleetRecord } from "./record.js";

/**
 * - unknown: no report of its present incarnation
 * - waiting: the jitter wait before the target is staged
 * - staging, staged: the target's inbound SAs are not all there; they are, and something is still
 *   sent with the old key
 * - switched: sends only with the target, and still holds the old key
 * - retired: the old key is gone
 * - refused, reverted: an abort; the target is refused and still held; it is gone
 * - joining, steady: no rotation runs; the node does not hold the fleet's key yet; it does
 */
export type NodeStep =
  | "unknown"
  | "waiting"
  | "staging"
  | "staged"
  | "switched"
  | "retired"
  | "refused"
  | "reverted"
  | "joining"
  | "steady";

/**
 * @param peers how many other nodes count: a node without any sends with no key, and that is well
 */
export function nodeStep({ report }: CountedNode, record: FleetRecord, peers: number): NodeStep {
  const { current, target, phase } = record;
  if (report === undefined) return "unknown";
  if (target === null)
    return current !== null && includesKey(report.holds, current) ? "steady" : "joining";
  const isHeld = includesKey(report.holds, target);
  if (phase === "aborting" && includesKey(report.refused, target))
    return isHeld ? "refused" : "reverted";
  if (!isHeld) return sameKey(report.waitingFor, target) ? "waiting" : "staging";
  const isSwitched =
    report.sendingOldest === target.keyId || (report.sendingOldest === null && peers === 0);
  if (!isSwitched) return "staged";
  return current !== null && includesKey(report.holds, current) ? "switched" : "retired";
}

/** How many nodes have come at least as far as each step of a rotation. */
export interface StepCounts {
  readonly waiting: number;
  readonly staged: number;
  readonly switched: number;
  readonly retired: number;
  /** Of an abort: how many refuse the target, and how many have deleted it. */
  readonly refused: number;
  readonly reverted: number;
}

/** When no rotation runs, every node that holds the fleet's key has come all the way. */
const reachedBy: Readonly<Record<keyof StepCounts, readonly NodeStep[]>> = {
  waiting: ["waiting"],
  staged: ["staged", "switched", "retired", "steady"],
  switched: ["switched", "retired", "steady"],
  retired: ["retired", "steady"],
  refused: ["refused", "reverted"],
  reverted: ["reverted"],
};

export function countSteps(steps: readonly NodeStep[]): StepCounts {
  const count = (name: keyof StepCounts): number => {
    return steps.filter((step) => reachedBy[name].includes(step)).length;
  };
  return {
    waiting: count("waiting"),
    staged: count("staged"),
    switched: count("switched"),
    retired: count("retired"),
    refused: count("refused"),
    reverted: count("reverted"),
  };
}
