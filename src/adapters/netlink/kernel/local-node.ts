/** This node as the kernel's dataplane knows it, and how it says what it cannot run for it. */
import type { AddressFamily, NodeAddresses } from "../../../core/node.js";
import type { Endpoint } from "../../../core/sa.js";
import type { Guard } from "./guard.js";
import type { Ownership } from "./ownership.js";

export interface LocalNode {
  readonly addresses: NodeAddresses;
  readonly ownership: Ownership;
  /** Of inbound SAs, in packets. */
  readonly replayWindow: number;
  /** UDP port at which every node of the fleet answers probes. */
  readonly probePort: number;
  /** Null where nothing is blocked but towards peers. */
  readonly guard: Guard | null;
}

export interface Refusal {
  readonly code: "DATAPLANE_UNSUPPORTED" | "DATAPLANE_NOT_LOCAL";
  readonly message: string;
}

export function unsupported(what: string): Refusal {
  const message = `the kernel dataplane does not support ${what} in this version`;
  return { code: "DATAPLANE_UNSUPPORTED", message };
}

export function familyOf({ address }: Endpoint): AddressFamily {
  return address.includes(":") ? "ipv6" : "ipv4";
}

export function localAddress(family: AddressFamily, { addresses }: LocalNode): string | null {
  return family === "ipv4" ? addresses.ipv4 : addresses.ipv6;
}

/** Of an operation that was not refused. */
export function ownAddress(family: AddressFamily, local: LocalNode): string {
  const address = localAddress(family, local);
  if (address === null) throw new RangeError(`this node has no ${family} address`);
  return address;
}

export function refuseFamily(remote: Endpoint, local: LocalNode): Refusal | null {
  const family = familyOf(remote);
  return localAddress(family, local) === null ? unsupported(`${family}, which this node lacks,`) : null;
}
