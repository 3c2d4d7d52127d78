/**
 * One seed, one run: a fleet with drawn options and drawn faults at drawn times, then a phase without faults in which it
 * must come to rest on a new key. Everything is drawn from the seed, so a seed replays byte for byte.
 */
import { makePrng, type Prng } from "../../src/core/prng.js";
import { SimFleet } from "../../src/sim/fleet.js";
import type { SimOptions } from "../../src/sim/options.js";
import { findLeftovers, findViolations, hasConverged, RetiredKeyWatch, type Violation } from "./checkers.js";
import { faults, freshAddresses, type FaultName, type Scene } from "./faults.js";
import { Operator } from "./operator.js";

export interface SwarmRun {
  readonly seed: number;
  readonly scene: Scene;
  readonly plan: string;
  readonly actions: readonly string[];
  readonly counts: Readonly<Partial<Record<FaultName, number>>>;
  readonly violations: readonly Violation[];
}

/** How often each fault is drawn, against the others. */
const weights: Readonly<Record<FaultName, number>> = {
  rotate: 6,
  "rotate-again": 4,
  abort: 2,
  compromise: 2,
  "kill-agent": 3,
  reboot: 3,
  "reboot-host": 1,
  join: 3,
  leave: 2,
  move: 1,
  "recycle-address": 3,
  partition: 3,
  "kernel-errors": 2,
  "kill-controllers": 2,
  "partition-controller": 2,
  tamper: 2,
};

const settleMs = 3_000;
const lookEveryMs = 250;
const convergenceMsMax = 120_000;

export function runSeed(seed: number, changes: Partial<SimOptions> = {}): SwarmRun {
  const prng = makePrng(seed * 7_919 + 1);
  const scene = makeScene(seed, prng, changes);
  const { fleet, operator } = scene;
  const watch = new RetiredKeyWatch(fleet);
  const actions: string[] = [];
  const counts: Partial<Record<FaultName, number>> = {};
  const plan = describe(scene);
  runFor(fleet, watch, settleMs);
  for (let left = 6 + prng.below(12); left > 0; left -= 1) {
    injectOne(scene, actions, counts);
    runFor(fleet, watch, prng.below(800));
  }
  const hasRest = comeToRest(scene, watch);
  const end = hasRest ? findLeftovers(fleet, operator.newest) : [noRest(scene)];
  const violations = [...findViolations(fleet, operator.compromised), ...watch.violations, ...end];
  return { seed, scene, plan, actions, counts, violations };
}

function makeScene(seed: number, prng: Prng, changes: Partial<SimOptions>): Scene {
  const options = { ...drawOptions(seed, prng), ...changes };
  const fleet = new SimFleet(options);
  const operator = new Operator(fleet, options.coordination);
  const isDualStack = prng.below(4) === 0;
  if (options.coordination === "barrier") {
    fleet.addController();
    if (prng.below(3) === 0) fleet.addController();
  }
  const nodes = 2 + prng.below(5);
  for (let i = 0; i < nodes; i += 1) fleet.addNode(`n${i}`, operator.file(), freshAddresses(fleet, isDualStack));
  return { fleet, operator, prng, coordination: options.coordination, isDualStack };
}

function drawOptions(seed: number, prng: Prng): SimOptions {
  const slowestMs = [5, 20, 20, 150][prng.below(4)] ?? 20;
  const operationMsMax = [0.2, 0.2, 5][prng.below(3)] ?? 0.2;
  return {
    seed,
    coordination: prng.below(2) === 0 ? "barrier" : "pairwise",
    agent: {
      massDeletionShare: 1,
      retireDeadlineMs: 3_600_000,
      jitter: {
        enabled: prng.below(2) === 0,
        mode: prng.below(2) === 0 ? "uniform" : "slotted",
        maxMs: 300,
        minNodes: 0,
      },
    },
    controller: { retireDeadlineMs: 3_600_000 },
    registryDelayMs: (chance) => 1 + chance.below(slowestMs),
    operationMs: (chance) => 0.05 + chance.share() * operationMsMax,
    packetIntervalMs: 10,
  };
}

function describe({ coordination, isDualStack, fleet }: Scene): string {
  return `${coordination}, ${fleet.nodes.size} nodes, ${fleet.controllers.length} controllers${isDualStack ? ", IPv4 and IPv6" : ""}`;
}

function injectOne(scene: Scene, actions: string[], counts: Partial<Record<FaultName, number>>): void {
  const name = drawFault(scene.prng);
  const done = faults[name](scene);
  if (done === null) return;
  const { nowMs } = scene.fleet.time;
  counts[name] = (counts[name] ?? 0) + 1;
  actions.push(`${nowMs.toFixed(0)} ms: ${name} ${done}`);
  scene.fleet.logs.push({ atMs: nowMs, who: "fault", level: "info", message: `${name} ${done}`, fields: {} });
}

function drawFault(prng: Prng): FaultName {
  const names = Object.keys(weights) as FaultName[];
  let drawn = prng.below(names.reduce((sum, name) => sum + weights[name], 0));
  for (const name of names) {
    drawn -= weights[name];
    if (drawn < 0) return name;
  }
  return "rotate";
}

/** Everybody comes back, the operator mends the key files, and one more rotation must end. */
function comeToRest(scene: Scene, watch: RetiredKeyWatch): boolean {
  const { fleet, operator, coordination } = scene;
  runFor(fleet, watch, 10_000);
  operator.withdraw();
  for (const name of fleet.live()) {
    fleet.heal(name);
    fleet.startAgent(name);
  }
  for (const { link } of fleet.controllers) fleet.registry.heal(link);
  if (coordination === "barrier" && !fleet.controllers.some(({ alive }) => alive)) fleet.addController();
  runFor(fleet, watch, settleMs);
  operator.repair();
  const endMs = fleet.time.nowMs + convergenceMsMax;
  while (!hasConverged(fleet, operator.newest) && fleet.time.nowMs < endMs) runFor(fleet, watch, lookEveryMs);
  const hasRest = hasConverged(fleet, operator.newest);
  runFor(fleet, watch, settleMs);
  return hasRest;
}

function runFor(fleet: SimFleet, watch: RetiredKeyWatch, forMs: number): void {
  const endMs = fleet.time.nowMs + forMs;
  while (fleet.time.nowMs < endMs) {
    fleet.run(Math.min(lookEveryMs, endMs - fleet.time.nowMs));
    watch.look();
  }
}

function noRest({ fleet, operator }: Scene): Violation {
  const reports = fleet.live().map((name) => {
    const report = fleet.registry.report(name);
    const holds = report?.holds.map((key) => key.keyId).join("+") ?? "";
    return `${name} holds ${holds} sends ${report?.sendingOldest ?? 0}..${report?.sendingNewest ?? 0}`;
  });
  return { invariant: "L1", message: `no rest on key ${operator.newest.keyId}: ${reports.join("; ")}` };
}

/** What to read when a seed fails. */
export function explain(run: SwarmRun): string {
  const { seed, plan, actions, violations } = run;
  const found = violations.slice(0, 8).map(({ invariant, message }) => `  ${invariant}: ${message}`);
  return [
    `seed ${seed} (${plan})`,
    ...found,
    ...actions.map((action) => `    ${action}`),
    `  replay: SWARM_FROM=${seed} SWARM_TO=${seed} SWARM_LOG=1 node --test dist/test/sim/swarm.test.js`,
  ].join("\n");
}
