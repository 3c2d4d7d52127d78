/** What the agents of a whole simulated fleet cost per ordered pair of nodes: processor time of a rotation, and memory. */
import { hasConverged } from "../src/sim/checkers/convergence.js";
import { SimFleet } from "../src/sim/fleet.js";
import { testKey } from "../test/support/fleet-snapshot.js";
import { heapBytes } from "./rotation.js";

export interface PairCost {
  /** All of the simulation but packets: steps, modelled kernels, disks and registry. */
  readonly usPerRotation: number;
  readonly bytes: number;
}

/** Nobody sends packets within the run. */
const silentMs = 1e9;
const settleMs = 8_000;
const limitMs = 60_000;

/** The second of two rotations: the first one is compiled while it runs. */
export function measurePairs(coordination: "barrier" | "pairwise", nodes: number): PairCost {
  const before = heapBytes();
  const fleet = new SimFleet({ seed: 1, coordination, packetIntervalMs: silentMs });
  if (coordination === "barrier") fleet.addController();
  for (let i = 0; i < nodes; i += 1) fleet.addNode(`node-${i}`, [testKey(1)]);
  fleet.run(settleMs);
  const pairs = nodes * (nodes - 1);
  rotate(fleet, 2);
  const bytes = (heapBytes() - before) / pairs;
  const start = process.cpuUsage();
  rotate(fleet, 3);
  return { usPerRotation: process.cpuUsage(start).user / pairs, bytes };
}

function rotate(fleet: SimFleet, keyId: number): void {
  for (const name of fleet.live()) fleet.setKeys(name, [testKey(keyId - 1), testKey(keyId)]);
  const isDone = (): boolean => hasConverged(fleet, testKey(keyId));
  if (!fleet.runUntil(isDone, limitMs)) throw new Error(`the rotation to key ${keyId} has not ended`);
}
