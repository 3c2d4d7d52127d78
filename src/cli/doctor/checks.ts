/**
 * Judges what was gathered: each check is a function of the facts, and each finding says what to do. An
 * obstacle keeps the agent from doing its work on this host; a warning may cost packets.
 */
import { remedyFor } from "../../adapters/netlink/codec/errno.js";
import type { AddressFamily } from "../../core/node.js";
import type { Facts, Link, PeerPath } from "./facts.js";

export type Level = "ok" | "warning" | "obstacle";

export interface Finding {
  readonly check: string;
  readonly level: Level;
  readonly what: string;
  /** Null when all is well. */
  readonly todo: string | null;
}

type Check = (facts: Facts) => readonly Finding[];

const families: readonly AddressFamily[] = ["ipv4", "ipv6"];

/**
 * ESP in transport mode with `rfc4106(gcm(aes))`: header 8, IV 8, padding up to 3, trailer 2, ICV 16
 * (RFC 4303, RFC 4106).
 */
export const espOverheadBytes = 37;
const udpHeaderBytes = 8;
/** Outer IPv4 or IPv6, UDP, the overlay's own header and the inner Ethernet header, with IPv6 outside. */
const overlayOverheadBytes = { vxlan: 70, geneve: 70 } as const;
/** RFC 8200, 5. */
const ipv6MtuMin = 1_280;
const sequenceShareMax = 0.75;

export const checks: readonly Check[] = [
  platform,
  privileges,
  esp,
  xfrmStat,
  otherPrograms,
  otherEntries,
  ownAddresses,
  udpPort,
  reversePath,
  sequenceSpace,
  route,
  source,
  answer,
  packetsBack,
  mtu,
  overlays,
];

export function diagnose(facts: Facts): readonly Finding[] {
  return checks.flatMap((check) => check(facts));
}

function fine(check: string, what: string): readonly Finding[] {
  return [{ check, level: "ok", what, todo: null }];
}

function finding(check: string, level: "warning" | "obstacle", what: string, todo: string): Finding {
  return { check, level, what, todo };
}

function platform({ platform: name, kernel }: Facts): readonly Finding[] {
  if (name === "linux") return fine("platform", `Linux ${kernel}`);
  return [finding("platform", "obstacle", `${name} has no XFRM`, "run the agent on Linux, or use dataplane.kind userspace")];
}

function privileges({ hasNetAdmin }: Facts): readonly Finding[] {
  if (hasNetAdmin === null) return [];
  if (hasNetAdmin) return fine("privileges", "this user may program the network (CAP_NET_ADMIN)");
  return [finding("privileges", "obstacle", "CAP_NET_ADMIN is missing", remedyFor("EPERM") ?? "")];
}

function esp({ esp: attempts, hasNetAdmin }: Facts): readonly Finding[] {
  if (hasNetAdmin === false) return [];
  return families.flatMap((family) => {
    const attempt = attempts[family];
    const check = `esp ${family}`;
    if (attempt.ok) return fine(check, "an SA with rfc4106(gcm(aes)) and extended sequence numbers can be made");
    const todo = remedyFor(attempt.code) ?? "see docs/reference/errors.md";
    return [finding(check, "obstacle", `${attempt.code}: ${attempt.message}`, todo)];
  });
}

function xfrmStat({ hasXfrmStat }: Facts): readonly Finding[] {
  if (hasXfrmStat) return fine("counters", "/proc/net/xfrm_stat");
  const todo = "use a kernel built with CONFIG_XFRM_STATISTICS";
  return [finding("counters", "obstacle", "/proc/net/xfrm_stat is missing", todo)];
}

function otherPrograms({ programs, tables }: Facts): readonly Finding[] {
  if ((tables?.ciliumSas ?? 0) > 0) {
    const todo = "switch Cilium's encryption off (enable-ipsec: false) before Spindle takes its place";
    return [finding("other IPsec", "obstacle", "Cilium encrypts here, and deletes the SAs of others", todo)];
  }
  if (programs.length === 0) return fine("other IPsec", "no other program is known to do IPsec here");
  const todo = "see that it leaves SAs and policies of others alone, and that its policies cover other traffic";
  return [finding("other IPsec", "warning", `${programs.join(", ")} runs here`, todo)];
}

function otherEntries({ tables }: Facts): readonly Finding[] {
  if (tables === null) return [];
  const { foreignSas, foreignPolicies, covering } = tables;
  if (covering.length > 0) {
    const todo = "remove it, or give it a priority above 0x53500000: a lower number is looked at first";
    return covering.map((policy) => finding("other policies", "obstacle", `${policy} comes before ours`, todo));
  }
  return fine("other policies", `${foreignSas} SAs and ${foreignPolicies} policies of others, which are left alone`);
}

function ownAddresses({ node }: Facts): readonly Finding[] {
  if (node === null) return [];
  const { addresses, local } = node;
  return families.flatMap((family) => {
    const address = addresses[family];
    if (address === null) return [];
    if (local.includes(address)) return fine(`address ${family}`, `${address} is this host's`);
    const todo = `correct node.addresses.${family}, or add the address to a device`;
    return [finding(`address ${family}`, "obstacle", `no device of this host has ${address}`, todo)];
  });
}

function udpPort({ node }: Facts): readonly Finding[] {
  const port = node?.addresses.udpPort ?? null;
  if (node === null || port === null) return [];
  if (!node.isPortTaken) return fine("udp port", `UDP ${port} is free, or ours`);
  const todo = "stop the other program (an IKE daemon has 4500), or change node.udpPort in the whole fleet";
  return [finding("udp port", "obstacle", `another program has UDP ${port}`, todo)];
}

function reversePath({ strictReversePath }: Facts): readonly Finding[] {
  if (strictReversePath.length === 0) return fine("reverse path", "no strict filter");
  const where = strictReversePath.join(", ");
  const todo = "if packets of a peer can arrive at another device than the one its route names, set rp_filter to 2";
  return [finding("reverse path", "warning", `rp_filter is strict on ${where}`, todo)];
}

/** With 64 bits no SA of a fleet that rotates comes near the end. */
function sequenceSpace({ tables }: Facts): readonly Finding[] {
  const highest = tables?.highest ?? null;
  if (highest === null) return [];
  const { spi, sequence, esn } = highest;
  const share = sequence / 2 ** (esn ? 64 : 32);
  if (share < sequenceShareMax) return fine("sequence numbers", `${sequence} at most, on ${spi}`);
  const todo = "rotate now: an SA without a sequence number left sends nothing";
  return [finding("sequence numbers", "warning", `${spi} has used ${Math.floor(100 * share)} % of its numbers`, todo)];
}

function route({ peer }: Facts): readonly Finding[] {
  if (peer === null) return [];
  if (peer.path !== null) return fine("route", `${peer.address} is reached from ${peer.path.source}`);
  if (peer.isForbidden) {
    const todo = "spindle status says why the pair is blocked; a policy of another program or a local firewall can be the reason too";
    return [finding("route", "obstacle", `this host lets no packet out to ${peer.address}`, todo)];
  }
  return [finding("route", "obstacle", `there is no route to ${peer.address}`, "add one, or correct the address")];
}

function source({ peer, node }: Facts): readonly Finding[] {
  if (peer === null || peer.path === null || node === null) return [];
  const own = peer.address.includes(":") ? node.addresses.ipv6 : node.addresses.ipv4;
  const from = peer.path.source;
  if (own === null) {
    const todo = "give both nodes an address of one family in node.addresses";
    return [finding("source", "obstacle", `this node has no address of the family of ${peer.address}`, todo)];
  }
  if (own === from) return fine("source", `packets leave from ${from}, the node's address`);
  const what = `packets to ${peer.address} leave from ${from}, and the node's address is ${own}: no policy covers them`;
  return [finding("source", "obstacle", what, `set node.addresses to ${from}, or the route's source to ${own}`)];
}

function answer({ peer }: Facts): readonly Finding[] {
  if (peer === null || peer.path === null) return [];
  const { address, udpPort: port } = peer;
  switch (peer.path.answer) {
    case "refused": {
      if (port === null) return fine("peer", `${address} answers`);
      const todo = "start its agent with dataplane.encapsulation udp and the same node.udpPort";
      return [finding("peer", "obstacle", `nothing takes ESP out of UDP ${port} at ${address}`, todo)];
    }
    case "unreachable": {
      const todo = "see that it is up, and that no firewall on the way rejects its packets";
      return [finding("peer", "obstacle", `${address} cannot be reached`, todo)];
    }
    case "none":
      return fine("peer", `nobody on the way rejects packets to ${address}`);
  }
}

function packetsBack({ peer, tables }: Facts): readonly Finding[] {
  const packets = tables?.peerPackets ?? null;
  if (peer === null || packets === null) return [];
  const { sent, received } = packets;
  if (sent === 0 || received > 0) return fine("packets", `${sent} encrypted packets to the peer, ${received} from it`);
  const carrier = peer.udpPort === null ? "IP protocol 50" : `UDP ${peer.udpPort}`;
  const more = peer.udpPort === null ? "; where that cannot be, use dataplane.encapsulation udp in the whole fleet" : "";
  const what = `${sent} encrypted packets went to ${peer.address}, and none came from it`;
  return [finding("packets", "warning", what, `let ${carrier} pass in both directions between the nodes${more}`)];
}

/** What is left of the path for a packet inside ESP. */
function room({ pathMtu }: PeerPath, port: number | null): number {
  return pathMtu - espOverheadBytes - (port === null ? 0 : udpHeaderBytes);
}

function mtu({ peer }: Facts): readonly Finding[] {
  if (peer === null || peer.path === null) return [];
  const { routeMtu, pathMtu } = peer.path;
  const left = room(peer.path, peer.udpPort);
  if (peer.address.includes(":") && left < ipv6MtuMin) {
    const todo = `raise the MTU on the way to at least ${ipv6MtuMin + pathMtu - left}`;
    return [finding("mtu", "obstacle", `${pathMtu} bytes leave ${left} inside ESP, and IPv6 needs ${ipv6MtuMin}`, todo)];
  }
  if (pathMtu < routeMtu) {
    const todo = `set the MTU of the route or device to ${pathMtu}, so that no packet has to be refused on the way first`;
    return [finding("mtu", "warning", `the device takes ${routeMtu} bytes, the path only ${pathMtu}`, todo)];
  }
  return fine("mtu", `${pathMtu} bytes, ${left} of them inside ESP`);
}

/** An overlay's packets do not shrink by themselves: they are fragmented, or dropped where that is forbidden. */
function overlays({ links, peer, node }: Facts): readonly Finding[] {
  const plain = links.filter(({ kind, isUp, name }) => kind === null && isUp && name !== "lo");
  const port = peer?.udpPort ?? node?.addresses.udpPort ?? null;
  const outer = peer?.path?.pathMtu ?? Math.min(...plain.map((link) => link.mtu));
  if (!Number.isFinite(outer)) return [];
  return links.filter(isOverlay).flatMap((link) => {
    const most = outer - espOverheadBytes - (port === null ? 0 : udpHeaderBytes) - overlayOverheadBytes[link.kind];
    if (link.mtu <= most) return fine(`overlay ${link.name}`, `MTU ${link.mtu} fits into ${outer} with ESP`);
    const what = `MTU ${link.mtu} of ${link.kind} does not fit into ${outer} bytes with ESP`;
    return [finding(`overlay ${link.name}`, "warning", what, `set the MTU of ${link.name} to ${most} or less`)];
  });
}

function isOverlay(link: Link): link is Link & { readonly kind: keyof typeof overlayOverheadBytes } {
  return link.kind !== null && Object.hasOwn(overlayOverheadBytes, link.kind);
}
