/**
 * One measured run of a fleet in virtual time: start, then rotations on a schedule under traffic, watched by the
 * checkers. It runs in slices, so that whoever drives it can show progress and stop; what was found until then counts.
 */
import type { KeyIdentity } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import { makePrng } from "../../core/prng.js";
import { allCheckers } from "../checkers/all-checkers.js";
import type { Checker, Violation } from "../checkers/checker.js";
import { hasConverged } from "../checkers/convergence.js";
import { watchedFleet } from "../checkers/history.js";
import type { SimFleet } from "../fleet.js";
import { keyOf } from "../scenarios/keys.js";
import { BoundedRegistry } from "./bounded-registry.js";
import { Meters } from "./meters.js";
import { RotationWatch } from "./rotation-watch.js";
import { labelOf, replayOf } from "./run-words.js";
import { simOptionsOf, type SimulationOptions } from "./simulation-options.js";
import type { RotationFigures, SimulationResult } from "./simulation-result.js";

const sliceMs = 100;
/** How often the checkers look, for small fleets and for large ones: a look costs what the fleet holds. */
const lookMs = 250;
const lookMsLarge = 5_000;
const largeNodes = 100;
/** Traffic before the first rotation, and after each one. */
const restMs = 1_000;
/** A rotation or a start that takes longer than what its options ask for and this is stuck. */
const patienceMs = 900_000;

type Stage =
  | { readonly kind: "starting" }
  | { readonly kind: "resting"; readonly untilMs: number }
  | { readonly kind: "rotating"; readonly watch: RotationWatch }
  | { readonly kind: "ended" };

export interface SimulationProgress {
  readonly virtualMs: number;
  /** In words: what the fleet is doing. */
  readonly doing: string;
  readonly packetsLost: number;
}

export class Simulation {
  readonly #options: SimulationOptions;
  readonly #fleet: SimFleet;
  readonly #checkers: readonly Checker[];
  readonly #slowNode: NodeName | null;
  readonly #bound: BoundedRegistry | null;
  readonly #meters: Meters;
  readonly #rotations: RotationWatch[] = [];
  readonly #stuck: Violation[] = [];
  readonly #compromised: KeyIdentity[] = [];
  #looksAtMs = 0;
  #stage: Stage = { kind: "starting" };
  #stageSinceMs = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const names = Array.from({ length: options.nodes }, (_, i) => `node-${i + 1}` as NodeName);
    const isSlow = options.slowNodeMs > 0 || options.cpuShare < 1;
    this.#slowNode = isSlow ? (names[makePrng(options.seed).below(names.length)] ?? null) : null;
    const { registryRate } = options;
    this.#bound = registryRate === null ? null : new BoundedRegistry(registryRate, () => this.#fleet.time.nowMs);
    const simOptions = simOptionsOf(options, names, this.#slowNode);
    const { fleet, history } = watchedFleet(this.#bound?.bind(simOptions) ?? simOptions);
    this.#fleet = fleet;
    if (options.coordination === "barrier") fleet.addController();
    for (const name of names) fleet.addNode(name, [keyOf(1)]);
    this.#meters = new Meters(fleet, sliceMs);
    const newest = (): ReturnType<typeof keyOf> => keyOf(this.#rotations.at(-1)?.keyId ?? 1);
    const { drainMs } = options;
    this.#checkers = allCheckers({ fleet, history, label: labelOf(options), drainMs, compromised: this.#compromised, newest });
  }

  get progress(): SimulationProgress {
    const { traffic, time } = this.#fleet;
    const packetsLost = [...traffic.lostBy.values()].reduce((sum, packets) => sum + packets, 0);
    return { virtualMs: time.nowMs, doing: this.#describeStage(), packetsLost };
  }

  /** Runs one slice of virtual time. @returns false when the run has ended */
  advance(): boolean {
    if (this.#stage.kind === "ended") return false;
    this.#fleet.run(sliceMs);
    this.#meters.measure(this.#rotations.at(-1) ?? null);
    this.#giveCpu();
    this.#look();
    this.#stage = this.#nextStage(this.#stage);
    return this.#stage.kind !== "ended";
  }

  /** To be called once, at the end or when there is no more time. */
  finish(): SimulationResult {
    const { nodes, degree, coordination, order, seed, jitter, jitterMaxMs, slowNodeMs, cpuShare, emergency, mutant } = this.#options;
    const complete = this.#stage.kind === "ended";
    const checkers = complete ? this.#checkers : this.#checkers.filter(({ invariant }) => invariant !== "L1");
    const violations = [...this.#stuck, ...checkers.flatMap((checker) => checker.finish())];
    const rotations = this.#rotations.map((watch) => figuresOf(watch, nodes));
    return {
      schemaVersion: 1,
      nodes,
      degree,
      coordination,
      order,
      seed,
      mutant: mutant?.name ?? null,
      slowNode: this.#slowNode,
      slowNodeMs,
      cpuShare,
      emergency,
      jitter,
      jitterMaxMs,
      rotations,
      packets: this.#meters.packets(),
      registry: { ...this.#meters.registry(), rate: this.#options.registryRate, lagMsMax: Math.round(this.#bound?.lagMsMax ?? 0) },
      violations,
      staging: [...(this.#rotations.at(-1)?.stagings ?? [])].sort((one, other) => other.stagingMs - one.stagingMs),
      series: this.#meters.series(),
      startedMs: this.#rotations[0]?.startedMs ?? this.#fleet.time.nowMs,
      endedMs: this.#fleet.time.nowMs,
      replay: replayOf(this.#options),
      complete,
      ok: complete && violations.length === 0,
    };
  }

  #look(): void {
    const { nowMs } = this.#fleet.time;
    if (nowMs < this.#looksAtMs) return;
    this.#looksAtMs = nowMs + (this.#options.nodes > largeNodes ? lookMsLarge : lookMs);
    for (const checker of this.#checkers) checker.look();
  }

  /** The slow node is short of CPU from the first key file until it has staged the key. */
  #giveCpu(): void {
    if (this.#slowNode === null || this.#stage.kind !== "rotating") return;
    const hasStaged = this.#stage.watch.has("staged", this.#slowNode);
    this.#fleet.node(this.#slowNode).kernel.cpuShare = hasStaged ? 1 : this.#options.cpuShare;
  }

  #nextStage(stage: Exclude<Stage, { kind: "ended" }>): Stage {
    const { nowMs } = this.#fleet.time;
    switch (stage.kind) {
      case "starting":
        if (this.#isAtRest(1) && this.#fleet.traffic.isWhole) return this.#rest();
        return this.#isLate(patienceMs) ? this.#giveUp("the fleet does not start") : stage;
      case "resting":
        if (nowMs < stage.untilMs || this.#bound?.isIdle === false) return stage;
        return this.#rotations.length < this.#options.rotations ? this.#rotate() : { kind: "ended" };
      case "rotating": {
        const { watch } = stage;
        this.#declareCompromised(watch);
        if (watch.count("retired") === this.#options.nodes && this.#isAtRest(watch.keyId)) {
          watch.endedMs = nowMs;
          return this.#rest();
        }
        return this.#isLate(this.#rotationMsMax()) ? this.#giveUp(`the rotation to key ${watch.keyId} does not end`) : stage;
      }
    }
  }

  #rest(): Stage {
    this.#stageSinceMs = this.#fleet.time.nowMs;
    return { kind: "resting", untilMs: this.#stageSinceMs + restMs };
  }

  #giveUp(message: string): Stage {
    this.#stuck.push({ invariant: "L1", atMs: this.#fleet.time.nowMs, message, cause: null });
    return { kind: "ended" };
  }

  #isLate(patience: number): boolean {
    return this.#fleet.time.nowMs - this.#stageSinceMs > patience;
  }

  #rotationMsMax(): number {
    const { jitterMaxMs, slowNodeMs, keyDistributionMs, drainMs } = this.#options;
    return patienceMs + jitterMaxMs + slowNodeMs + keyDistributionMs + drainMs;
  }

  /** As operators do: a file with the key in use and the new one, that reaches the nodes at different times. */
  #rotate(): Stage {
    const fleet = this.#fleet;
    const { nowMs } = fleet.time;
    const oldKeyId = this.#rotations.length + 1;
    const watch = new RotationWatch(oldKeyId, oldKeyId + 1, nowMs);
    if (this.#rotations.length === 0) this.#beginCounting();
    this.#rotations.push(watch);
    this.#stageSinceMs = nowMs;
    const keys = [keyOf(oldKeyId), keyOf(watch.keyId)];
    for (const name of fleet.live()) {
      fleet.time.at(nowMs + fleet.prng.below(this.#options.keyDistributionMs + 1), () => fleet.setKeys(name, keys));
    }
    return { kind: "rotating", watch };
  }

  /** The order is refused while nobody offers a newer key, so it is given when the first node does. */
  #declareCompromised({ keyId, oldKeyId }: RotationWatch): void {
    const { emergency, rotations } = this.#options;
    if (!emergency || this.#rotations.length < rotations || this.#compromised.length > 0) return;
    const { registry } = this.#fleet;
    const isOffered = this.#fleet.live().some((name) => registry.report(name)?.available.some((key) => key.keyId === keyId));
    if (!isOffered) return;
    const compromised = keyOf(oldKeyId);
    this.#compromised.push(compromised);
    const texts = { id: `emergency-${oldKeyId}`, reason: "emergency", by: "simulation", at: "" };
    registry.setRequest({ schemaVersion: 1, ...texts, kind: "rotate", compromised, abort: null });
  }

  #beginCounting(): void {
    this.#meters.beginCounting();
    if (this.#bound !== null) this.#bound.lagMsMax = 0;
  }

  #isAtRest(keyId: number): boolean {
    const { registry } = this.#fleet;
    if (this.#options.coordination === "barrier" && registry.fleet?.phase !== "steady") return false;
    return hasConverged(this.#fleet, keyOf(keyId));
  }

  #describeStage(): string {
    const stage = this.#stage;
    const { nodes, rotations } = this.#options;
    if (stage.kind !== "rotating") return stage.kind;
    const steps = (["staged", "switched", "retired"] as const).map((step) => `${step} ${stage.watch.count(step)}/${nodes}`);
    return `rotation ${this.#rotations.length} of ${rotations} to key ${stage.watch.keyId}  ${steps.join("  ")}`;
  }
}

function figuresOf(watch: RotationWatch, nodes: number): RotationFigures {
  const { keyId, forcedRetires, endedMs, startedMs } = watch;
  const [stagedMs, switchedMs, retiredMs] = (["staged", "switched", "retired"] as const).map((step) => watch.afterMs(step, nodes));
  const durationMs = endedMs === null ? null : Math.round(endedMs - startedMs);
  return { keyId, stagedMs: stagedMs ?? null, switchedMs: switchedMs ?? null, retiredMs: retiredMs ?? null, durationMs, forcedRetires };
}
