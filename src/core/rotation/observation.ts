/**
 * What one agent knows now, whole: keys, roster, evidence and the kernel. Never "the event that happened", so lost,
 * repeated, late and reordered events are harmless (design 4.2). `touched` only saves work: a step with "all" decides
 * the same.
 */
import type { FleetRecord, OperatorRequest } from "../fleet/record.js";
import type { KeyId, KeyIdentity } from "../key-id.js";
import type { IncarnationId, NodeName } from "../node.js";
import type { PathProof } from "../probe.js";
import type { Report } from "../report.js";
import type { Roster } from "../roster.js";
import type { Spi } from "../spi.js";
import type { CheckpointNode, DurableState } from "./durable.js";
import type { EffectKind } from "./effect.js";
import type { HeldPolicy, HeldSa } from "./held.js";
import type { PersistentMap } from "../persistent-map.js";

export interface Observation {
  readonly keys: ObservedKeys;
  readonly roster: Roster;
  /** Pairwise: the reports of all nodes. Empty in barrier coordination. */
  readonly reports: ReadonlyMap<NodeName, Report>;
  /** Barrier: the fleet record and its version. */
  readonly fleet: { readonly version: number; readonly record: FleetRecord } | null;
  /** Pairwise: what the operator asked every agent for. */
  readonly request: OperatorRequest | null;
  readonly kernel: ObservedKernel;
  /** The newest outcome for each path that was probed, by peer. */
  readonly proofs: ReadonlyMap<NodeName, readonly PathProof[]>;
  /** What is on disk now; the very object that an earlier step asked to save. */
  readonly saved: { readonly durable: DurableState | null; readonly checkpoint: PersistentMap<NodeName, CheckpointNode> };
  /** The last report that the registry acknowledged. */
  readonly publishedReport: Report | null;
  readonly publishedAtMs: number | null;
  /** What the dataplane was last told of its guard, in this run of the program; null for nothing. */
  readonly guard: boolean | null;
  /** Effects that were started and have not ended, or that wait for their retry. */
  readonly inFlight: ReadonlySet<EffectKind>;
  /** Peers whose operations failed and are not tried again before `untilMs`. */
  readonly heldBack: ReadonlyMap<NodeName, HeldBack>;
  readonly touched: ReadonlySet<NodeName> | "all";
  /** Chance as an argument: 128 fresh random bits, and a number in [0, 1). */
  readonly spareIncarnationId: IncarnationId;
  readonly chance: number;
}

export interface ObservedKeys {
  /** False until the key file was read for the first time, valid or not. */
  readonly read: boolean;
  /** Offered by the file, in file order: the last is the newest. */
  readonly available: readonly KeyIdentity[];
  /** At hand: offered now or earlier, and not forgotten. */
  readonly usable: readonly KeyIdentity[];
}

export interface ObservedKernel {
  /** Null until the dataplane answered; what is below may be old while it is away. */
  readonly identity: DataplaneIdentity | null;
  readonly connected: boolean;
  /** Counts dumps; a dump is what drain windows are measured by. */
  readonly dumpSerial: number;
  readonly dumpedAtMs: number;
  /** What the dump was recognised with: SAs of nodes unknown at that time are under the name "". */
  readonly recognisedWith: { readonly rosterComplete: boolean; readonly selfIncarnationId: IncarnationId | null };
  /** Someone else changed our state, or the dataplane came back: dump before deciding. */
  readonly stale: boolean;
  readonly peers: ReadonlyMap<NodeName, PeerKernel>;
  /** How many of them there are in all, by direction. */
  readonly counts: HeldCounts;
  /** At the last dump: packets that had passed the inbound SAs of live peers, by key id. */
  readonly packetsIn: ReadonlyMap<KeyId, number>;
  /** All XFRM errors, in packets. */
  readonly errors: number;
  /** An SPI of ours that somebody else's SA holds towards a peer, since the last dump; null when none was met. */
  readonly takenSpi: Spi | null;
}

/** Structurally the port's type of the same name: what one lifetime of outbound state is bound to. */
export interface DataplaneIdentity {
  readonly bootId: string;
  readonly networkNamespace: string;
  readonly instance: string;
}

/** The SAs and policies of one peer, as read back. */
export interface PeerKernel {
  readonly sas: readonly HeldSa[];
  readonly policies: readonly HeldPolicy[];
}

export const noPeerKernel: PeerKernel = { sas: [], policies: [] };

export interface HeldCounts {
  readonly sasIn: number;
  readonly sasOut: number;
  readonly policiesIn: number;
  readonly policiesOut: number;
}

export interface HeldBack {
  readonly code: string;
  readonly message: string;
  readonly untilMs: number;
}
