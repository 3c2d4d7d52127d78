/**
 * The security policy database (RFC 4301, 4.4.1) of a dataplane that is always in `require`: an
 * outbound policy protects or blocks, an inbound one accepts or blocks, and where there is none
 * nothing passes. Setting replaces at once.
 */
import { limits } from "../../core/limits.js";
import { fail, succeed, type Result } from "../../core/result.js";
import { policySlotKey, sameAction } from "../../core/sa.js";
import type { PolicyAction, PolicySlot, PolicyView } from "../../core/sa.js";
import type { Refusal } from "./refusal.js";

export class PolicyDatabase {
  readonly #bySlot = new Map<string, PolicyView>();

  /**
   * Codes: `DATAPLANE_UNSUPPORTED` for an action that this direction cannot have, `DATAPLANE_FULL`.
   */
  set(slot: PolicySlot, action: PolicyAction): Result<"set" | "unchanged", Refusal> {
    if (!fits(slot, action)) return fail(unfit(slot, action));
    const present = this.find(slot);
    if (present !== undefined && sameAction(present.action, action)) return succeed("unchanged");
    if (present === undefined && this.#bySlot.size >= limits.dataplanePoliciesMax)
      return fail(full);
    this.#bySlot.set(policySlotKey(slot), { slot, action });
    return succeed("set");
  }

  /** False when there is none. */
  remove(slot: PolicySlot): boolean {
    return this.#bySlot.delete(policySlotKey(slot));
  }

  find(slot: PolicySlot): PolicyView | undefined {
    return this.#bySlot.get(policySlotKey(slot));
  }

  list(): PolicyView[] {
    return [...this.#bySlot.values()];
  }

  clear(): void {
    this.#bySlot.clear();
  }
}

/** An outbound `accept` would send plaintext; an inbound policy is not pinned to an SPI. */
function fits(slot: PolicySlot, action: PolicyAction): boolean {
  return (
    action.kind === "block" || action.kind === (slot.direction === "out" ? "protect" : "accept")
  );
}

const full: Refusal = {
  code: "DATAPLANE_FULL",
  message: `the dataplane holds ${limits.dataplanePoliciesMax} policies, its most`,
};

function unfit(slot: PolicySlot, action: PolicyAction): Refusal {
  const message = `the userspace dataplane has no ${slot.direction}bound policy "${action.kind}"`;
  return { code: "DATAPLANE_UNSUPPORTED", message };
}
