/** The addresses between two nodes, and the SAs and policies that belong on them. */
import type { KeyId } from "../key-id.js";
import type { AddressFamily, RosterEntry } from "../node.js";
import type {
  Direction,
  Endpoint,
  KeyEnd,
  Operation,
  PolicyAction,
  PolicyView,
  SaSpec,
  SaView,
} from "../sa.js";
import { isSentBy, spiOf, type Spi } from "../spi.js";
import type { Context } from "./context.js";
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
  const local = self.addresses[family];
  const remote = peer.addresses[family];
  if (local === null || remote === null) return null;
  return {
    family,
    local: { address: local, udpPort: self.addresses.udpPort },
    remote: { address: remote, udpPort: peer.addresses.udpPort },
  };
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
    key: { keyId, from: keyEnd(sender), to: keyEnd(receiver), family: path.family, mode: "transport" },
  };
}

function keyEnd(entry: RosterEntry): KeyEnd {
  return { name: entry.name, index: entry.index, incarnationId: entry.incarnationId };
}

/** What is in the slot of `peer` and `spi`, whether or not it is the right SA. */
export function findSa(
  sas: readonly SaView[],
  direction: Direction,
  spi: Spi,
  peer: RosterEntry,
  family: AddressFamily,
): SaView | undefined {
  for (const sa of sas) {
    const { slot } = sa;
    if (slot.spi === spi && slot.direction === direction && isAt(slot.remote, peer, family)) return sa;
  }
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
  return found !== undefined && isRight(found, context, peer, family, keyId);
}

/**
 * Is what was found in its slot the SA that `saSpec` describes? Equality is addresses, SPI and key, never the SPI alone
 * (design 4.1). Bytes that cannot be checked are believed.
 */
export function isRight(
  found: SaView,
  context: Pick<Context, "self">,
  peer: RosterEntry,
  family: AddressFamily,
  keyId: KeyId,
): boolean {
  const { key, bytes, slot } = found;
  if (bytes === "mismatch" || key === null) return false;
  const sender = slot.direction === "out" ? context.self : peer;
  const receiver = slot.direction === "out" ? peer : context.self;
  const isOfPath = key.keyId === keyId && key.family === family && key.mode === "transport";
  return isOfPath && isEnd(key.from, sender) && isEnd(key.to, receiver);
}

function isEnd(end: KeyEnd, entry: RosterEntry): boolean {
  return end.name === entry.name && end.index === entry.index && end.incarnationId === entry.incarnationId;
}

export function findPolicy(
  policies: readonly PolicyView[],
  direction: Direction,
  peer: RosterEntry,
  family: AddressFamily,
): PolicyView | undefined {
  for (const policy of policies) {
    const { slot } = policy;
    if (slot.direction === direction && slot.family === family && isAt(slot.remote, peer, family)) return policy;
  }
  return undefined;
}

export function policyTo(peer: RosterEntry, path: Path, direction: Direction, action: PolicyAction): Operation {
  return {
    kind: "set-policy",
    policy: { direction, peer: peer.name, family: path.family, remote: path.remote, action },
  };
}
