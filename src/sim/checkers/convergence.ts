/** L1: when faults stop, every node ends on the newest key, with nothing left of who departed and nothing missing. */
import { isSettled } from "../../core/fleet/levels.js";
import { sameKey, type KeyIdentity } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import { families, networksBetween } from "../../core/rotation/path.js";
import { splitSpi } from "../../core/spi.js";
import type { SimFleet } from "../fleet.js";
import type { SimNode } from "../model/host.js";
import { seconds, violationsMax, type Checker, type Violation } from "./checker.js";

/** Does each of these nodes hold and send with `key` and nothing else, by its own word? */
export function hasConverged(fleet: SimFleet, key: KeyIdentity, names: readonly NodeName[] = fleet.live()): boolean {
  const isAlone = fleet.live().length === 1;
  const { levels } = fleet.registry.fleet ?? {};
  if (levels !== undefined && !isSettled(levels)) return false;
  return names.every((name) => rests(fleet, name, key, isAlone));
}

function rests(fleet: SimFleet, name: NodeName, key: KeyIdentity, isAlone: boolean): boolean {
  const report = fleet.registry.report(name);
  const isHeld = report?.holds.length === 1 && sameKey(report.holds[0] ?? null, key);
  return isHeld && (report.sendingOldest === key.keyId || isAlone);
}

export class ConvergenceChecker implements Checker {
  readonly invariant = "L1";
  readonly #fleet: SimFleet;
  readonly #newest: () => KeyIdentity;

  /** @param newest the key that the fleet must end on, asked for at the end */
  constructor(fleet: SimFleet, newest: () => KeyIdentity) {
    this.#fleet = fleet;
    this.#newest = newest;
  }

  look(): void {
    // Only the end counts.
  }

  finish(): readonly Violation[] {
    const fleet = this.#fleet;
    const key = this.#newest();
    if (!hasConverged(fleet, key)) return [this.#violation(`no rest on key ${key.keyId}`, standing(fleet, key))];
    const found: string[] = [];
    for (const name of fleet.live()) if (found.length < violationsMax) found.push(...leftovers(fleet, fleet.node(name), key));
    return found.slice(0, violationsMax).map((what) => this.#violation(what, null));
  }

  #violation(what: string, cause: string | null): Violation {
    const atMs = this.#fleet.time.nowMs;
    return { invariant: "L1", atMs, message: `${what} at ${seconds(atMs)}`, cause };
  }
}

/** So many nodes are told of by name. */
const namedMax = 20;

/** Where the nodes stand that do not rest on `key`, by their own word. */
function standing(fleet: SimFleet, key: KeyIdentity): string {
  const live = fleet.live();
  const restless = live.filter((name) => !rests(fleet, name, key, live.length === 1));
  const told = restless.slice(0, namedMax).map((name) => {
    const report = fleet.registry.report(name);
    if (report === undefined) return `${name} has no report`;
    const held = report.holds.map((one) => one.keyId).join("+");
    return `${name} holds ${held} and sends ${report.sendingOldest ?? 0} to ${report.sendingNewest ?? 0}`;
  });
  return [...told, ...(restless.length > namedMax ? [`and ${restless.length - namedMax} more`] : [])].join("; ");
}

/** What a kernel and a disk hold that they should not, or lack. */
function leftovers(fleet: SimFleet, node: SimNode, key: KeyIdentity): readonly string[] {
  const others = fleet.peersOf(node.name);
  const addresses = new Set(others.flatMap((one) => Object.values(fleet.node(one).addresses).flat()));
  const paths = others.flatMap((one) => families.map((family) => networksBetween(node, fleet.node(one), family).length));
  const expectedSas = 2 * paths.filter((count) => count > 0).length;
  const expectedPolicies = 2 * paths.reduce((sum, count) => sum + count, 0);
  const slots = [...node.kernel.slots()];
  const policies = [...node.kernel.policies()];
  const sent = fleet.registry.fleet?.levels?.level === "accept" ? "pass" : "protect";
  const oldSa = slots.find((slot) => splitSpi(slot.spi).keyId !== key.keyId);
  const strange = policies.find(({ remote, direction, action }) => {
    return !addresses.has(remote.address) || (direction === "out" && action.kind !== sent);
  });
  const known = checkpointNames(node);
  const findings = [
    slots.length === expectedSas ? null : `has ${slots.length} SAs, not ${expectedSas}`,
    policies.length === expectedPolicies ? null : `has ${policies.length} policies, not ${expectedPolicies}`,
    oldSa === undefined ? null : `has an SA of key ${splitSpi(oldSa.spi).keyId} for ${oldSa.remote.address}`,
    strange === undefined ? null : `has a policy ${strange.direction} for ${strange.remote.address} that does not belong`,
    known.join() === [...others].sort().join() ? null : `has a checkpoint of ${known.join()}`,
  ];
  return findings.filter((what) => what !== null).map((what) => `${node.name} ${what}`);
}

function checkpointNames(node: SimNode): readonly NodeName[] {
  const text = node.disk.read("nodes.json");
  if (text === null) return [];
  const { nodes } = JSON.parse(text) as { nodes: readonly { entry: { name: NodeName } }[] };
  return nodes.map(({ entry }) => entry.name).sort();
}
