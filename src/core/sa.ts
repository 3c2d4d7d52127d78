/**
 * Security associations, policies and the operations on them, as values. Key bytes are never here: an SA names its key
 * by a `KeyRef`, and the dataplane's adapter derives the bytes when it installs it.
 */
import type { KeyId } from "./key-id.js";
import type { AddressFamily, IncarnationId, IpsecMode, NodeName } from "./node.js";
import type { NodeIndex, Spi } from "./spi.js";

/** One end of an SA's key: all that HKDF binds the key to (design 4.1). */
export interface KeyEnd {
  readonly name: NodeName;
  readonly index: NodeIndex;
  readonly incarnationId: IncarnationId;
}

/** Names the key of one SA. Every SA has its own key. */
export interface KeyRef {
  readonly keyId: KeyId;
  readonly from: KeyEnd;
  readonly to: KeyEnd;
  readonly family: AddressFamily;
  readonly mode: IpsecMode;
}

export type Direction = "in" | "out";

export interface Endpoint {
  readonly address: string;
  readonly udpPort: number | null;
}

/** The security association that should exist. `direction` is seen from the local node. */
export interface SaSpec {
  readonly direction: Direction;
  readonly spi: Spi;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly key: KeyRef;
}

/**
 * A policy towards (out) or from (in) one peer address or, in tunnel mode, one of its networks. An outbound policy is
 * pinned to one SPI, so one update is the atomic switch, or blocks. An inbound policy accepts every SA of ours from that
 * peer.
 */
export interface PolicySpec extends PolicySlot {
  readonly peer: NodeName;
  readonly action: PolicyAction;
}

/** `outer` in tunnel mode: the peer's address, which the selected packets do not show. */
export type PolicyAction =
  | { readonly kind: "protect"; readonly spi: Spi; readonly outer?: string }
  /** Inbound: only what one of our SAs decrypted. */
  | { readonly kind: "accept"; readonly outer?: string }
  /** Inbound: plain packets too. */
  | { readonly kind: "accept-any"; readonly outer?: string }
  | { readonly kind: "block" }
  /** Outbound: packets go plain. */
  | { readonly kind: "pass" };

/** One object each for all policies that select no SA: what a look at a peer compares with is not made for it. */
export const plainActions = {
  accept: { kind: "accept" },
  "accept-any": { kind: "accept-any" },
  block: { kind: "block" },
  pass: { kind: "pass" },
} as const satisfies Record<Exclude<PolicyAction["kind"], "protect">, PolicyAction>;

/**
 * Deleting the absent and installing the equal succeed. Installing an SA whose slot (direction, remote address, SPI)
 * holds a different key fails with `EEXIST`: the plan deletes first.
 */
export type Operation =
  | { readonly kind: "install-sa"; readonly sa: SaSpec }
  | { readonly kind: "delete-sa"; readonly slot: SaSlot }
  | { readonly kind: "set-policy"; readonly policy: PolicySpec }
  | { readonly kind: "delete-policy"; readonly policy: PolicySlot };

/** What the kernel looks an SA up by: the destination and the SPI. `remote` is the peer's end, whichever it is. */
export interface SaSlot {
  readonly direction: Direction;
  readonly spi: Spi;
  readonly remote: Endpoint;
}

/** What a policy selects: packets of one address family between here and `remote`. */
export interface PolicySlot {
  readonly direction: Direction;
  readonly family: AddressFamily;
  /** Tunnel mode: which network of this node, or its address for the path of probes. Otherwise its address goes without saying. */
  readonly local?: string | undefined;
  /** The peer's end. A network, which stands in the place of its address in tunnel mode, has no port. */
  readonly remote: Endpoint;
}

/** An SA of ours as read from the kernel. `key` is what it was recognised as, null for one that no known node explains. */
export interface SaView {
  readonly slot: SaSlot;
  readonly key: KeyRef | null;
  /** Do the bytes in the kernel equal the bytes derived for `key`? `unverifiable` when the fleet key is not at hand. */
  readonly bytes: "match" | "mismatch" | "unverifiable";
  /** Packets that passed the SA: decrypted (in) or encrypted (out). */
  readonly packets: number;
  /** Highest sequence number sent or received, 64 bits with ESN; a number, exact to 2^53. */
  readonly sequence: number;
  /** Only shown. Absent where the dataplane does not count it. */
  readonly use?: SaUse;
}

export interface SaUse {
  /** Of the packets that passed, as the dataplane counts them. */
  readonly octets: number;
  /** Since the last packet; null where none passed, or the dataplane does not say (a kernel before 6.2). */
  readonly idleMs: number | null;
  /** Sequence numbers of 64 bits, and not of 32. */
  readonly esn: boolean;
}

/** Of all sequence numbers that an SA has, 0 to 1. One without any left sends nothing (RFC 4303, 3.3.3). */
export function sequenceShare(sequence: number, esn: boolean): number {
  return sequence / 2 ** (esn ? 64 : 32);
}

/** A policy of ours as read from the kernel. */
export interface PolicyView {
  readonly slot: PolicySlot;
  readonly action: PolicyAction;
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one === other || (one.address === other.address && one.udpPort === other.udpPort);
}

export function endpointKey(endpoint: Endpoint): string {
  return endpoint.udpPort === null ? endpoint.address : `${endpoint.address}#${endpoint.udpPort}`;
}

export function saSlotKey(slot: SaSlot): string {
  return `${slot.direction} ${slot.spi} ${endpointKey(slot.remote)}`;
}

export function policySlotKey(slot: PolicySlot): string {
  const from = slot.local === undefined ? "" : ` ${slot.local}`;
  return `${slot.direction} ${slot.family}${from} ${endpointKey(slot.remote)}`;
}

export function sameKeyRef(one: KeyRef | null, other: KeyRef | null): boolean {
  if (one === null || other === null) return one === other;
  return (
    one.keyId === other.keyId &&
    one.family === other.family &&
    one.mode === other.mode &&
    sameKeyEnd(one.from, other.from) &&
    sameKeyEnd(one.to, other.to)
  );
}

export function sameKeyEnd(one: KeyEnd | null, other: KeyEnd | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  return one.name === other.name && one.index === other.index && one.incarnationId === other.incarnationId;
}

export function saSlotOf(sa: SaSpec): SaSlot {
  return { direction: sa.direction, spi: sa.spi, remote: sa.direction === "in" ? sa.source : sa.destination };
}

/** The slot that an operation is about, SA and policy slots apart. */
export function operationSlotKey(operation: Operation): string {
  switch (operation.kind) {
    case "install-sa":
      return saSlotKey(saSlotOf(operation.sa));
    case "delete-sa":
      return saSlotKey(operation.slot);
    case "set-policy":
      return policySlotKey(policySlotOf(operation.policy));
    case "delete-policy":
      return policySlotKey(operation.policy);
  }
}

/** Of a policy, without what it does. */
export function policySlotOf({ direction, family, local, remote }: PolicySlot): PolicySlot {
  return local === undefined ? { direction, family, remote } : { direction, family, local, remote };
}

export function sameAction(one: PolicyAction, other: PolicyAction): boolean {
  if (one.kind !== other.kind || outerOf(one) !== outerOf(other)) return false;
  return one.kind !== "protect" || (other.kind === "protect" && one.spi === other.spi);
}

/** The peer's address of a tunnel, undefined for what has none. */
export function outerOf(action: PolicyAction): string | undefined {
  return "outer" in action ? action.outer : undefined;
}
