/** The state that a step carries: the durable part, the phase, and per-peer facts with their counts. */
import type { KeyIdentity } from "../key-id.js";
import type { NodeAddresses, NodeName, RosterRevision } from "../node.js";
import { PersistentMap } from "../persistent-map.js";
import type { Context } from "./context.js";
import { noDurableState, type CheckpointNode, type DurableState } from "./durable.js";
import type { PolicyLevel } from "../policy-level.js";
import type { JitterOptions } from "../jitter.js";
import type { KeyRing } from "../key-id.js";
import type { PeerFacts } from "./peer-facts.js";
import { noTally, type Tally } from "./tally.js";

export const agentPhases = ["steady", "waiting", "staging", "staged", "switched", "draining", "aborting"] as const;
export type AgentPhase = (typeof agentPhases)[number];

/** Fixed for one run of the agent. Durations are milliseconds. */
export interface AgentOptions {
  readonly name: NodeName;
  readonly addresses: NodeAddresses;
  readonly coordination: "barrier" | "pairwise";
  /** A peer goes over to a new key only when a probe with it was answered. Recordings of earlier versions do not have it. */
  readonly provesPaths?: boolean;
  readonly ring: KeyRing;
  readonly jitter: JitterOptions;
  readonly drainMs: number;
  readonly retireDeadlineMs: number;
  readonly emergencyDeadlineMs: number;
  readonly reportIntervalMs: number;
  readonly resyncMs: number;
  readonly massDeletionShare: number;
  /** While the fleet record names no level. Default `require`; recordings of earlier versions do not have it. */
  readonly policyLevel?: PolicyLevel;
  /** Default true. False where the dataplane knows no plain packets: the level is the node's own whatever the record says. */
  readonly followsLevels?: boolean;
}

export interface AgentState {
  readonly durable: DurableState;
  readonly checkpoint: PersistentMap<NodeName, CheckpointNode>;
  /** False until stored state and the first dump decided between adoption and a new incarnation. */
  readonly started: boolean;
  readonly context: Context | null;
  readonly peers: PersistentMap<NodeName, PeerFacts>;
  readonly tally: Tally;
  /** Peers with operations to run. */
  readonly toDo: PersistentMap<NodeName, true>;
  /** Peers of which inbound SAs of held keys are missing, and their revisions. */
  readonly incomplete: PersistentMap<NodeName, RosterRevision>;
  /** Peers that stay on their key until a probe with the next one is answered. */
  readonly unproven: PersistentMap<NodeName, true>;
  /** Peers whose checkpoint record changed since it was last on disk. */
  readonly unrecorded: PersistentMap<NodeName, true>;
  readonly wait: Wait | null;
  readonly drain: Drain | null;
  /** XFRM errors that had been counted when this `next` was first seen. */
  readonly rotationSeen: { readonly key: KeyIdentity; readonly errors: number } | null;
  readonly through: RosterRevision;
  /** How long the last staging took, whole milliseconds. */
  readonly stagingMs: number | null;
  /** Since when the present staging has had the key's bytes, null while there is none or it waits for them. */
  readonly stagingSinceMs: number | null;
  /** Since when there has been something to report that was not published; null where reports are not spread. */
  readonly unsaidSinceMs: number | null;
  readonly phase: AgentPhase;
  readonly phaseSinceMs: number;
  readonly deletionsHeld: boolean;
}

/** The jitter wait for `key`; its length is drawn once. */
export interface Wait {
  readonly key: KeyIdentity;
  readonly startedMs: number;
  readonly lengthMs: number;
}

/** A drain window: the packet count of the old inbound SAs at a dump, and when that dump was. */
export interface Drain {
  readonly key: KeyIdentity;
  readonly sinceMs: number;
  readonly dumpSerial: number;
  readonly packets: number;
}

export function startAgent(
  durable: DurableState | null,
  checkpoint: PersistentMap<NodeName, CheckpointNode>,
): AgentState {
  return {
    durable: durable ?? noDurableState,
    checkpoint,
    started: false,
    context: null,
    peers: PersistentMap.empty(),
    tally: noTally,
    toDo: PersistentMap.empty(),
    incomplete: PersistentMap.empty(),
    unproven: PersistentMap.empty(),
    unrecorded: PersistentMap.empty(),
    wait: null,
    drain: null,
    rotationSeen: null,
    through: 0 as RosterRevision,
    stagingMs: null,
    stagingSinceMs: null,
    unsaidSinceMs: null,
    phase: "steady",
    phaseSinceMs: 0,
    deletionsHeld: false,
  };
}
