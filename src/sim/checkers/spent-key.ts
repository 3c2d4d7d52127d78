/**
 * S5: a key that must go, goes: what an agent declared retired, and what its running deadline names once it has passed, is
 * out of its kernel within a grace. That a deadline exists at all is the agent's own word; that it is kept is looked up in
 * the kernel. A compromised key is out everywhere by its deadline, whatever the agents say.
 */
import type { KeyIdentity } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import { splitSpi } from "../../core/spi.js";
import type { SimFleet } from "../fleet.js";
import type { SimNode } from "../model/host.js";
import { seconds, violationsMax, type Checker, type Violation } from "./checker.js";

/**
 * An agent acts on what it knows within this time. Operations that fail are tried again after 250, 500, 1,000 and 2,000 ms;
 * a kernel of the swarm fails for at most 2 s.
 */
const graceMs = 4_000;

export class SpentKeyChecker implements Checker {
  readonly invariant = "S5";
  readonly #fleet: SimFleet;
  /** Since when a node's kernel has held what it should not, with its agent alive. */
  readonly #overdueMs = new Map<string, number>();
  readonly #violations: Violation[] = [];

  constructor(fleet: SimFleet) {
    this.#fleet = fleet;
  }

  look(): void {
    const { time, nodes } = this.#fleet;
    for (const node of nodes.values()) {
      if (node.agent === null) this.#forget(node.name);
      else for (const key of spentKeys(node, time.nowMs)) this.#lookAt(node, key);
    }
  }

  finish(): readonly Violation[] {
    return this.#violations.slice(0, violationsMax);
  }

  #lookAt(node: SimNode, { keyId }: KeyIdentity): void {
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
    const message = `${node.name} still has SAs of key ${keyId} at ${seconds(nowMs)}`;
    const cause = `it retired the key, or its deadline passed, before ${seconds(sinceMs)}`;
    this.#violations.push({ invariant: "S5", atMs: nowMs, message, cause });
  }

  #forget(name: NodeName): void {
    for (const id of this.#overdueMs.keys()) if (id.startsWith(`${name} `)) this.#overdueMs.delete(id);
  }
}

function spentKeys(node: SimNode, nowMs: number): readonly KeyIdentity[] {
  const durable = node.agent?.loop.inspect()?.state.durable;
  if (durable === undefined) return [];
  const { retired, deadline } = durable;
  const isOverdue = deadline !== null && (nowMs - node.bootedAtMs) * node.clockRate > deadline.dueMs;
  return [retired, isOverdue ? deadline.key : null].filter((key) => key !== null);
}
