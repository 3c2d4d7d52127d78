/**
 * What an agent and a controller say of themselves: plain data, JSON as it stands. `/status` shows
 * it, `/metrics` is computed from it at each scrape, and `spindle status` reads it. Nothing is
 * pushed, so no number can be out of date.
 *
 * `…Ms` are durations up to now. No key bytes: a key is its id and check value.
 */
import type { Condition } from "../core/fleet/controller-state.js";
import type { FleetPhase } from "../core/fleet/record.js";
import type { KeyIdentity } from "../core/key-id.js";
import type { AddressFamily } from "../core/node.js";
import type { AgentPhase } from "../core/rotation/state.js";
import type { Direction } from "../core/sa.js";
import type { PolicyLevel } from "../core/policy-level.js";
import type { XfrmCounters } from "../core/xfrm-counters.js";
import type { DataplaneIdentity } from "../ports/kernel.js";

export interface AgentStatus {
  readonly schemaVersion: 1;
  readonly kind: "agent";
  /** Of the program. */
  readonly version: string;
  readonly node: string;
  /** Null until the node was admitted for the first time. */
  readonly incarnationId: string | null;
  readonly coordination: "barrier" | "pairwise";
  readonly phase: AgentPhase;
  readonly phaseForMs: number;
  readonly keys: SlotKeys;
  /** Distinct fleet keys among the SAs in the dataplane. */
  readonly keysInUse: number;
  readonly peers: PeerCounts;
  /** What is not as it should be, worst first. */
  readonly exceptions: readonly PeerException[];
  /** As read from the dataplane; a counter that it does not keep is absent. */
  readonly counters: XfrmCounters;
  /** How strict this node is with plain packets, and where it blocks all that no peer's policy protects. */
  readonly policy: { readonly level: PolicyLevel; readonly cidrs: readonly string[] };
  readonly sas: PerDirection;
  readonly policies: PerDirection;
  /** The highest sequence number of any SA, sent or received. */
  readonly highestSequence: number;
  /** As the last dump showed it, by key id and direction; empty where the dataplane does not count it. */
  readonly keyUse: readonly KeyUse[];
  /** Age of the node checkpoint on disk; null before the first is written. */
  readonly checkpointAgeMs: number | null;
  /** Since the start of the program. */
  readonly forcedRetires: number;
  readonly lastStage: StageFacts | null;
  readonly keyFile: KeyFileHealth;
  readonly registry: Connection;
  readonly dataplane: Connection & { readonly identity: DataplaneIdentity | null };
  readonly registryWrites: RegistryWrites;
}

export interface SlotKeys {
  readonly previous: KeyIdentity | null;
  readonly current: KeyIdentity | null;
  readonly next: KeyIdentity | null;
}

export interface PeerCounts {
  readonly total: number;
  /** Pairs that may use the key this node is at or moves to. */
  readonly covered: number;
  /** Peers that this node still sends to with an older key. */
  readonly behind: number;
  /** Peers that this node sends nothing to, because no common key is proven. */
  readonly blocked: number;
  /** Peers that it sends plain packets to, as the policy level allows. */
  readonly plain: number;
  /** Peers that it keeps on an older key, because no probe with the next one was answered. */
  readonly unproven: number;
}

export interface PeerException {
  readonly peer: string;
  readonly why: string;
  readonly forMs: number;
}

export interface PerDirection {
  readonly in: number;
  readonly out: number;
}

/** What passed the SAs of one fleet key in one direction. */
export interface KeyUse {
  readonly keyId: number;
  readonly direction: Direction;
  readonly sas: number;
  /** Since the start of the program, as dumps saw it grow; bytes as the dataplane counts them. */
  readonly packets: number;
  readonly bytes: number;
  /** Since the last packet; null where none is known of. */
  readonly idleMs: number | null;
  readonly highestSequence: number;
  /** The largest share of its sequence numbers that one of the SAs has used, 0 to 1. */
  readonly sequenceShare: number;
}

/** The last staging that ended. */
export interface StageFacts {
  readonly keyId: number;
  readonly sas: number;
  readonly stagingMs: number;
}

export interface KeyFileHealth {
  readonly ok: boolean;
  /** Names file and line and never shows a byte of key; null when all is well. */
  readonly message: string | null;
}

export interface Connection {
  readonly connected: boolean;
  /** How long it has been so. */
  readonly forMs: number;
}

/** Lease renewals are counted apart from all that a rotation costs. */
export type RegistryWriteClass = "roster" | "report" | "fleet" | "request" | "rotation" | "lease";

/** Writes since the start of the program, for the classes that the program writes. */
export type RegistryWrites = Readonly<Partial<Record<RegistryWriteClass, number>>>;

export interface ControllerStatus {
  readonly schemaVersion: 1;
  readonly kind: "controller";
  /** Of the program. */
  readonly version: string;
  readonly name: string;
  /** Only the leader decides; the others show what they see. */
  readonly leading: boolean;
  readonly coordination: "barrier" | "pairwise";
  /** Counts rotations. */
  readonly rotation: number;
  readonly phase: FleetPhase;
  readonly phaseForMs: number;
  readonly current: KeyIdentity | null;
  readonly target: KeyIdentity | null;
  /** Nodes on the roster. */
  readonly nodes: number;
  readonly excluded: readonly NodeException[];
  readonly stragglers: readonly (NodeException & { readonly kind: "slow" | "silent" })[];
  /** The pre-flight estimate less the time gone; null when nothing runs. */
  readonly timeLeftMs: number | null;
  /** What holds the fleet up and needs a person or a delay. */
  readonly conditions: readonly Condition[];
  readonly registry: Connection;
  readonly registryWrites: RegistryWrites;
}

export interface NodeException {
  readonly node: string;
  readonly why: string;
  readonly forMs: number;
}

/** What `POST /probe` answers: every path to the peers asked for, with the key that packets go with, and those kept back. */
export interface PathCheck {
  readonly schemaVersion: 1;
  readonly node: string;
  readonly paths: readonly CheckedPath[];
  /** Each was answered. */
  readonly ok: boolean;
}

export interface CheckedPath {
  readonly peer: string;
  readonly family: AddressFamily;
  /** Null where nothing is sent. */
  readonly keyId: number | null;
  /** Null where nothing came back. */
  readonly roundTripMs: number | null;
  /** Why not, null for a path that is in order. */
  readonly why: string | null;
}

/** What `GET /sas` answers: each SA with the peers asked for, as the last dump showed it. */
export interface SaListing {
  readonly schemaVersion: 1;
  readonly node: string;
  /** Since the last dump; null before the first. */
  readonly dumpedForMs: number | null;
  readonly sas: readonly SaDetail[];
}

/** What the dataplane does not count is null. */
export interface SaDetail {
  readonly peer: string;
  readonly direction: Direction;
  readonly keyId: number;
  readonly spi: string;
  /** The peer's address. */
  readonly remote: string;
  readonly packets: number;
  readonly bytes: number | null;
  /** Since the last packet; null where none is known of. */
  readonly idleMs: number | null;
  /** Highest sequence number sent or received. */
  readonly sequence: number;
  /** 64 bits of sequence numbers, and not 32. */
  readonly esn: boolean | null;
  readonly sequenceShare: number | null;
}

/** Peers that the node does not know. */
export interface UnknownPeers {
  readonly unknown: readonly string[];
}

/** Whether a probe is answered with yes; `reasons` say why not. */
export interface Verdict {
  readonly ok: boolean;
  readonly reasons: readonly string[];
}
