/** How entries and operations name the slots of a kernel that are theirs. */
import type { RosterEntry } from "../core/node.js";
import {
  endpointKey,
  policySlotKey,
  policySlotOf,
  saSlotKey,
  saSlotOf,
  type Endpoint,
  type KeyRef,
  type Operation,
} from "../core/sa.js";

export function addressKeys(entry: RosterEntry): readonly string[] {
  const { ipv4, ipv6, udpPort } = entry.addresses;
  return [ipv4, ipv6].filter((address) => address !== null).map((address) => endpointKey({ address, udpPort }));
}

export function endOf(entry: RosterEntry): KeyRef["from"] {
  return { name: entry.name, index: entry.index, incarnationId: entry.incarnationId };
}

export function familyOf(remote: Endpoint): KeyRef["family"] {
  return remote.address.includes(":") ? "ipv6" : "ipv4";
}

export function saSlotKeysOf(operation: Operation): readonly string[] {
  if (operation.kind === "install-sa") return [saSlotKey(saSlotOf(operation.sa))];
  return operation.kind === "delete-sa" ? [saSlotKey(operation.slot)] : [];
}

export function policySlotKeysOf(operation: Operation): readonly string[] {
  if (operation.kind === "set-policy") return [policySlotKey(policySlotOf(operation.policy))];
  return operation.kind === "delete-policy" ? [policySlotKey(operation.policy)] : [];
}
