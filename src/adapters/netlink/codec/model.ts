/**
 * SAs and policies as the kernel's interface knows them, not as the fleet does: no nodes, no key
 * ids. What goes in is what Spindle makes; what comes out may be anybody's, so that it says more.
 */
import type { actionNumber, addressFamilyNumber, directionNumber, modeNumber } from "./constants.js";

export type Family = keyof typeof addressFamilyNumber;
export type Mode = keyof typeof modeNumber;
export type PolicyDirection = keyof typeof directionNumber;
export type PolicyVerdict = keyof typeof actionNumber;

export interface UdpPorts {
  readonly source: number;
  readonly destination: number;
}

/** An ESP SA with `rfc4106(gcm(aes))`. Its key bytes travel beside it. */
export interface XfrmSa {
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly spi: number;
  readonly mode: Mode;
  readonly reqid: number;
  /** Of a VTI-like interface; null for none. */
  readonly ifId: number | null;
  /** In packets, 0 for none. */
  readonly replayWindow: number;
  readonly esn: boolean;
  /** ESP in UDP (RFC 3948), null for protocol 50. */
  readonly encapsulation: UdpPorts | null;
}

/** What the kernel looks an SA up by. */
export interface XfrmSaId {
  readonly family: Family;
  readonly destination: string;
  readonly spi: number;
}

export interface Prefix {
  readonly address: string;
  readonly length: number;
}

/** One port, or all of them. For ICMP the source port is the type (RFC 4301, 4.4.1.1). */
export type PortMatch = number | "any";

export interface XfrmSelector {
  readonly family: Family;
  readonly source: Prefix;
  readonly destination: Prefix;
  /** IP protocol number, 0 for all. */
  readonly protocol: number;
  readonly sourcePort: PortMatch;
  readonly destinationPort: PortMatch;
}

export interface XfrmTemplate {
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  /** Null takes any SA with the reqid, addresses and mode. */
  readonly spi: number | null;
  readonly reqid: number;
  readonly mode: Mode;
  /** `level use`: a packet without this transformation is accepted too. */
  readonly optional: boolean;
}

/** What a policy is found by; one with an `if_id` is another policy. */
export interface XfrmPolicySlot {
  readonly direction: PolicyDirection;
  readonly selector: XfrmSelector;
  readonly ifId: number | null;
}

/** A policy that allows needs every packet transformed by its templates; without any it lets plaintext pass. */
export interface XfrmPolicy extends XfrmPolicySlot {
  readonly verdict: PolicyVerdict;
  /** Lower is looked at first. */
  readonly priority: number;
  readonly templates: readonly XfrmTemplate[];
}

export interface ListedSa {
  readonly family: Family;
  readonly source: string;
  readonly destination: string;
  readonly spi: number;
  readonly protocol: number;
  /** Null for a mode that Spindle does not use. */
  readonly mode: Mode | null;
  readonly reqid: number;
  readonly ifId: number | null;
  readonly hasMark: boolean;
  readonly replayWindow: number;
  readonly esn: boolean;
  readonly encapsulation: (UdpPorts & { readonly type: number }) | null;
  /** Null for another kind of cipher. */
  readonly aead: ListedAead | null;
  /** Packets and bytes that passed. */
  readonly packets: number;
  readonly bytes: number;
  /** The first and the last packet, in seconds of the epoch: 0 for none, null where a kernel before 6.2 does not say. */
  readonly firstUsedAt: number;
  readonly lastUsedAt: number | null;
  /** Highest sequence numbers received and sent; numbers, exact to 2^53. */
  readonly receivedSequence: number;
  readonly sentSequence: number;
}

export interface ListedAead {
  readonly name: string;
  readonly icvBits: number;
  /** A view of the received bytes: gone when the buffer is wiped or reused. */
  readonly key: Uint8Array;
}

export interface ListedPolicy {
  readonly direction: PolicyDirection;
  readonly selector: XfrmSelector;
  readonly verdict: PolicyVerdict;
  readonly priority: number;
  readonly index: number;
  readonly ifId: number | null;
  readonly hasMark: boolean;
  readonly templates: readonly ListedTemplate[];
}

export interface ListedTemplate extends Omit<XfrmTemplate, "mode"> {
  readonly protocol: number;
  readonly mode: Mode | null;
}

/** What a notification group tells. Key bytes are views of the received bytes, as in `ListedAead`. */
export type Notification =
  | { readonly kind: "sa-added" | "sa-updated" | "sa-deleted"; readonly sa: ListedSa }
  | { readonly kind: "sa-expired"; readonly sa: ListedSa; readonly hard: boolean }
  | {
      readonly kind: "policy-added" | "policy-updated" | "policy-deleted";
      readonly policy: ListedPolicy;
    }
  | { readonly kind: "policy-expired"; readonly policy: ListedPolicy; readonly hard: boolean }
  | { readonly kind: "sas-flushed" | "policies-flushed" };
