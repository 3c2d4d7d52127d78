/**
 * One rotation as a single agent lives it, with peers that only exist as entries and reports: what it spends in its steps,
 * and what it and its simulated kernel and registry keep in memory per peer.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { newFleet, type FleetRecord } from "../src/core/fleet/record.js";
import { testKey } from "../test/support/fleet-snapshot.js";
import { farRevision, peerReport, settleFleet, type LoneAgent } from "./settled-agent.js";

export interface RotationCost {
  readonly peers: number;
  readonly steps: number;
  readonly totalMs: number;
  readonly longestMs: number;
  readonly bytesPerPeer: number;
}

const [old, next] = [testKey(1), testKey(2)];
const phaseMs = 5_000;

export function rotateOne(coordination: "barrier" | "pairwise", peers: number): RotationCost {
  const before = heapBytes();
  const agent = settleFleet(coordination, peers);
  const bytesPerPeer = (heapBytes() - before) / peers;
  const settledSteps = agent.stepsMs.length;
  agent.fleet.setKeys(nameOf(agent), [old, next]);
  if (coordination === "barrier") followRecord(agent);
  else hearReports(agent, peers);
  const { state } = agent.last();
  const isDone = state.durable.retired?.keyId === old.keyId && state.tally.peers === peers && state.toDo.size === 0;
  if (!isDone) throw new Error(`the rotation has not ended: ${state.phase}`);
  const took = agent.stepsMs.slice(settledSteps);
  const totalMs = took.reduce((sum, ms) => sum + ms, 0);
  return { peers, steps: took.length, totalMs, longestMs: Math.max(...took), bytesPerPeer };
}

function nameOf({ last }: LoneAgent): ReturnType<LoneAgent["last"]>["options"]["name"] {
  return last().options.name;
}

/** The record as a controller would write it, phase by phase. */
function followRecord({ fleet, port, last }: LoneAgent): void {
  const through = [old, next].map((key) => ({ key, revision: farRevision }));
  const rotating: FleetRecord = { ...newFleet, rotation: 2, current: old, target: next, retireMs: 600_000 };
  const phases: readonly FleetRecord[] = [
    { ...rotating, phase: "staging", through: through.slice(0, 1) },
    { ...rotating, phase: "staged", through },
    { ...rotating, phase: "draining", through, drainMs: 500 },
    { ...newFleet, rotation: 2, current: next, through: through.slice(1) },
  ];
  let version = last().observation.fleet?.version ?? 0;
  for (const record of phases) {
    port.writeFleet(record, version, (result) => {
      if (!result.ok) throw new Error(result.error.message);
      version = result.value;
    });
    fleet.run(phaseMs);
  }
}

/** Peers report one by one that they hold both keys, then that they send with the new one, then that the old one is gone. */
function hearReports({ fleet, port }: LoneAgent, peers: number): void {
  const reports = [
    (i: number) => peerReport(i, old, [old, next]),
    (i: number) => peerReport(i, next, [old, next]),
    (i: number) => peerReport(i, next, [next]),
  ];
  for (const reportOf of reports) {
    for (let i = 0; i < peers; i += 1) {
      port.publishReport(reportOf(i), () => undefined);
      fleet.run(1);
    }
    fleet.run(phaseMs);
  }
}

export function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
}
