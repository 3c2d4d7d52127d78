/** What identifies a node and one lifetime of its dataplane, and where its packets go. */
import { fail, succeed, type Result } from "./result.js";
import { limits } from "./limits.js";
import type { IncarnationNumber, NodeIndex } from "./spi.js";

declare const brand: unique symbol;
export type NodeName = string & { readonly [brand]: "NodeName" };
/** 128 random bits, 32 hex digits; never zero (cilium #34223: impossible identities are refused). */
export type IncarnationId = string & { readonly [brand]: "IncarnationId" };
/** Logical time of the roster: the registry's revision of its last change. */
export type RosterRevision = number & { readonly [brand]: "RosterRevision" };

export type AddressFamily = "ipv4" | "ipv6";

/** Where ESP for a node is sent. `udpPort` is the UDP encapsulation port (RFC 3948), null for plain ESP. */
export interface NodeAddresses {
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly udpPort: number | null;
  /**
   * The node's networks, canonical and sorted: traffic between these is protected (tunnel mode). Absent: that between the
   * addresses themselves (transport mode).
   */
  readonly cidrs?: readonly string[];
}

export type IpsecMode = "transport" | "tunnel";

export function modeOf({ cidrs }: NodeAddresses): IpsecMode {
  return cidrs === undefined ? "transport" : "tunnel";
}

/** One admitted node. It changes only with SA-relevant fields, and `revision` is when it last did. */
export interface RosterEntry {
  readonly name: NodeName;
  readonly index: NodeIndex;
  readonly incarnationId: IncarnationId;
  readonly incarnationNumber: IncarnationNumber;
  readonly addresses: NodeAddresses;
  readonly revision: RosterRevision;
}

export const nodeNamePattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** DNS subdomain names, as Kubernetes node names are. */
export function parseNodeName(text: string): Result<NodeName, string> {
  if (text.length > limits.nodeNameLengthMax || !nodeNamePattern.test(text)) {
    return fail(`node name must be lower case letters, digits, "-" and "." (at most ${limits.nodeNameLengthMax})`);
  }
  return succeed(text as NodeName);
}

export const incarnationIdPattern = /^[0-9a-f]{32}$/;

export function parseIncarnationId(text: string): Result<IncarnationId, string> {
  if (!incarnationIdPattern.test(text) || /^0+$/.test(text)) {
    return fail("incarnation id must be 32 hex digits and not zero");
  }
  return succeed(text as IncarnationId);
}

export function sameAddresses(one: NodeAddresses, other: NodeAddresses): boolean {
  return sameEnds(one, other) && sameTexts(one.cidrs, other.cidrs);
}

/** Do SAs start and end at the same places, in the same mode? Networks behind a node change no SA. */
export function sameEnds(one: NodeAddresses, other: NodeAddresses): boolean {
  return one.ipv4 === other.ipv4 && one.ipv6 === other.ipv6 && one.udpPort === other.udpPort && modeOf(one) === modeOf(other);
}

function sameTexts(one: readonly string[] = [], other: readonly string[] = []): boolean {
  return one === other || (one.length === other.length && one.every((text, place) => text === other[place]));
}

export function sameEntry(one: RosterEntry, other: RosterEntry): boolean {
  if (one === other) return true;
  return (
    one.name === other.name &&
    one.revision === other.revision &&
    one.index === other.index &&
    one.incarnationId === other.incarnationId &&
    one.incarnationNumber === other.incarnationNumber &&
    sameAddresses(one.addresses, other.addresses)
  );
}
