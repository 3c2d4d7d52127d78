/** The addresses between two nodes, and the SAs and policies that belong on them. */
import type { KeyId } from "../key-id.js";
import type { AddressFamily, RosterEntry } from "../node.js";
import {
  sameKeyRef,
  type Direction,
  type Endpoint,
  type KeyEnd,
  type Operation,
  type PolicyAction,
  type PolicyView,
  type SaSpec,
  type SaView,
} from "../sa.js";
import { makeSpi } from "../spi.js";
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

/** The SA that belongs on `path`. Its SPI names the sender, its key both ends and their incarnations. */
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
    spi: makeSpi({ keyId, index: sender.index, number: sender.incarnationNumber }),
    source: direction === "out" ? path.local : path.remote,
    destination: direction === "out" ? path.remote : path.local,
    key: { keyId, from: keyEnd(sender), to: keyEnd(receiver), family: path.family, mode: "transport" },
  };
}

function keyEnd(entry: RosterEntry): KeyEnd {
  return { name: entry.name, index: entry.index, incarnationId: entry.incarnationId };
}

/** What is in the slot of `wanted`, whether or not it is the right SA. */
export function findSa(sas: readonly SaView[], wanted: SaSpec): SaView | undefined {
  const remote = wanted.direction === "in" ? wanted.source : wanted.destination;
  return sas.find(
    (sa) =>
      sa.slot.spi === wanted.spi && sa.slot.direction === wanted.direction && sameRemote(sa.slot.remote, remote),
  );
}

/** Equality is addresses, SPI and key, never the SPI alone (design 4.1). Bytes that cannot be checked are believed. */
export function isRight(found: SaView, wanted: SaSpec): boolean {
  return found.bytes !== "mismatch" && sameKeyRef(found.key, wanted.key);
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
