/**
 * The people and tools around a simulated fleet: who writes key files, hands them out slowly and out of step, and asks
 * for rotations. Like `spindle keyfile next`, a file names the key that the fleet runs and then the new one.
 */
import { derivePairwise } from "../../core/fleet/pairwise-view.js";
import type { OperatorRequest } from "../../core/fleet/record.js";
import { includesKey, sameKey, type KeyIdentity } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import type { PolicyLevel } from "../../core/policy-level.js";
import { agentDefaults } from "../defaults.js";
import type { SimFleet } from "../fleet.js";
import { keyOf } from "../scenarios/keys.js";

/** Longest time that a new file takes to reach a node. */
const distributionMs = 400;

export class Operator {
  readonly #fleet: SimFleet;
  readonly #coordination: "barrier" | "pairwise";
  readonly #fileVersions = new Map<NodeName, number>();
  readonly compromised: KeyIdentity[] = [];
  newest = keyOf(1);
  #file: readonly KeyIdentity[] = [keyOf(1)];
  #version = 0;
  #requests = 0;

  constructor(fleet: SimFleet, coordination: "barrier" | "pairwise") {
    this.#fleet = fleet;
    this.#coordination = coordination;
  }

  /** The key that the fleet runs, as `spindle status` would say. */
  running(): KeyIdentity {
    const { registry } = this.#fleet;
    const file = this.#file[0] ?? this.newest;
    if (this.#coordination === "barrier") return registry.fleet?.current ?? file;
    const nodes = this.#fleet.live().flatMap((name) => {
      const entry = registry.entry(name);
      return entry === undefined ? [] : [{ entry, report: registry.report(name) }];
    });
    return derivePairwise(nodes, agentDefaults.ring).current ?? file;
  }

  /** Does every live node hold the newest key, and only that? */
  isSettled(): boolean {
    return this.#fleet.live().every((name) => {
      const report = this.#fleet.registry.report(name);
      return report?.holds.length === 1 && sameKey(report.holds[0] ?? null, this.newest);
    });
  }

  /** What a new node gets: the key that most run now and the newest. */
  file(): readonly KeyIdentity[] {
    const running = this.running();
    return this.isSettled() || sameKey(running, this.newest) ? [this.newest] : [running, this.newest];
  }

  rotate(): void {
    const running = this.running();
    this.newest = keyOf(this.newest.keyId + 1);
    this.#distribute([running, this.newest], distributionMs);
  }

  /** Does every node still hold the key that the fleet runs? Only then may another rotation begin before this one ended. */
  canReturn(): boolean {
    const running = this.running();
    return this.#fleet.live().every((name) => includesKey(this.#fleet.registry.report(name)?.holds ?? [], running));
  }

  /** After a disaster: a file with every key that anyone still uses, and a new one, at once. */
  repair(): void {
    const known = this.#known();
    this.newest = keyOf(this.newest.keyId + 1);
    this.#distribute([...known, this.newest], 0);
  }

  /** The running key leaked: a new one goes out unless one is on its way, and the order to be rid of the old one. */
  declareCompromised(): void {
    const leaked = this.running();
    this.compromised.push(leaked);
    if (this.isSettled()) this.rotate();
    this.#ask("rotate", { compromised: leaked });
  }

  abort(): void {
    this.#ask("abort", { abort: this.newest });
  }

  moveTo(level: PolicyLevel): void {
    this.#ask("level", { level });
  }

  withdraw(): void {
    this.#fleet.registry.setRequest(null);
  }

  #ask(kind: OperatorRequest["kind"], keys: Partial<Pick<OperatorRequest, "compromised" | "abort" | "level">>): void {
    this.#requests += 1;
    this.#fleet.registry.setRequest({
      schemaVersion: 1,
      id: `request-${this.#requests}`,
      kind,
      reason: "swarm",
      by: "swarm",
      at: "",
      compromised: null,
      abort: null,
      ...keys,
    });
  }

  /** Files reach the nodes at different times, but no node ever gets an older one after a newer one. */
  #distribute(keys: readonly KeyIdentity[], withinMs: number): void {
    const { time, prng } = this.#fleet;
    this.#version += 1;
    const version = this.#version;
    this.#file = keys;
    for (const name of this.#fleet.live()) {
      time.at(time.nowMs + prng.below(withinMs + 1), () => {
        if ((this.#fileVersions.get(name) ?? 0) > version) return;
        this.#fileVersions.set(name, version);
        this.#fleet.setKeys(name, keys);
      });
    }
  }

  /** Every key that a live node holds or has ever taken up, oldest first. No swarm runs around the ring. */
  #known(): readonly KeyIdentity[] {
    const record = this.#fleet.registry.fleet;
    const ofNodes = this.#fleet.live().flatMap((name) => {
      const durable = this.#fleet.node(name).agent?.loop.inspect()?.state.durable;
      return [durable?.current, durable?.next, ...(this.#fleet.registry.report(name)?.holds ?? [])];
    });
    const found = new Map<number, KeyIdentity>();
    for (const key of [record?.current, record?.target, ...ofNodes, this.newest]) if (key) found.set(key.keyId, key);
    return [...found.values()].sort((one, other) => one.keyId - other.keyId);
  }
}
