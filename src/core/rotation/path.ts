/** The addresses between two nodes, and the SAs and policies that belong on them. */
import type { KeyId } from "../key-id.js";
import type { AddressFamily, RosterEntry } from "../node.js";
import { endsOf } from "../node-ends.js";
import type {
  Direction,
  Endpoint,
  KeyEnd,
  Operation,
  PolicyAction,
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

export function isCommon(self: RosterEntry, peer: RosterEntry, family: AddressFamily): boolean {
  return self.addresses[family] !== null && peer.addresses[family] !== null;
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
    key: { keyId, from: endsOf(sender).key, to: endsOf(receiver).key, family: path.family, mode: "transport" },
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
): HeldPolicy | undefined {
  for (const policy of policies) {
    if (policy.direction === direction && policy.family === family && isAt(policy.remote, peer, family)) return policy;
  }
  return undefined;
}

/** @param action null for no policy */
export function policyTo(peer: RosterEntry, path: Path, direction: Direction, action: PolicyAction | null): Operation {
  const { family, remote } = path;
  if (action === null) return { kind: "delete-policy", policy: { direction, family, remote } };
  return { kind: "set-policy", policy: { direction, peer: peer.name, family, remote, action } };
}
