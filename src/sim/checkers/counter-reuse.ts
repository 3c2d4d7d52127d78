/** S4: one (key, SPI) pair is installed outbound at most once. The kernel model remembers every pair through reboots. */
import type { SimFleet } from "../fleet.js";
import { violationsMax, type Checker, type Violation } from "./checker.js";

export class CounterReuseChecker implements Checker {
  readonly invariant = "S4";
  readonly #fleet: SimFleet;
  readonly #firstSeenMs = new Map<string, number>();

  constructor(fleet: SimFleet) {
    this.#fleet = fleet;
  }

  look(): void {
    for (const { name, kernel } of this.#fleet.nodes.values()) {
      if (kernel.reusedOutbound.length > 0 && !this.#firstSeenMs.has(name)) {
        this.#firstSeenMs.set(name, this.#fleet.time.nowMs);
      }
    }
  }

  finish(): readonly Violation[] {
    this.look();
    const found = [...this.#fleet.nodes.values()].flatMap((node) =>
      node.kernel.reusedOutbound.map((pair): Violation => {
        const message = `${node.name} installed outbound twice: ${pair}`;
        const atMs = this.#firstSeenMs.get(node.name) ?? this.#fleet.time.nowMs;
        return { invariant: "S4", atMs, message, cause: `its counter began again under the same key` };
      }),
    );
    return found.slice(0, violationsMax);
  }
}
