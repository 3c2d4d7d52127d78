/**
 * Which SAs and policies a userspace dataplane can run: transport mode, ESP in UDP, between its
 * address and others.
 */
import { isIP } from "node:net";
import type { AddressFamily } from "../../core/node.js";
import { endpointKey } from "../../core/sa.js";
import type { Endpoint, PolicySlot } from "../../core/sa.js";
import type { Refusal } from "./refusal.js";
import { sameEndpoint, type SaRequest } from "./sa-database.js";

/** Null for a text that is no IP address. */
export function familyOf(address: string): AddressFamily | null {
  const version = isIP(address);
  if (version === 0) return null;
  return version === 4 ? "ipv4" : "ipv6";
}

/** The dataplane serves one machine: 127/8, or ::1. */
export function isLoopback(address: string): boolean {
  return address === "::1" || (isIP(address) === 4 && address.startsWith("127."));
}

/**
 * Codes: `DATAPLANE_UNSUPPORTED`, `DATAPLANE_NOT_LOCAL`; null when the SA may be installed at
 * `local`.
 */
export function refuseSa(local: Endpoint, request: SaRequest): Refusal | null {
  if (request.mode !== "transport") return unsupported("tunnel mode");
  const [here, remote] =
    request.direction === "in"
      ? [request.destination, request.source]
      : [request.source, request.destination];
  if (!sameEndpoint(here, local)) {
    const ends = `${endpointKey(here)}, not ${endpointKey(local)}`;
    const message = `the ${request.direction}bound SA's own end is ${ends}`;
    return { code: "DATAPLANE_NOT_LOCAL", message };
  }
  return refuseRemote(local, remote);
}

/** Code: `DATAPLANE_UNSUPPORTED`; null when the policy may be set at `local`. */
export function refusePolicy(local: Endpoint, slot: PolicySlot): Refusal | null {
  if (slot.family !== familyOf(local.address))
    return unsupported(`${slot.family} at ${local.address}`);
  return refuseRemote(local, slot.remote);
}

function refuseRemote(local: Endpoint, remote: Endpoint): Refusal | null {
  if (remote.udpPort === null) return unsupported("ESP without UDP encapsulation");
  if (familyOf(remote.address) === familyOf(local.address)) return null;
  return unsupported(`${remote.address} as a peer of ${local.address}`);
}

function unsupported(what: string): Refusal {
  return {
    code: "DATAPLANE_UNSUPPORTED",
    message: `the userspace dataplane does not support ${what}`,
  };
}
