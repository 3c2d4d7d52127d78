/**
 * S6: what is not ours is never touched. Every kernel is taken to hold an SA pair and policies of another IPsec daemon,
 * which no dump of ours lists; an operation that reaches one of them is a violation.
 */
import { operationSlotKey, policySlotKey, saSlotKey, type PolicyView, type SaView } from "../../core/sa.js";
import type { Spi } from "../../core/spi.js";
import { placeOf } from "../model/sa-table.js";
import { seconds, violationsMax, type Checker, type Violation } from "./checker.js";
import type { History } from "./history.js";

const remote = { address: "198.51.100.7", udpPort: null } as const;
/** In the range that strongSwan allots by default. */
const spi = 0xc1_00_00_07 as Spi;
const directions = ["in", "out"] as const;

/** As a dump would show them if it did not tell ours from others'. */
export const foreignSas: readonly SaView[] = directions.map((direction) => {
  return { slot: { direction, spi, remote }, key: null, bytes: "mismatch", packets: 0, sequence: 0 };
});
export const foreignPolicies: readonly PolicyView[] = [
  { slot: { direction: "in", family: "ipv4", remote }, action: { kind: "accept" } },
  { slot: { direction: "out", family: "ipv4", remote }, action: { kind: "protect", spi } },
];

const slots: ReadonlySet<string> = new Set([
  ...foreignSas.map(({ slot }) => saSlotKey(slot)),
  ...foreignPolicies.map(({ slot }) => policySlotKey(slot)),
]);

export class ForeignChecker implements Checker {
  readonly invariant = "S6";
  readonly #violations: Violation[] = [];

  constructor(history: History) {
    history.observe((name, operation, atMs) => {
      if (placeOf(operation).remote.address !== remote.address || !slots.has(operationSlotKey(operation))) return;
      const message = `${name} ran ${operation.kind} on what another IPsec daemon owns (${remote.address}) at ${seconds(atMs)}`;
      const cause = "it took an SA or policy without our mark for its own";
      this.#violations.push({ invariant: "S6", atMs, message, cause });
    });
  }

  look(): void {
    // Operations are seen when they run.
  }

  finish(): readonly Violation[] {
    return this.#violations.slice(0, violationsMax);
  }
}
