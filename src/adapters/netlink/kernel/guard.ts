/**
 * The policies of `require` that do not depend on any peer (S3): over a set of CIDRs everything that
 * no peer's policy protects is blocked, in, out and forwarded. Before them comes what must never need
 * the key that it repairs or the neighbour that it finds: listed control ports, ICMPv6 neighbour
 * discovery, DHCP, and the node with itself.
 */
import type { AddressFamily, NodeAddresses } from "../../../core/node.js";
import { parseCidr } from "../../cidr.js";
import type { PolicyDirection, Prefix, XfrmPolicy, XfrmSelector } from "../codec/model.js";
import { blockPriority, bypassPriority, type Ownership } from "./ownership.js";

export interface Guard {
  /** Canonical, without host bits; neither need contain a node. */
  readonly cidrs: readonly Prefix[];
  /** Of services that agents and operators need: passed in both directions and families. */
  readonly bypassTcpPorts: readonly number[];
}

const protocol = { tcp: 6, udp: 17, icmpv6: 58 } as const;
/** Router and neighbour solicitation and advertisement, redirect (RFC 4861). */
const discoveryTypes = [133, 134, 135, 136, 137] as const;
/** RFC 2131 and RFC 8415. */
const dhcpPorts: Record<AddressFamily, readonly number[]> = { ipv4: [67, 68], ipv6: [546, 547] };
const families = ["ipv4", "ipv6"] as const;

/** Those that pass come first: whoever installs them in this order never cuts itself off. */
export function guardPolicies(
  { cidrs, bypassTcpPorts }: Guard,
  addresses: NodeAddresses,
  { priority }: Ownership,
): readonly XfrmPolicy[] {
  if (cidrs.length === 0) return [];
  const passing = families.flatMap((family) => [
    ...ownTraffic(addresses, family),
    ...bypassTcpPorts.flatMap((port) => tcpSelectors(family, port)),
    ...dhcpPorts[family].map((port) => ({ ...anything(family), protocol: protocol.udp, destinationPort: port })),
  ]);
  // For ICMP the source port is the type (RFC 4301, 4.4.1.1).
  const discovery = discoveryTypes.map((type) => ({ ...anything("ipv6"), protocol: protocol.icmpv6, sourcePort: type }));
  return [
    ...[...passing, ...discovery].flatMap((selector) => passBothWays(selector, priority)),
    ...forwardedTraffic(addresses, cidrs, priority),
    ...cidrs.flatMap((cidr) => blockCidr(cidr, priority)),
  ];
}

/** Selects every packet of a family. */
export function anything(family: AddressFamily): XfrmSelector {
  const everywhere = { address: family === "ipv4" ? "0.0.0.0" : "::", length: 0 };
  return {
    family,
    source: everywhere,
    destination: everywhere,
    protocol: 0,
    sourcePort: "any",
    destinationPort: "any",
  };
}

/** Of the node with itself, and with and between the networks behind it. */
function ownTraffic(addresses: NodeAddresses, family: AddressFamily): readonly XfrmSelector[] {
  const address = addresses[family];
  const own = address === null ? [] : [{ address, length: family === "ipv4" ? 32 : 128 }];
  const all = [...own, ...networksOf(addresses).filter((one) => isOf(family, one))];
  return all.flatMap((source) => all.map((destination) => ({ ...anything(family), source, destination })));
}

/**
 * What the node forwards for its networks, in tunnel mode, meets two policies, forward and out. Between them it passes. To a CIDR
 * it comes through the first and leaves only where a peer's outbound policy protects it; from one it comes only where a peer's
 * forward policy saw it decrypted, and passes the second.
 */
function forwardedTraffic(addresses: NodeAddresses, cidrs: readonly Prefix[], base: number): readonly XfrmPolicy[] {
  if (addresses.cidrs === undefined) return [];
  const between = families.flatMap((family) => ownTraffic(addresses, family));
  const ways = families.flatMap((family) => {
    const [own, others] = [networksOf(addresses), cidrs].map((all) => all.filter((one) => isOf(family, one))) as [Prefix[], Prefix[]];
    return own.flatMap((network) => others.map((cidr) => ({ family, network, cidr })));
  });
  return [
    ...between.map((selector) => pass(selector, "forward", base)),
    ...ways.flatMap(({ family, network, cidr }) => [
      pass({ ...anything(family), source: network, destination: cidr }, "forward", base),
      pass({ ...anything(family), source: cidr, destination: network }, "out", base),
    ]),
  ];
}

function networksOf({ cidrs = [] }: NodeAddresses): readonly Prefix[] {
  return cidrs.map(parseCidr).filter((one) => one !== null);
}

function isOf(family: AddressFamily, { address }: Prefix): boolean {
  return address.includes(":") === (family === "ipv6");
}

/** Requests and answers. */
function tcpSelectors(family: AddressFamily, port: number): readonly XfrmSelector[] {
  const base = { ...anything(family), protocol: protocol.tcp };
  return [
    { ...base, destinationPort: port },
    { ...base, sourcePort: port },
  ];
}

function passBothWays(selector: XfrmSelector, base: number): readonly XfrmPolicy[] {
  return [pass(selector, "out", base), pass(selector, "in", base)];
}

function pass(selector: XfrmSelector, direction: PolicyDirection, base: number): XfrmPolicy {
  return { direction, selector, ifId: null, verdict: "allow", priority: base + bypassPriority, templates: [] };
}

/** What is forwarded and leaves meets the outbound policies too (net/xfrm/xfrm_policy.c, __xfrm_route_forward). */
function blockCidr(cidr: Prefix, base: number): readonly XfrmPolicy[] {
  const everything = anything(cidr.address.includes(":") ? "ipv6" : "ipv4");
  const rest = { ifId: null, verdict: "block", priority: base + blockPriority, templates: [] } as const;
  const [to, from] = [{ ...everything, destination: cidr }, { ...everything, source: cidr }];
  return [
    { direction: "out", selector: to, ...rest },
    { direction: "in", selector: from, ...rest },
    { direction: "forward", selector: from, ...rest },
  ];
}
