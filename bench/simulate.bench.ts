/**
 * Whole simulated fleets, one rotation each, every fleet in a process of its own: time, time per node, the most memory. And
 * how many seeds of the swarm run per second. `npm run bench simulate` takes some minutes; `npm run bench simulate full` runs
 * the sizes that are asked for, which takes long and up to 8 GB, and `npm run bench simulate 2000x32` one size.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { heapBytesFor, heapFlagsFor } from "../src/cli/simulate/heap.js";
import { Simulation } from "../src/sim/run/simulation.js";
import { simulationDefaults, type SimulationOptions } from "../src/sim/run/simulation-options.js";
import { runSwarmSeed } from "../src/sim/swarm/swarm-seed.js";

interface Size {
  readonly nodes: number;
  /** Null for a full mesh. */
  readonly degree: number | null;
  readonly coordination: SimulationOptions["coordination"];
  readonly targetSeconds: number | null;
}

interface Figures {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly ok: boolean;
}

const quick: readonly Size[] = [
  { nodes: 500, degree: 32, coordination: "barrier", targetSeconds: null },
  { nodes: 1_000, degree: 32, coordination: "barrier", targetSeconds: null },
  { nodes: 2_000, degree: 32, coordination: "barrier", targetSeconds: null },
  { nodes: 100, degree: null, coordination: "pairwise", targetSeconds: null },
];

const full: readonly Size[] = [
  { nodes: 1_000, degree: 32, coordination: "barrier", targetSeconds: null },
  { nodes: 10_000, degree: 32, coordination: "barrier", targetSeconds: null },
  { nodes: 100_000, degree: 32, coordination: "barrier", targetSeconds: 300 },
  { nodes: 10_000, degree: 64, coordination: "barrier", targetSeconds: 30 },
  { nodes: 1_000, degree: null, coordination: "pairwise", targetSeconds: 30 },
];

const oneFlag = "--one";
const swarmSeeds = 200;
const swarmTargetPerSecond = 20;
/** Time per node, from the smallest fleet to the largest of the same degree. */
const growthMax = 2;

function peersOf({ nodes, degree }: Size): number {
  return Math.min(degree ?? Infinity, nodes - 1);
}

/** One fleet in this process, with packets at the rate that `spindle simulate` takes by itself. */
function runHere({ nodes, degree, coordination }: Size): Figures {
  const startMs = performance.now();
  const simulation = new Simulation({ ...simulationDefaults, nodes, degree, coordination });
  while (simulation.advance());
  const { ok } = simulation.finish();
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  return { wallSeconds: (performance.now() - startMs) / 1_000, cpuSeconds, peakBytes: maxRSS * 1_024, ok };
}

function runApart(size: Size): Figures {
  const words = [...heapFlagsFor(heapBytesFor(size.nodes, peersOf(size))), fileURLToPath(import.meta.url), oneFlag, JSON.stringify(size)];
  return JSON.parse(execFileSync(process.execPath, words, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })) as Figures;
}

function describe(size: Size, { wallSeconds, cpuSeconds, peakBytes, ok }: Figures): string {
  const { nodes, degree, coordination, targetSeconds } = size;
  const verdict = targetSeconds === null ? "" : `  target ${targetSeconds} s  ${wallSeconds <= targetSeconds ? "met" : "MISSED"}`;
  const pairs = nodes * peersOf(size);
  return [
    `  ${String(nodes).padStart(7)} nodes, degree ${String(degree ?? "all").padStart(3)}, ${coordination}:`,
    `${wallSeconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU, ${((cpuSeconds * 1e3) / nodes).toFixed(1)} ms per node,`,
    `${((cpuSeconds * 1e6) / pairs).toFixed(0)} us and ${(peakBytes / pairs / 1e3).toFixed(1)} kB per pair, ${(peakBytes / 1e9).toFixed(2)} GB${verdict}`,
    ...(ok ? [] : ["NOT OK: an invariant broke"]),
  ].join(" ");
}

/** Time per node over the sizes of one degree: 1 for a time that grows as the fleet does. */
function growthOf(measured: readonly (readonly [Size, Figures])[]): number {
  const perNode = measured.filter(([{ degree }]) => degree === 32).map(([{ nodes }, { cpuSeconds }]) => cpuSeconds / nodes);
  return Math.max(...perNode) / Math.min(...perNode);
}

/** By the time of one core, which a busy machine shares out. */
function measureSwarm(): void {
  const before = process.cpuUsage();
  for (let seed = 1; seed <= swarmSeeds; seed += 1) runSwarmSeed(seed);
  const { user, system } = process.cpuUsage(before);
  const perSecond = (swarmSeeds * 1e6) / (user + system);
  const verdict = perSecond >= swarmTargetPerSecond ? "met" : "MISSED";
  console.log(`  swarm: ${perSecond.toFixed(1)} seeds per second of CPU  target ${swarmTargetPerSecond}  ${verdict}`);
}

function sizesFor(word: string | undefined): readonly Size[] {
  if (word === undefined) return quick;
  if (word === "full") return full;
  const [, nodes, degree] = /^(\d+)x(\d+|all)$/.exec(word) ?? [];
  if (nodes === undefined || degree === undefined) throw new Error(`${word} is neither "full" nor a size such as 2000x32 or 200xall`);
  const isAll = degree === "all";
  return [{ nodes: Number(nodes), degree: isAll ? null : Number(degree), coordination: isAll ? "pairwise" : "barrier", targetSeconds: null }];
}

function main([first, second]: readonly string[]): void {
  if (first === oneFlag) return console.log(JSON.stringify(runHere(JSON.parse(second ?? "") as Size)));
  console.log("\nsimulated fleets, one rotation each");
  const measured = sizesFor(first).map((size) => {
    const figures = runApart(size);
    console.log(describe(size, figures));
    return [size, figures] as const;
  });
  if (measured.length === 1) return;
  const growth = growthOf(measured);
  console.log(`  time per node at degree 32 differs by ${growth.toFixed(2)} times  target ${growthMax}  ${growth <= growthMax ? "met" : "MISSED"}`);
  measureSwarm();
}

main(process.argv.slice(2));
