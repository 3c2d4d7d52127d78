/**
 * A probe: one packet to a peer under one SPI, whatever other packets to it go with, and what came of it. Bytes, nonce and
 * waiting are the dataplane adapter's.
 */
import { sameKey, type KeyIdentity } from "./key-id.js";
import type { AddressFamily, IncarnationId, NodeName, RosterEntry } from "./node.js";
import type { Endpoint } from "./sa.js";
import type { Spi } from "./spi.js";

export interface Probe {
  readonly peer: NodeName;
  readonly family: AddressFamily;
  readonly key: KeyIdentity;
  /** The lives of both ends that the SA belongs to. */
  readonly from: IncarnationId;
  readonly to: IncarnationId;
  readonly spi: Spi;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

export type ProbeOutcome = { readonly kind: "answered"; readonly roundTripMs: number } | ProbeFailure;

export interface ProbeFailure {
  readonly kind: "failed";
  readonly code: string;
  readonly message: string;
}

/** Code of a probe that nothing came back for. */
export const probeUnanswered = "PROBE_UNANSWERED";

/** The newest outcome for one peer, address family and key. */
export interface PathProof {
  readonly probe: Probe;
  readonly outcome: ProbeOutcome;
  /** Monotonic. */
  readonly atMs: number;
}

/** The outcome on the path between these two lives, if there is one. A proof says nothing of any other life or key. */
export function proofOn(
  proofs: readonly PathProof[],
  self: RosterEntry,
  peer: RosterEntry,
  family: AddressFamily,
  key: KeyIdentity,
): PathProof | undefined {
  return proofs.find(
    ({ probe }) =>
      probe.family === family &&
      sameKey(probe.key, key) &&
      probe.from === self.incarnationId &&
      probe.to === peer.incarnationId,
  );
}

/** Is the newest outcome on the path between these two lives a failure, with whichever key? */
export function hasFailedOn(proofs: readonly PathProof[], self: RosterEntry, peer: RosterEntry, family: AddressFamily): boolean {
  return proofs.some(
    ({ probe, outcome }) =>
      outcome.kind === "failed" && probe.family === family && probe.from === self.incarnationId && probe.to === peer.incarnationId,
  );
}

/** Is it about the same path and key, so that the newer one replaces the other? */
export function isOfSamePath(one: Probe, other: Probe): boolean {
  return one.family === other.family && sameKey(one.key, other.key);
}
