/**
 * The addresses between two nodes, and the SAs and policies that belong on them. There is one path for each address family
 * and, in tunnel mode, for each pair of networks and one for probes: those of one family have a policy each and share their SAs.
 */
import type { KeyId } from "../key-id.js";
import { modeOf, type AddressFamily, type RosterEntry } from "../node.js";
import { endsOf } from "../node-ends.js";
import type {
  Direction,
  Endpoint,
  KeyEnd,
  Operation,
  PolicyAction,
  PolicySlot,
  SaSpec,
} from "../sa.js";
import { isSentBy, spiOf, type Spi } from "../spi.js";
import type { Context } from "./context.js";
import type { HeldPolicy, HeldSa } from "./held.js";
import type { PeerKernel } from "./observation.js";

export const families: readonly AddressFamily[] = ["ipv4", "ipv6"];

/** One address family that both ends have. */
export interface Path {
  readonly family: AddressFamily;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/**
 * The networks at both ends of a path, in tunnel mode; both nodes' addresses, without a length, for the path of probes, which are
 * in no network. Null in transport mode, where there is one path between the addresses themselves.
 */
export type Networks = { readonly local: string; readonly remote: string } | null;

const betweenAddresses: readonly Networks[] = [null];
const nowhere: readonly Networks[] = [];

/** The paths by one family, each by its networks; none when the two have nothing in common, or are of different modes. */
export function networksBetween(
  self: Pick<RosterEntry, "addresses">,
  peer: Pick<RosterEntry, "addresses">,
  family: AddressFamily,
): readonly Networks[] {
  const [local, remote] = [self.addresses[family], peer.addresses[family]];
  if (local === null || remote === null) return nowhere;
  const ours = self.addresses.cidrs;
  const theirs = peer.addresses.cidrs;
  if (ours === undefined || theirs === undefined) return ours === theirs ? betweenAddresses : nowhere;
  const pairs = pairsOf(ours, theirs, family);
  return pairs.length === 0 ? nowhere : [...pairs, { local, remote }];
}

function pairsOf(ours: readonly string[], theirs: readonly string[], family: AddressFamily): readonly NonNullable<Networks>[] {
  const isOfFamily = (cidr: string): boolean => cidr.includes(":") === (family === "ipv6");
  const remotes = theirs.filter(isOfFamily);
  return ours.filter(isOfFamily).flatMap((local) => remotes.map((remote) => ({ local, remote })));
}

export function isCommon(self: RosterEntry, peer: RosterEntry, family: AddressFamily): boolean {
  return networksBetween(self, peer, family).length > 0;
}

/** Null for a family that the two have not in common. */
export function pathBetween(self: RosterEntry, peer: RosterEntry, family: AddressFamily): Path | null {
  const local = endsOf(self)[family];
  const remote = endsOf(peer)[family];
  return local === null || remote === null ? null : { family, local, remote };
}

/** Is `remote` where `peer` is reached by `family`? */
export function isAt(remote: Endpoint, peer: RosterEntry, family: AddressFamily): boolean {
  return remote.address === peer.addresses[family] && remote.udpPort === peer.addresses.udpPort;
}

/** Its SPI names the sender of an SA. */
export function senderSpi(context: Pick<Context, "self">, peer: RosterEntry, direction: Direction, keyId: KeyId): Spi {
  const sender = direction === "out" ? context.self : peer;
  return spiOf(keyId, sender.index, sender.incarnationNumber);
}

export function isOfSender(context: Pick<Context, "self">, peer: RosterEntry, direction: Direction, spi: Spi): boolean {
  const sender = direction === "out" ? context.self : peer;
  return isSentBy(spi, sender.index, sender.incarnationNumber);
}

/** The SA that belongs on `path`. Its key is bound to both ends and their incarnations. */
export function saSpec(
  context: Pick<Context, "self">,
  peer: RosterEntry,
  path: Path,
  direction: Direction,
  keyId: KeyId,
): SaSpec {
  const sender = direction === "out" ? context.self : peer;
  const receiver = direction === "out" ? peer : context.self;
  return {
    direction,
    spi: senderSpi(context, peer, direction, keyId),
    source: direction === "out" ? path.local : path.remote,
    destination: direction === "out" ? path.remote : path.local,
    key: { keyId, from: endsOf(sender).key, to: endsOf(receiver).key, family: path.family, mode: modeOf(context.self.addresses) },
  };
}

/** What is in the slot of `peer` and `spi`, whether or not it is the right SA. */
export function findSa(
  sas: readonly HeldSa[],
  direction: Direction,
  spi: Spi,
  peer: RosterEntry,
  family: AddressFamily,
): HeldSa | undefined {
  for (const sa of sas) if (sa.spi === spi && sa.direction === direction && isAt(sa.remote, peer, family)) return sa;
  return undefined;
}

/** The SA of `keyId` towards or from `peer`, if it is there and right. */
export function hasSa(
  context: Pick<Context, "self">,
  peer: RosterEntry,
  kernel: PeerKernel,
  family: AddressFamily,
  direction: Direction,
  keyId: KeyId,
): boolean {
  const found = findSa(kernel.sas, direction, senderSpi(context, peer, direction, keyId), peer, family);
  return found !== undefined && isRight(found, context, peer);
}

/** Is what was found in its slot the SA that `saSpec` describes? */
export function isRight({ direction, from, to, isIntact }: HeldSa, context: Pick<Context, "self">, peer: RosterEntry): boolean {
  const sender = direction === "out" ? context.self : peer;
  const receiver = direction === "out" ? peer : context.self;
  return isIntact && isEnd(from, sender) && isEnd(to, receiver);
}

function isEnd(end: KeyEnd | null, entry: RosterEntry): boolean {
  return end?.incarnationId === entry.incarnationId && end.name === entry.name && end.index === entry.index;
}

export function findPolicy(
  policies: readonly HeldPolicy[],
  direction: Direction,
  peer: RosterEntry,
  family: AddressFamily,
  networks: Networks,
): HeldPolicy | undefined {
  for (const policy of policies) {
    if (policy.direction === direction && isOn(policy, peer, family, networks)) return policy;
  }
  return undefined;
}

/** Is it a policy of the path by `family` between these networks? */
export function isOn(policy: PolicySlot, peer: RosterEntry, family: AddressFamily, networks: Networks): boolean {
  if (policy.family !== family || policy.local !== networks?.local) return false;
  return networks === null ? isAt(policy.remote, peer, family) : policy.remote.address === networks.remote;
}

/** @param action as at its level, null for no policy; in tunnel mode it says besides where the peer is */
export function policyTo(
  peer: RosterEntry,
  { family, remote }: Path,
  networks: Networks,
  direction: Direction,
  action: PolicyAction | null,
): Operation {
  if (networks === null) {
    if (action === null) return { kind: "delete-policy", policy: { direction, family, remote } };
    return { kind: "set-policy", policy: { direction, family, remote, peer: peer.name, action } };
  }
  const { local } = networks;
  const network = farEnd(networks, remote);
  if (action === null) return { kind: "delete-policy", policy: { direction, family, local, remote: network } };
  const leading = throughTunnel(action, remote);
  return { kind: "set-policy", policy: { direction, family, local, remote: network, peer: peer.name, action: leading } };
}

/** A network has no port. */
function farEnd(networks: NonNullable<Networks>, remote: Endpoint): Endpoint {
  return networks.remote === remote.address ? remote : { address: networks.remote, udpPort: null };
}

function throughTunnel(action: PolicyAction, { address }: Endpoint): PolicyAction {
  return action.kind === "block" || action.kind === "pass" ? action : { ...action, outer: address };
}

/** Does a policy with this action lead to the peer, or take only what comes from it? */
export function leadsTo(action: PolicyAction, peer: RosterEntry, family: AddressFamily, networks: Networks): boolean {
  if (action.kind === "block" || action.kind === "pass") return true;
  return action.outer === (networks === null ? undefined : peer.addresses[family]);
}
