/**
 * S3: nothing leaves in the clear. As far as it is modelled: what no policy matches is blocked, so only an outbound policy
 * that lets packets pass would let plaintext out. The block policies of `require` for whole CIDRs are not modelled.
 */
import { seconds, violationsMax, type Checker, type Violation } from "./checker.js";
import type { History } from "./history.js";

export class PlaintextChecker implements Checker {
  readonly invariant = "S3";
  readonly #violations: Violation[] = [];

  constructor(history: History) {
    history.observe((name, operation, atMs) => {
      if (operation.kind !== "set-policy" || operation.policy.direction !== "out") return;
      const { action, peer, remote } = operation.policy;
      if (action.kind === "protect" || action.kind === "block") return;
      const message = `${name} lets packets to ${peer} (${remote.address}) out in the clear since ${seconds(atMs)}`;
      this.#violations.push({ invariant: "S3", atMs, message, cause: "its outbound policy lets them pass instead of protecting" });
    });
  }

  look(): void {
    // Policies are seen when they are set.
  }

  finish(): readonly Violation[] {
    return this.#violations.slice(0, violationsMax);
  }
}
