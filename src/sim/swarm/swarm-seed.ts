/**
 * One seed, one run: a fleet with drawn options and drawn faults at drawn times (safety), then a phase without faults in
 * which it must come to rest on a new key (liveness). Everything is drawn from the seed, so a seed replays byte for byte.
 */
import { policyLevels, type PolicyLevel } from "../../core/policy-level.js";
import { packetsOf } from "../model/losses.js";
import { makePrng, type Prng } from "../../core/prng.js";
import { allCheckers } from "../checkers/all-checkers.js";
import type { Checker, Violation } from "../checkers/checker.js";
import { hasConverged } from "../checkers/convergence.js";
import { watchedFleet, type History } from "../checkers/history.js";
import { controllerDefaults } from "../defaults.js";
import type { SimFleet } from "../fleet.js";
import type { Mutant } from "../mutants/mutant.js";
import type { SimOptions } from "../options.js";
import { describeOptions, drawOptions, type SwarmOptions } from "./drawn-options.js";
import { faults, freshAddresses, type FaultName, type Scene } from "./faults.js";
import { garblePaths } from "./garbled-paths.js";
import { Operator } from "./operator.js";

export interface SwarmSeedOptions {
  readonly mutant?: Mutant | null;
  /** Over what the seed draws: a recorder, or a checker around the steps. Before the mutant's changes. */
  readonly changes?: Partial<SimOptions>;
  /** Agents prove their paths, and paths fail. */
  readonly garbles?: true;
}

export interface SwarmSeedResult {
  readonly seed: number;
  /** What was drawn, in words. */
  readonly plan: string;
  /** The faults, in order, with their times. */
  readonly actions: readonly string[];
  readonly counts: Readonly<Partial<Record<FaultName, number>>>;
  readonly violations: readonly Violation[];
  /** Packets. */
  readonly sent: number;
  readonly excused: number;
  /** The whole run in virtual time. */
  readonly virtualMs: number;
  /** The command that runs this seed again. */
  readonly replay: string;
  /** As it was left: its logs, kernels and registry. */
  readonly fleet: SimFleet;
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
  compact: 2,
  "torn-key-file": 1,
  "kernel-errors": 2,
  "kill-controllers": 2,
  "partition-controller": 2,
  tamper: 2,
};

const settleMs = 3_000;
/** Within the safety phase, most of the time. */
const levelsUntilMs = 14_000;
const lookEveryMs = 250;
const convergenceMsMax = 45_000;
const violationsShown = 6;

/** A run between two looks of its checkers. */
interface Run {
  readonly scene: Scene;
  readonly checkers: readonly Checker[];
  readonly actions: string[];
  readonly counts: Partial<Record<FaultName, number>>;
}

export function runSwarmSeed(seed: number, options: SwarmSeedOptions = {}): SwarmSeedResult {
  const prng = makePrng(seed * 7_919 + 1);
  const mutant = options.mutant ?? null;
  const drawn = options.garbles === true ? withProvenPaths(drawOptions(seed, prng)) : drawOptions(seed, prng);
  const { fleet, history } = watchedFleet({ ...drawn.sim, ...options.changes, ...mutant?.changes });
  const scene = makeScene(fleet, prng, drawn);
  if (options.garbles === true) garblePaths(scene, seed);
  const run: Run = { scene, checkers: checkersOf(scene, history, mutant), actions: [], counts: {} };
  const plan = describeOptions(drawn, fleet);
  if (drawn.level !== null) moveLevels(run, makePrng(seed * 15_485_863 + 5));
  runFor(run, settleMs);
  for (let left = 6 + prng.below(12); left > 0; left -= 1) {
    injectOne(run);
    runFor(run, prng.below(800));
  }
  comeToRest(run, drawn.level);
  const violations = run.checkers.flatMap((checker) => checker.finish());
  const { sent } = fleet.traffic.count();
  const excused = packetsOf(fleet.traffic.lost.filter(({ excuse }) => excuse !== null));
  const replay = `spindle simulate --swarm 1 --seed ${seed}${mutant === null ? "" : ` --mutant ${mutant.name}`}`;
  const { actions, counts } = run;
  return { seed, plan, actions, counts, violations, sent, excused, virtualMs: fleet.time.nowMs, replay, fleet };
}

function withProvenPaths({ sim, ...drawn }: SwarmOptions): SwarmOptions {
  return { ...drawn, sim: { ...sim, agent: { ...sim.agent, provesPaths: true } } };
}

function checkersOf({ fleet, operator }: Scene, history: History, mutant: Mutant | null): readonly Checker[] {
  return allCheckers({
    fleet,
    history,
    label: mutant === null ? null : `mutant = ${mutant.name}`,
    drainMs: controllerDefaults.drainMs,
    compromised: operator.compromised,
    newest: () => operator.newest,
  });
}

function makeScene(fleet: SimFleet, prng: Prng, { sim, ...places }: SwarmOptions): Scene {
  const { coordination } = sim;
  const operator = new Operator(fleet, coordination);
  if (coordination === "barrier") {
    fleet.addController();
    if (prng.below(3) === 0) fleet.addController();
  }
  const nodes = 2 + prng.below(5);
  for (let i = 0; i < nodes; i += 1) fleet.addNode(`n${i}`, operator.file(), freshAddresses(fleet, places));
  return { fleet, operator, prng, coordination, ...places };
}

/** Every few seconds the operator asks for a level, whatever else happens. */
function moveLevels(run: Run, prng: Prng): void {
  const { scene, actions } = run;
  const { fleet, operator } = scene;
  for (let atMs = 2_000 + prng.below(2_000); atMs < levelsUntilMs; atMs += 500 + prng.below(5_000)) {
    const level = policyLevels[prng.below(policyLevels.length)] ?? "require";
    fleet.time.at(atMs, () => {
      operator.moveTo(level);
      actions.push(`${atMs} ms: level ${level} is asked for`);
    });
  }
}

function injectOne({ scene, actions, counts }: Run): void {
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
function comeToRest(run: Run, level: PolicyLevel | null): void {
  const { fleet, operator, coordination } = run.scene;
  runFor(run, 10_000);
  operator.withdraw();
  for (const name of fleet.live()) {
    fleet.heal(name);
    fleet.startAgent(name);
  }
  for (const { link } of fleet.controllers) fleet.registry.heal(link);
  if (coordination === "barrier" && !fleet.controllers.some(({ alive }) => alive)) fleet.addController();
  runFor(run, settleMs);
  if (level !== null) operator.moveTo(level);
  if (level !== null) runFor(run, 2 * settleMs);
  operator.repair();
  const endMs = fleet.time.nowMs + convergenceMsMax;
  while (!hasConverged(fleet, operator.newest) && fleet.time.nowMs < endMs) runFor(run, lookEveryMs);
  runFor(run, settleMs);
}

function runFor({ scene, checkers }: Run, forMs: number): void {
  const { fleet } = scene;
  const endMs = fleet.time.nowMs + forMs;
  while (fleet.time.nowMs < endMs) {
    fleet.run(Math.min(lookEveryMs, endMs - fleet.time.nowMs));
    for (const checker of checkers) checker.look();
  }
}

/** What to read when a seed fails. */
export function explainSwarmSeed({ seed, plan, actions, violations, replay }: SwarmSeedResult): string {
  const found = violations.slice(0, violationsShown).flatMap(({ invariant, message, cause }) => [
    `  ${invariant}: ${message}`,
    ...(cause === null ? [] : [`      ${cause}`]),
  ]);
  return [`seed ${seed} (${plan})`, ...found, ...actions.map((action) => `    ${action}`), `  replay: ${replay}`].join("\n");
}
