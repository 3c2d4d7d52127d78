/** The addresses between two nodes, and the SAs and policies that belong on them. */
import type { KeyId } from "../key-id.js";
import type { AddressFamily, RosterEntry } from "../node.js";
import {
  type Direction,
  type Endpoint,
  type KeyEnd,
  type Operation,
  type PolicyAction,
  type PolicyView,
  type SaSpec,
  type SaView,
} from "../sa.js";
import { makeSpi, type Spi } from "../spi.js";
import type { Context } from "./context.js";

/** One address family that both ends have. */
export interface Path {
  readonly family: AddressFamily;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

export function paths(self: RosterEntry, peer: RosterEntry): readonly Path[] {
  const found: Path[] = [];
  for (const family of ["ipv4", "ipv6"] as const) {
    const local = self.addresses[family];
    const remote = peer.addresses[family];
    if (local === null || remote === null) continue;
    found.push({
      family,
      local: { address: local, udpPort: self.addresses.udpPort },
      remote: { address: remote, udpPort: peer.addresses.udpPort },
    });
  }
  return found;
}

/** Its SPI names the sender of an SA. */
export function senderSpi(context: Pick<Context, "self">, peer: RosterEntry, direction: Direction, keyId: KeyId): Spi {
  const sender = direction === "out" ? context.self : peer;
  return makeSpi({ keyId, index: sender.index, number: sender.incarnationNumber });
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

/** What is in a slot, whether or not it is the right SA. */
export function findSa(sas: readonly SaView[], direction: Direction, spi: Spi, path: Path): SaView | undefined {
  return sas.find(
    ({ slot }) => slot.spi === spi && slot.direction === direction && sameRemote(slot.remote, path.remote),
  );
}

/**
 * Is what was found in its slot the SA that `saSpec` describes? Equality is addresses, SPI and key, never the SPI alone
 * (design 4.1). Bytes that cannot be checked are believed.
 */
export function isRight(
  found: SaView,
  context: Pick<Context, "self">,
  peer: RosterEntry,
  path: Path,
  keyId: KeyId,
): boolean {
  const { key, bytes, slot } = found;
  if (bytes === "mismatch" || key === null) return false;
  const sender = slot.direction === "out" ? context.self : peer;
  const receiver = slot.direction === "out" ? peer : context.self;
  const isOfPath = key.keyId === keyId && key.family === path.family && key.mode === "transport";
  return isOfPath && isEnd(key.from, sender) && isEnd(key.to, receiver);
}

function isEnd(end: KeyEnd, entry: RosterEntry): boolean {
  return end.name === entry.name && end.index === entry.index && end.incarnationId === entry.incarnationId;
}

export function findPolicy(policies: readonly PolicyView[], direction: Direction, path: Path): PolicyView | undefined {
  return policies.find(
    (policy) =>
      policy.slot.direction === direction &&
      policy.slot.family === path.family &&
      sameRemote(policy.slot.remote, path.remote),
  );
}

export function policyTo(peer: RosterEntry, path: Path, direction: Direction, action: PolicyAction): Operation {
  return {
    kind: "set-policy",
    policy: { direction, peer: peer.name, family: path.family, remote: path.remote, action },
  };
}

export function sameRemote(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.udpPort === other.udpPort;
}
