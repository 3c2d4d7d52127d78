/** What the controller knows and carries. All that matters is in the fleet record; the rest can be lost in a crash. */
import type { KeyId, KeyIdentity, KeyRing } from "../key-id.js";
import type { IncarnationId, NodeName } from "../node.js";
import type { PolicyLevel } from "../policy-level.js";
import type { Report } from "../report.js";
import type { Roster } from "../roster.js";
import type { FleetPhase, FleetRecord, KeyProblem, OperatorRequest, RotationRecord } from "./record.js";

export interface ControllerOptions {
  readonly name: string;
  readonly ring: KeyRing;
  readonly start: "auto" | "manual";
  readonly slow: "wait" | "abort";
  readonly silent: "exclude" | "wait";
  readonly silentMs: number;
  readonly excludeShareMax: number;
  readonly stageDeadlineMs: number;
  readonly retireDeadlineMs: number;
  readonly emergencyDeadlineMs: number;
  readonly drainMs: number;
  /** For the pre-flight check: what the agents are configured with, and how long a key file takes to reach them. */
  readonly jitterMaxMs: number;
  readonly jitterMinNodes: number;
  readonly keyDistributionMs: number;
  /** The controller makes the next key itself; absent where people do. */
  readonly generate?: GenerateOptions | undefined;
}

export interface GenerateOptions {
  /** How old a key may become before the next rotation is due; null where only people ask. */
  readonly everyMs: number | null;
}

export interface ObservedLease {
  readonly incarnationId: IncarnationId;
  readonly beat: number;
}

export interface ControllerObservation {
  readonly leading: boolean;
  /** The later of election, reconnect and complete listings, monotonic milliseconds; null while any is missing. */
  readonly watchingSinceMs: number | null;
  readonly roster: Roster;
  readonly reports: ReadonlyMap<NodeName, Report>;
  readonly leases: ReadonlyMap<NodeName, ObservedLease>;
  readonly fleet: { readonly version: number; readonly record: FleetRecord | null } | null;
  readonly request: OperatorRequest | null;
  /** The stored audit record of the rotation that runs, read on election; undefined while not read yet. */
  readonly audit: RotationRecord | null | undefined;
  /** How this process's last attempt to write a key ended. */
  readonly keyWrite: KeyWrite | null;
  readonly inFlight: ReadonlySet<ControllerEffect["kind"]>;
  /** Wall clock, ISO 8601; only shown. */
  readonly wallAt: string;
}

/** For the rotation that comes after number `rotation`. */
export type KeyWrite =
  | { readonly kind: "written"; readonly rotation: number; readonly keyId: KeyId }
  | { readonly kind: "failed"; readonly rotation: number; readonly problem: KeyProblem };

/** The last change of a node's lease, or its first sight in this incarnation, on this process's clock. */
export interface Beat {
  readonly incarnationId: IncarnationId;
  readonly beat: number;
  readonly sinceMs: number;
}

export interface LevelSeen {
  readonly level: PolicyLevel | null;
  readonly wanted: PolicyLevel;
  /** The record's `exclusionEpoch`. */
  readonly epoch: number;
  readonly sinceMs: number;
  /** Since when nothing has held up the next step; null while something does. */
  readonly appliedMs: number | null;
}

export interface ControllerState {
  /** When this process saw each lease change last. */
  readonly beats: ReadonlyMap<NodeName, Beat>;
  /** When this process first saw the present rotation and phase. */
  readonly seen: { readonly rotation: number; readonly phase: FleetPhase; readonly sinceMs: number } | null;
  /** Rotation start on this process's clock; after a fail-over it continues from the last stored phase. */
  readonly started: { readonly rotation: number; readonly atMs: number } | null;
  /** The level that this process saw last; null while the record names none. */
  readonly level: LevelSeen | null;
  readonly audit: RotationRecord | null;
  /** When the last rotation ended, on this process's clock; null while unknown, and where no rotation is ever due. */
  readonly ended: { readonly rotation: number; readonly atMs: number } | null;
  /** When this process first saw that the awaited rotation's key is written. */
  readonly keyWritten: { readonly keyId: KeyId; readonly sinceMs: number } | null;
  /** How long the last staging took here, without jitter; null before the first. */
  readonly stagingMs: number | null;
  readonly conditions: readonly Condition[];
}

export const newController: ControllerState = {
  beats: new Map(),
  seen: null,
  started: null,
  level: null,
  audit: null,
  ended: null,
  keyWritten: null,
  stagingMs: null,
  conditions: [],
};

/** Something that holds the fleet up and needs a person or a delay. Codes are in docs/reference/errors.md. */
export interface Condition {
  readonly code: string;
  readonly message: string;
  readonly node: NodeName | null;
}

export type ControllerEffect =
  | { readonly kind: "write-fleet"; readonly record: FleetRecord; readonly expectedVersion: number }
  | { readonly kind: "put-rotation"; readonly rotation: RotationRecord }
  | { readonly kind: "clear-request"; readonly requestId: string }
  | ({ readonly kind: "write-next-key" } & NextKeyOrder);

/** What the key must follow. */
export interface NextKeyOrder {
  /** The fleet's count of rotations when the key was asked for. */
  readonly rotation: number;
  readonly current: KeyId | null;
  /** Ids that are not used again. */
  readonly refused: readonly KeyId[];
}

export type ControllerNote =
  | { readonly kind: "fleet-phase"; readonly rotation: number; readonly phase: FleetPhase; readonly target: KeyIdentity | null }
  | { readonly kind: "fleet-level"; readonly level: PolicyLevel | null; readonly wanted: PolicyLevel; readonly isApplied: boolean }
  | { readonly kind: "rotation-awaited"; readonly by: string; readonly reason: string }
  | { readonly kind: "key-written"; readonly keyId: KeyId }
  | { readonly kind: "excluded"; readonly node: NodeName }
  | { readonly kind: "included"; readonly node: NodeName }
  | { readonly kind: "condition"; readonly condition: Condition }
  | { readonly kind: "answered"; readonly requestId: string; readonly accepted: boolean; readonly why: string };

export interface ControllerStep {
  readonly state: ControllerState;
  readonly effects: readonly ControllerEffect[];
  readonly notes: readonly ControllerNote[];
  readonly wakeAtMs: number | null;
}
