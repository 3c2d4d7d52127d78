/**
 * What an agent keeps of its kernel: the port's views laid flat, as an agent has thousands of them and looks at all that a
 * peer has whenever something happens to it. Ends and addresses are objects that are there already.
 */
import type { AddressFamily } from "../node.js";
import {
  outerOf,
  plainActions,
  sameAction,
  sameEndpoint,
  sameKeyEnd,
  type Direction,
  type Endpoint,
  type KeyEnd,
  type PolicySlot,
  type PolicyAction,
  type PolicyView,
  type SaSlot,
  type SaUse,
  type SaView,
} from "../sa.js";
import { keyIdOf, type Spi } from "../spi.js";

export interface HeldSa {
  readonly direction: Direction;
  readonly spi: Spi;
  readonly remote: Endpoint;
  /** The lives that its key is bound to, null for an SA that no known node explains. */
  readonly from: KeyEnd | null;
  readonly to: KeyEnd | null;
  /** Its bytes are those of the key that its slot asks for, as far as that can be told. */
  readonly isIntact: boolean;
  /** Packets that passed it: decrypted (in) or encrypted (out). */
  readonly packets: number;
  /** Highest sequence number sent or received. */
  readonly sequence: number;
  /** Only shown; null where the dataplane does not count it. */
  readonly use: HeldUse | null;
}

export interface HeldUse extends Omit<SaUse, "idleMs"> {
  /** Of the last packet, on the monotonic clock; null where none is known of. */
  readonly usedAtMs: number | null;
}

export interface HeldPolicy extends PolicySlot {
  /** There in every one of them, as all have to be of one shape. */
  readonly local: string | undefined;
  readonly action: PolicyAction;
}

export function heldSa(view: SaView, remote: Endpoint, use: HeldUse | null = null): HeldSa {
  const { slot, key, packets, sequence } = view;
  const { direction, spi } = slot;
  const from = key?.from ?? null;
  const to = key?.to ?? null;
  return { direction, spi, remote, from, to, isIntact: isIntact(view), packets, sequence, use };
}

/**
 * Where the dataplane does not say when the last packet passed, it was not before the last look, if fewer had passed then.
 * @param before what was held of the same peer
 */
export function heldUse({ slot, packets, use }: SaView, before: readonly HeldSa[], nowMs: number): HeldUse | null {
  if (use === undefined) return null;
  const { octets, idleMs, esn } = use;
  if (idleMs !== null) return { octets, usedAtMs: nowMs - idleMs, esn };
  const known = before.find((one) => one.direction === slot.direction && one.spi === slot.spi && sameEndpoint(one.remote, slot.remote));
  const hasMoved = known !== undefined && packets > known.packets;
  return { octets, usedAtMs: hasMoved ? nowMs : (known?.use?.usedAtMs ?? null), esn };
}

/** Equality is addresses, SPI and key, never the SPI alone (design 4.1). Bytes that cannot be checked are believed. */
function isIntact({ slot, key, bytes }: SaView): boolean {
  if (bytes === "mismatch" || key === null) return false;
  return key.keyId === keyIdOf(slot.spi) && key.family === familyOf(slot.remote);
}

export function heldPolicy({ slot, action }: PolicyView, remote: Endpoint): HeldPolicy {
  const { direction, family, local } = slot;
  const isPlain = action.kind !== "protect" && outerOf(action) === undefined;
  return { direction, family, local, remote, action: isPlain ? plainActions[action.kind] : action };
}

/** One SA at two times, whatever packets passed it in between. */
export function sameSa(one: HeldSa, other: HeldSa): boolean {
  if (one === other) return true;
  return (
    one.direction === other.direction &&
    one.spi === other.spi &&
    sameEndpoint(one.remote, other.remote) &&
    sameKeyEnd(one.from, other.from) &&
    sameKeyEnd(one.to, other.to) &&
    one.isIntact === other.isIntact
  );
}

export function samePolicy(one: HeldPolicy, other: HeldPolicy): boolean {
  if (one === other) return true;
  return (
    one.direction === other.direction &&
    one.family === other.family &&
    one.local === other.local &&
    sameEndpoint(one.remote, other.remote) &&
    sameAction(one.action, other.action)
  );
}

export function saSlot({ direction, spi, remote }: HeldSa): SaSlot {
  return { direction, spi, remote };
}

/** Where what the policy protects is sent. */
export function sendsTo({ action, remote }: HeldPolicy): string {
  return outerOf(action) ?? remote.address;
}

export function familyOf(remote: Endpoint): AddressFamily {
  return remote.address.includes(":") ? "ipv6" : "ipv4";
}
