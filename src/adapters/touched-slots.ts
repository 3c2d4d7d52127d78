/** The slots that a plan names, each once: what is read back after it, executed or not. */
import { policySlotKey, policySlotOf, saSlotKey, saSlotOf } from "../core/sa.js";
import type { Operation, PolicySlot, SaSlot } from "../core/sa.js";

export function touchedSlots(operations: readonly Operation[]): { sas: SaSlot[]; policies: PolicySlot[] } {
  const sas = new Map<string, SaSlot>();
  const policies = new Map<string, PolicySlot>();
  const addSa = (slot: SaSlot): unknown => sas.set(saSlotKey(slot), slot);
  const addPolicy = (slot: PolicySlot): unknown => policies.set(policySlotKey(slot), slot);
  for (const operation of operations) {
    if (operation.kind === "install-sa") addSa(saSlotOf(operation.sa));
    else if (operation.kind === "delete-sa") addSa(operation.slot);
    else if (operation.kind === "set-policy") addPolicy(policySlotOf(operation.policy));
    else addPolicy(operation.policy);
  }
  return { sas: [...sas.values()], policies: [...policies.values()] };
}
