/**
 * The kernel slots that a plan touched, by remote address: a plan has thousands of slots and few per address, and
 * an address is there already where the text of a whole slot would have to be made.
 */
import {
  policySlotOf,
  saSlotOf,
  type Endpoint,
  type Operation,
  type PolicySlot,
  type SaSlot,
} from "../core/sa.js";

export class TouchedSlots {
  readonly #sas = new Map<string, SaSlot[]>();
  readonly #policies = new Map<string, PolicySlot[]>();

  constructor(operations: readonly Operation[]) {
    for (const operation of operations) this.#add(operation);
  }

  hasSa({ direction, spi, remote }: SaSlot): boolean {
    const slots = this.#sas.get(remote.address) ?? [];
    return slots.some((one) => one.spi === spi && one.direction === direction && hasSamePort(one.remote, remote));
  }

  hasPolicy({ direction, family, local, remote }: PolicySlot): boolean {
    const slots = this.#policies.get(remote.address) ?? [];
    const isIt = (one: PolicySlot): boolean => one.direction === direction && one.family === family && one.local === local;
    return slots.some((one) => isIt(one) && hasSamePort(one.remote, remote));
  }

  #add(operation: Operation): void {
    switch (operation.kind) {
      case "install-sa":
        return addTo(this.#sas, saSlotOf(operation.sa));
      case "delete-sa":
        return addTo(this.#sas, operation.slot);
      case "set-policy":
        return addTo(this.#policies, policySlotOf(operation.policy));
      case "delete-policy":
        return addTo(this.#policies, operation.policy);
    }
  }
}

function addTo<S extends SaSlot | PolicySlot>(slots: Map<string, S[]>, slot: S): void {
  const there = slots.get(slot.remote.address);
  if (there === undefined) slots.set(slot.remote.address, [slot]);
  else there.push(slot);
}

function hasSamePort(one: Endpoint, other: Endpoint): boolean {
  return one.udpPort === other.udpPort;
}
