/** Checks of sizes: what ESP adds must fit, on the way to a peer and below an overlay. */
import { modeOf } from "../../core/node.js";
import type { Facts, Link, NodeFacts, PeerFacts, PeerPath } from "./facts.js";
import { fine, finding, type Check, type Finding } from "./finding.js";

export const sizeChecks: readonly Check[] = [mtu, overlays];

/**
 * ESP in transport mode with `rfc4106(gcm(aes))`: header 8, IV 8, padding up to 3, trailer 2, ICV 16
 * (RFC 4303, RFC 4106).
 */
export const espOverheadBytes = 37;
const udpHeaderBytes = 8;
/** Without options and extensions. In a tunnel a packet keeps its own, and gets the peer's address in another. */
const ipHeaderBytes = { ipv4: 20, ipv6: 40 } as const;
/**
 * What an overlay adds, with IPv6 outside: outer IP, then UDP, its own header and the inner Ethernet header (VXLAN,
 * Geneve), a GRE header, or UDP and WireGuard's header and tag.
 */
const overlayOverheadBytes = { vxlan: 70, geneve: 70, ipip: 20, sit: 20, gre: 24, ip6tnl: 40, ip6gre: 44, wireguard: 80 } as const;
/** Devices that packets leave the host by. */
const carrierKinds: ReadonlySet<string | null> = new Set([null, "veth", "vlan", "bond", "team", "macvlan", "ipvlan", "virt_wifi"]);
/** RFC 8200, 5. */
const ipv6MtuMin = 1_280;

/** What is left of the path for a packet, which goes inside ESP. */
function room({ pathMtu }: PeerPath, { address, udpPort }: PeerFacts, node: NodeFacts | null): number {
  const isTunnel = node !== null && modeOf(node.addresses) === "tunnel";
  const outerBytes = isTunnel ? ipHeaderBytes[address.includes(":") ? "ipv6" : "ipv4"] : 0;
  return pathMtu - outerBytes - espOverheadBytes - (udpPort === null ? 0 : udpHeaderBytes);
}

function mtu({ peer, node }: Facts): readonly Finding[] {
  if (peer === null || peer.path === null) return [];
  const { routeMtu, pathMtu, answer } = peer.path;
  const left = room(peer.path, peer, node);
  if (peer.address.includes(":") && left < ipv6MtuMin) {
    const todo = `raise the MTU on the way to at least ${ipv6MtuMin + pathMtu - left}`;
    return [finding("mtu", "obstacle", `${pathMtu} bytes leave ${left} inside ESP, and IPv6 needs ${ipv6MtuMin}`, todo)];
  }
  if (pathMtu < routeMtu) {
    const todo = `set the MTU of the route or device to ${pathMtu}, so that no packet has to be refused on the way first`;
    return [finding("mtu", "warning", `the device takes ${routeMtu} bytes, the path only ${pathMtu}`, todo)];
  }
  const what = `${pathMtu} bytes, ${left} of them inside ESP`;
  if (answer === "refused") return fine("mtu", what);
  const todo = `see that packets of ${pathMtu} bytes pass, and that ICMP "too big" comes back: ping -M do -s ${pathMtu - 28} ${peer.address}`;
  return [finding("mtu", "unknown", `${what}, as far as this host knows: nobody answered a packet of that size`, todo)];
}

/** An overlay's packets do not shrink by themselves: they are fragmented, or dropped where that is forbidden. */
function overlays({ links, peer, node }: Facts): readonly Finding[] {
  const plain = links.filter(({ kind, isUp, name }) => carrierKinds.has(kind) && isUp && name !== "lo");
  const port = peer?.udpPort ?? node?.addresses.udpPort ?? null;
  const outer = peer?.path?.pathMtu ?? Math.min(...plain.map((link) => link.mtu));
  if (!Number.isFinite(outer)) return [];
  return links.filter((link) => link.isUp).filter(isOverlay).flatMap((link) => {
    const most = outer - espOverheadBytes - (port === null ? 0 : udpHeaderBytes) - overlayOverheadBytes[link.kind];
    if (link.mtu <= most) return fine(`overlay ${link.name}`, `MTU ${link.mtu} fits into ${outer} with ESP`);
    const what = `MTU ${link.mtu} of ${link.kind} does not fit into ${outer} bytes with ESP`;
    return [finding(`overlay ${link.name}`, "warning", what, `set the MTU of ${link.name} to ${most} or less`)];
  });
}

function isOverlay(link: Link): link is Link & { readonly kind: keyof typeof overlayOverheadBytes } {
  return link.kind !== null && Object.hasOwn(overlayOverheadBytes, link.kind);
}
