/**
 * What `--record` costs: the same simulated rotation without and with recorders, in turn, and what the recordings are in
 * size. The lines are made as in production and dropped, so the disk is not measured.
 */
import type { NodeName } from "../src/core/node.js";
import type { Recorder } from "../src/ports/recorder.js";
import { SimFleet } from "../src/sim/fleet.js";
import type { SimOptions } from "../src/sim/options.js";
import { testKey } from "../test/support/fleet-snapshot.js";

const nodes = 50;
const rounds = 5;
const settleMs = 5_000;
const restMs = 60_000;

type Coordination = SimOptions["coordination"];

interface Size {
  lines: number;
  bytes: number;
}

interface Measured {
  readonly wallMs: number;
  /** Of one rotation, all agents together. */
  readonly rotation: Size;
  /** Of a minute of rest, all agents together. */
  readonly rest: Size;
}

function rotate(coordination: Coordination, isRecording: boolean): Measured {
  const total: Size = { lines: 0, bytes: 0 };
  const recorder: Recorder = {
    program: { program: "bench", step: null },
    write: (line) => {
      total.lines += 1;
      total.bytes += Buffer.byteLength(JSON.stringify(line)) + 1;
    },
  };
  const wrapAgentPorts: SimOptions["wrapAgentPorts"] = (_name, ports) => (isRecording ? { ...ports, recorder } : ports);
  const fleet = new SimFleet({ seed: 1, coordination, packetIntervalMs: 1_000, wrapAgentPorts });
  const beganMs = performance.now();
  if (coordination === "barrier") fleet.addController();
  for (let node = 0; node < nodes; node += 1) fleet.addNode(`node-${node}`, [testKey(1)]);
  fleet.run(settleMs);
  const atStart = { ...total };
  for (const name of fleet.live()) fleet.setKeys(name, [testKey(1), testKey(2)]);
  if (!fleet.runUntil(() => fleet.live().every((name) => runsSecond(fleet, name)), restMs)) throw new Error("no rotation");
  const atEnd = { ...total };
  fleet.run(restMs);
  const wallMs = performance.now() - beganMs;
  return { wallMs, rotation: between(atStart, atEnd), rest: between(atEnd, total) };
}

function runsSecond(fleet: SimFleet, name: NodeName): boolean {
  const report = fleet.registry.report(name);
  return report?.holds.length === 1 && report.sendingOldest === 2;
}

function between(before: Size, after: Size): Size {
  return { lines: after.lines - before.lines, bytes: after.bytes - before.bytes };
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0;
}

for (const coordination of ["barrier", "pairwise"] as const) {
  const runs = Array.from({ length: rounds }, () => [rotate(coordination, false), rotate(coordination, true)] as const);
  const ratio = median(runs.map(([without, recorded]) => recorded.wallMs / without.wallMs));
  const { rotation, rest } = runs[0]?.[1] ?? rotate(coordination, true);
  const kibPerNode = (size: Size): string => (size.bytes / nodes / 1_024).toFixed(0);
  console.log(`\nrecording, ${nodes} nodes, ${coordination}: one rotation and a minute of rest, ${rounds} rounds`);
  console.log(`  time with recording to time without   ${ratio.toFixed(2)}`);
  console.log(`  per node and rotation                 ${kibPerNode(rotation)} KiB, ${(rotation.lines / nodes).toFixed(0)} lines`);
  console.log(`  per node and minute of rest           ${kibPerNode(rest)} KiB, ${(rest.lines / nodes).toFixed(0)} lines`);
}
