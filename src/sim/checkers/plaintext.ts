/**
 * S3: nothing leaves in the clear: in a fleet whose level is fixed, as `require`; in one whose level moves, from the moment
 * the record says that everybody has applied `require`. Looks at outbound policies, as they are the only way out: what no
 * policy matches is blocked, or is not the agent's (`isOpen`). The block policies of `require` for whole CIDRs are not modelled.
 */
import { isClosed } from "../../core/fleet/record.js";
import type { NodeName } from "../../core/node.js";
import type { SimFleet } from "../fleet.js";
import { seconds, violationsMax, type Checker, type Violation } from "./checker.js";
import type { History } from "./history.js";

export class PlaintextChecker implements Checker {
  readonly invariant = "S3";
  readonly #fleet: SimFleet;
  readonly #violations: Violation[] = [];

  constructor(fleet: SimFleet, history: History) {
    this.#fleet = fleet;
    history.observe((name, operation, atMs) => {
      if (operation.kind !== "set-policy" || operation.policy.direction !== "out" || !this.#isClosedFor(name)) return;
      const { action, peer, remote } = operation.policy;
      if (action.kind === "protect" || action.kind === "block") return;
      this.#found(name, `lets packets to ${peer} (${remote.address}) out in the clear`, atMs);
    });
  }

  /** What was open before the fleet closed, and still is. */
  look(): void {
    const { fleet } = this.#fleet.registry;
    if (fleet === null || !isClosed(fleet)) return;
    for (const name of this.#fleet.live().filter((one) => this.#isClosedFor(one))) {
      const open = [...this.#fleet.node(name).kernel.policies()].find(({ action }) => action.kind === "pass");
      if (open !== undefined) this.#found(name, `still lets packets to ${open.peer} out in the clear`, this.#fleet.time.nowMs);
    }
  }

  finish(): readonly Violation[] {
    return this.#violations.slice(0, violationsMax);
  }

  #found(name: NodeName, what: string, atMs: number): void {
    const cause = "its outbound policy lets them pass instead of protecting";
    this.#violations.push({ invariant: "S3", atMs, message: `${name} ${what} since ${seconds(atMs)}`, cause });
  }

  #isClosedFor(name: NodeName): boolean {
    const { fleet } = this.#fleet.registry;
    if (fleet?.levels === undefined) return !this.#fleet.isOpen;
    return isClosed(fleet) && !fleet.excluded.some((one) => one.name === name);
  }
}
