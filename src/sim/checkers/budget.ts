/**
 * Budget: what a rotation without faults may cost (design 4.3 and 4.4). Reports and fleet records per rotation, no change
 * of the roster, and a start of staging that is spread over the jitter window. Begins to count when it is made.
 */
import type { KeyId } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import type { SimFleet } from "../fleet.js";
import type { Checker, Violation } from "./checker.js";
import type { History } from "./history.js";

export interface Budget {
  readonly rotations: number;
  readonly reportsPerNodeMax: number;
  readonly fleetWritesMax: number;
  /** Length of the jitter window, 0 for none. */
  readonly jitterMs: number;
}

/** The window is looked at in this many parts, and none may have more than `crowdMax` times its share of the fleet. */
const parts = 8;
const crowdMax = 3;

export class BudgetChecker implements Checker {
  readonly invariant = "budget";
  readonly #fleet: SimFleet;
  readonly #budget: Budget;
  readonly #before: SimFleet["registry"]["writes"];
  /** When each node installed its first inbound SA of a key. */
  readonly #stagedMs = new Map<KeyId, Map<NodeName, number>>();

  constructor(fleet: SimFleet, history: History, budget: Budget) {
    this.#fleet = fleet;
    this.#budget = budget;
    this.#before = { ...fleet.registry.writes };
    history.observe((name, operation, atMs) => {
      if (operation.kind !== "install-sa" || operation.sa.direction !== "in") return;
      this.#started(name, operation.sa.key.keyId, atMs);
    });
  }

  look(): void {
    // The registry counts by itself.
  }

  finish(): readonly Violation[] {
    const { registry } = this.#fleet;
    const { rotations, reportsPerNodeMax, fleetWritesMax } = this.#budget;
    const nodes = this.#fleet.live().length;
    const reports = registry.writes.report - this.#before.report;
    const records = registry.writes.fleet - this.#before.fleet;
    const entries = registry.writes.roster - this.#before.roster;
    return [
      ...this.#tooMany("reports", reports, rotations * reportsPerNodeMax * nodes),
      ...this.#tooMany("fleet records", records, rotations * fleetWritesMax),
      ...this.#tooMany("roster changes", entries, 0),
      ...this.#crowds(nodes),
    ];
  }

  #started(name: NodeName, keyId: KeyId, atMs: number): void {
    const staged = this.#stagedMs.get(keyId) ?? new Map<NodeName, number>();
    this.#stagedMs.set(keyId, staged);
    if (!staged.has(name)) staged.set(name, atMs);
  }

  #tooMany(what: string, count: number, most: number): readonly Violation[] {
    if (count <= most) return [];
    return [this.#violation(`${count} ${what} in ${this.#budget.rotations} rotations, at most ${most}`, null)];
  }

  #crowds(nodes: number): readonly Violation[] {
    const { jitterMs } = this.#budget;
    if (jitterMs === 0) return [];
    const most = Math.ceil((nodes / parts) * crowdMax);
    return [...this.#stagedMs].flatMap(([keyId, staged]) => {
      const crowd = largestCrowd([...staged.values()], jitterMs / parts);
      if (crowd <= most) return [];
      const message = `${crowd} of ${nodes} nodes began to stage key ${keyId} within ${jitterMs / parts} ms, at most ${most}`;
      return [this.#violation(message, `the jitter window of ${jitterMs} ms was not used`)];
    });
  }

  #violation(message: string, cause: string | null): Violation {
    return { invariant: "budget", atMs: this.#fleet.time.nowMs, message, cause };
  }
}

/** The most times that lie within `windowMs` of each other. */
function largestCrowd(times: readonly number[], windowMs: number): number {
  const sorted = [...times].sort((one, other) => one - other);
  let crowd = 0;
  let first = 0;
  for (const [last, atMs] of sorted.entries()) {
    while (atMs - (sorted[first] ?? atMs) > windowMs) first += 1;
    crowd = Math.max(crowd, last - first + 1);
  }
  return crowd;
}
