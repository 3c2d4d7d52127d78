/** Watches a simulated fleet for what design.md section 2 forbids, and says what is missing at the end. */
import { sameKey, type KeyIdentity } from "../../src/core/key-id.js";
import type { NodeName } from "../../src/core/node.js";
import { splitSpi } from "../../src/core/spi.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import type { SimNode } from "../../src/sim/model/host.js";

export interface Violation {
  readonly invariant: "S1" | "S2" | "S4" | "S5" | "L1";
  readonly message: string;
}

/** An agent acts on what it knows within this time: retries after a failed request included. */
const graceMs = 2_000;

/** S5, watched while the fleet runs: what an agent retired, and what its deadline says, is gone from its kernel. */
export class RetiredKeyWatch {
  readonly #fleet: SimFleet;
  /** Since when a node's kernel has held what it should not, with its agent alive. */
  readonly #overdueMs = new Map<string, number>();
  readonly violations: Violation[] = [];

  constructor(fleet: SimFleet) {
    this.#fleet = fleet;
  }

  look(): void {
    const { time } = this.#fleet;
    for (const node of this.#fleet.nodes.values()) {
      for (const keyId of forbiddenKeyIds(node, time.nowMs)) this.#lookAt(node, keyId);
      if (node.agent === null) this.#forget(node.name);
    }
  }

  #lookAt(node: SimNode, keyId: number): void {
    const { nowMs } = this.#fleet.time;
    const id = `${node.name} ${keyId}`;
    if (![...node.kernel.slots()].some((slot) => splitSpi(slot.spi).keyId === keyId)) {
      this.#overdueMs.delete(id);
      return;
    }
    const sinceMs = this.#overdueMs.get(id) ?? nowMs;
    this.#overdueMs.set(id, sinceMs);
    if (nowMs - sinceMs < graceMs) return;
    this.#overdueMs.delete(id);
    this.violations.push({ invariant: "S5", message: `${node.name} still has SAs of key ${keyId}, retired or overdue` });
  }

  #forget(name: NodeName): void {
    for (const id of this.#overdueMs.keys()) if (id.startsWith(`${name} `)) this.#overdueMs.delete(id);
  }
}

function forbiddenKeyIds(node: SimNode, nowMs: number): readonly number[] {
  const durable = node.agent?.loop.inspect()?.state.durable;
  if (durable === undefined) return [];
  const { retired, deadline } = durable;
  const isOverdue = deadline !== null && nowMs - node.bootedAtMs > deadline.dueMs;
  return [retired?.keyId, isOverdue ? deadline.key.keyId : undefined].filter((keyId) => keyId !== undefined);
}

/** S1, S2 and S4, from what the run left behind. */
export function findViolations(fleet: SimFleet, compromised: readonly KeyIdentity[]): readonly Violation[] {
  return [...findLosses(fleet), ...findForcedRetires(fleet, compromised), ...findReuse(fleet)];
}

function findLosses(fleet: SimFleet): readonly Violation[] {
  const losses = fleet.losses();
  const [first] = losses;
  if (first === undefined) return [];
  return [{ invariant: "S1", message: `lost ${losses.length} packets, the first: ${JSON.stringify(first)}` }];
}

/** Deadlines are out of reach in these runs, but for the emergency's. */
function findForcedRetires(fleet: SimFleet, compromised: readonly KeyIdentity[]): readonly Violation[] {
  return fleet.logs
    .filter(({ message }) => message === "old key retired by force")
    .filter(({ fields }) => !compromised.some((key) => key.keyId === fields["keyId"]))
    .map(({ who, fields }) => {
      return { invariant: "S2", message: `${who} retired key ${String(fields["keyId"])} by force` };
    });
}

function findReuse(fleet: SimFleet): readonly Violation[] {
  return [...fleet.nodes.values()].flatMap((node) =>
    node.kernel.reusedOutbound.map((pair) => {
      return { invariant: "S4" as const, message: `${node.name} installed outbound twice: ${pair}` };
    }),
  );
}

/** Does every live node hold and send with `key` and nothing else, by its own word? */
export function hasConverged(fleet: SimFleet, key: KeyIdentity): boolean {
  const live = fleet.live();
  return live.every((name) => {
    const report = fleet.registry.report(name);
    const isHeld = report?.holds.length === 1 && sameKey(report.holds[0] ?? null, key);
    return isHeld && (report.sendingOldest === key.keyId || live.length === 1);
  });
}

/** L1: what each kernel and disk holds, against what the fleet is. */
export function findLeftovers(fleet: SimFleet, key: KeyIdentity): readonly Violation[] {
  const live = fleet.live();
  const addresses = new Set(live.flatMap((name) => Object.values(fleet.node(name).addresses)));
  return live.flatMap((name) => {
    const node = fleet.node(name);
    const families = [node.addresses.ipv4, node.addresses.ipv6].filter((address) => address !== null).length;
    const expected = 2 * families * (live.length - 1);
    const slots = [...node.kernel.slots()];
    const policies = [...node.kernel.policies()];
    const strange = [
      ...slots.filter((slot) => splitSpi(slot.spi).keyId !== key.keyId),
      ...policies.filter(({ remote, direction, action }) => {
        return !addresses.has(remote.address) || (direction === "out" && action.kind !== "protect");
      }),
    ];
    const found: string[] = [];
    if (slots.length !== expected) found.push(`has ${slots.length} SAs, not ${expected}`);
    if (policies.length !== expected) found.push(`has ${policies.length} policies, not ${expected}`);
    if (strange.length > 0) found.push(`has ${JSON.stringify(strange[0])}`);
    if (checkpointNames(node).join() !== live.filter((one) => one !== name).sort().join()) {
      found.push(`has a checkpoint of ${checkpointNames(node).join()}`);
    }
    return found.map((what) => ({ invariant: "L1" as const, message: `${name} ${what}` }));
  });
}

function checkpointNames(node: SimNode): readonly string[] {
  const text = node.disk.get("nodes.json");
  if (text === undefined) return [];
  const { nodes } = JSON.parse(text) as { nodes: readonly { entry: { name: string } }[] };
  return nodes.map(({ entry }) => entry.name).sort();
}
