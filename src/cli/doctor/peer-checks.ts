/** Checks of the way to one peer: whether packets get there, as they were sent, and come back. */
import type { Prefix } from "../../adapters/netlink/codec/model.js";
import { contains } from "../../adapters/cidr.js";
import type { Facts, Tables } from "./facts.js";
import { fine, finding, type Check, type Finding } from "./finding.js";

export const peerChecks: readonly Check[] = [route, source, answer, packets, translation];

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
    case "none": {
      const what = `nobody on the way rejects packets to ${address}, and nobody answers`;
      return [finding("peer", "unknown", what, "see `packets`: what arrives is shown by an agent's probe alone")];
    }
  }
}

/** An agent's probe is proof; SAs in use are next to it; a silence proves nothing. */
function packets({ peer, tables }: Facts): readonly Finding[] {
  if (peer === null) return [];
  const { probe, udpPort, address } = peer;
  const carrier = udpPort === null ? "IP protocol 50" : `UDP ${udpPort}`;
  const otherwise = udpPort === null ? "; where that cannot be, use dataplane.encapsulation udp in the whole fleet" : "";
  const letPass = `let ${carrier} pass in both directions between the nodes${otherwise}`;
  switch (probe.kind) {
    case "answered":
      return fine("packets", `an encrypted packet with key ${probe.keyId} was answered after ${probe.roundTripMs.toFixed(1)} ms`);
    case "failed":
      return [finding("packets", "obstacle", `an encrypted packet to ${address} was not answered: ${probe.why}`, letPass)];
    case "unknown":
      return packetsCounted(tables?.peerPackets ?? null, { address, why: probe.why, letPass });
  }
}

interface Counted {
  readonly address: string;
  readonly why: string;
  readonly letPass: string;
}

function packetsCounted(counts: Tables["peerPackets"], { address, why, letPass }: Counted): readonly Finding[] {
  if (counts !== null && counts.sent > 0 && counts.received === 0) {
    const what = `${counts.sent} encrypted packets went to ${address}, and none came from it`;
    return [finding("packets", "warning", what, letPass)];
  }
  if (counts !== null && counts.received > 0) {
    return fine("packets", `${counts.sent} encrypted packets to the peer, ${counts.received} from it`);
  }
  const todo = `start both agents, and run it again with --config; ${letPass}`;
  return [finding("packets", "unknown", `no encrypted packet was exchanged with ${address} (${why})`, todo)];
}

/** Policies are for exact addresses: a packet whose address was rewritten on the way is dropped, or passed plain. */
function translation({ peer, node }: Facts): readonly Finding[] {
  if (peer === null) return [];
  const { probe, address, path } = peer;
  const check = "address translation";
  if (probe.kind === "answered") return fine(check, `none towards ${address}: a policy for both addresses let the answer in`);
  const own = (address.includes(":") ? node?.addresses.ipv6 : node?.addresses.ipv4) ?? path?.source ?? null;
  const todo = "give nodes addresses that reach each other unchanged: a routed network, or a tunnel under this one";
  if (own !== null && isPrivate(own) !== isPrivate(address)) {
    const [inner, outer] = isPrivate(own) ? [own, address] : [address, own];
    return [finding(check, "warning", `${inner} is private and ${outer} is not: something in between rewrites addresses`, todo)];
  }
  return [finding(check, "unknown", `only a probe that is answered shows that nobody rewrites addresses (${probe.why})`, todo)];
}

/** RFC 1918, RFC 6598, RFC 4193. */
const privateNetworks: readonly Prefix[] = [
  { address: "10.0.0.0", length: 8 },
  { address: "172.16.0.0", length: 12 },
  { address: "192.168.0.0", length: 16 },
  { address: "100.64.0.0", length: 10 },
  { address: "fc00::", length: 7 },
];

function isPrivate(address: string): boolean {
  return privateNetworks.some((network) => contains(network, address));
}
