/**
 * The hands of a script: brings up a fleet, hands out keys, waits, and writes down what it did and measured. Waiting in
 * vain is no exception but a fact of the run: under the old behaviour it can be the very symptom.
 */
import type { FleetPhase, OperatorRequest } from "../../core/fleet/record.js";
import { includesKey, type KeyIdentity } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import type { PolicyLevel } from "../../core/policy-level.js";
import { splitSpi } from "../../core/spi.js";
import { hasConverged } from "../checkers/convergence.js";
import type { SimFleet } from "../fleet.js";
import { plain, receive, routeVia } from "../model/flow.js";
import { routesBetween, type SimNode } from "../model/host.js";
import { keyOf } from "./keys.js";

/** A heading of the story: what the script did at this time. */
export interface Act {
  readonly atMs: number;
  readonly text: string;
}

export interface Figure {
  readonly name: string;
  readonly value: number;
}

const longWaitMs = 60_000;

export class Play {
  readonly fleet: SimFleet;
  readonly acts: Act[] = [];
  readonly figures: Figure[] = [];
  readonly unmet: string[] = [];
  readonly compromised: KeyIdentity[] = [];
  /** The key that the fleet was last waited for to rest on. */
  newestKeyId = 1;
  #requests = 0;

  constructor(fleet: SimFleet) {
    this.fleet = fleet;
  }

  get nowMs(): number {
    return this.fleet.time.nowMs;
  }

  /** Brings up these nodes on key 1, with a controller where there is one, and lets them come to rest. */
  start(names: readonly string[], hasController: boolean): void {
    this.act(`${names.length} nodes start on key 1`);
    if (hasController) this.fleet.addController();
    for (const name of names) this.fleet.addNode(name, [keyOf(1)]);
    this.rest(1);
    this.fleet.run(1_000);
  }

  node(name: string): SimNode {
    return this.fleet.node(name as NodeName);
  }

  act(text: string): void {
    this.fleet.traffic.cutWindows();
    this.acts.push({ atMs: this.nowMs, text });
  }

  measure(name: string, value: number): void {
    this.figures.push({ name, value });
  }

  /** The key file of these nodes names these keys from now on. */
  offer(keyIds: readonly number[], names: readonly string[] = this.fleet.live()): void {
    for (const name of names) this.fleet.setKeys(name as NodeName, keyIds.map(keyOf));
  }

  ask(kind: "rotate" | "abort", keyId: number): void {
    if (kind === "rotate") this.compromised.push(keyOf(keyId));
    this.#request({
      kind,
      compromised: kind === "rotate" ? keyOf(keyId) : null,
      abort: kind === "abort" ? keyOf(keyId) : null,
    });
  }

  askLevel(level: PolicyLevel): void {
    this.#request({ kind: "level", compromised: null, abort: null, level });
  }

  #request(asked: Pick<OperatorRequest, "abort" | "compromised" | "kind" | "level">): void {
    this.#requests += 1;
    const id = `request-${this.#requests}`;
    this.fleet.registry.setRequest({ schemaVersion: 1, id, reason: "scenario", by: "scenario", at: "", ...asked });
  }

  /** Runs `run` so long from now. */
  later(delayMs: number, run: () => void): void {
    this.fleet.time.at(this.nowMs + delayMs, run);
  }

  /** Runs until `holds`, at most `limitMs`; looks every millisecond, or less often in a long wait. A wait in vain is noted. */
  waitFor(what: string, holds: () => boolean, limitMs = 30_000): boolean {
    const endMs = this.nowMs + limitMs;
    const lookEveryMs = limitMs > longWaitMs ? 20 : 1;
    while (!holds() && this.nowMs < endMs) this.fleet.run(lookEveryMs);
    if (!holds()) this.unmet.push(`not within ${limitMs / 1_000} s: ${what}`);
    return holds();
  }

  waitForPhase(phase: FleetPhase, limitMs?: number): boolean {
    return this.waitFor(`the fleet is ${phase}`, () => this.fleet.registry.fleet?.phase === phase, limitMs);
  }

  /** Waits until every live node holds and sends with this key alone, by its own word and by its kernel. */
  rest(keyId: number, limitMs = 60_000): boolean {
    this.newestKeyId = keyId;
    return this.waitFor(`rest on key ${keyId}`, () => this.isAtRest(keyId), limitMs);
  }

  isAtRest(keyId: number): boolean {
    if (!this.runsOnly(keyId)) return false;
    const record = this.fleet.registry.fleet;
    if (record !== null && (record.phase !== "steady" || record.excluded.length > 0)) return false;
    const nodes = this.fleet.live().map((name) => this.node(name));
    return nodes.every((from) => nodes.every((to) => from === to || canSend(from, to, keyId)));
  }

  runsOnly(keyId: number, names: readonly string[] = this.fleet.live()): boolean {
    return hasConverged(this.fleet, keyOf(keyId), names as readonly NodeName[]);
  }

  /** By its own word. */
  reportsHolding(name: string, keyId: number): boolean {
    return includesKey(this.fleet.registry.report(name as NodeName)?.holds ?? [], keyOf(keyId));
  }

  /** SAs of this key in a node's kernel, as they are. */
  sasOf(name: string, keyId: number): number {
    const slots = [...this.node(name).kernel.slots()];
    return slots.filter((slot) => splitSpi(slot.spi).keyId === keyId).length;
  }
}

/** Would a packet get through now, by what both kernels hold, with this key or plain? */
function canSend(from: SimNode, to: SimNode, keyId: number): boolean {
  return routesBetween(from, to).every((route) => {
    const sent = routeVia(from.kernel.find(route.near), route.local, false);
    if (typeof sent === "string" || (sent !== plain && sent.spec.key.keyId !== keyId)) return false;
    const far = to.kernel.find(route.far);
    return far !== undefined && typeof receive({ far, to, isOpen: false }, sent) !== "string";
  });
}
