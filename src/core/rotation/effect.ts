/** What a step asks the runtime to do. Results come back as observations, never as calls. */
import type { KeyIdentity } from "../key-id.js";
import type { IncarnationId, NodeAddresses, NodeName, RosterEntry } from "../node.js";
import type { PersistentMap } from "../persistent-map.js";
import type { PolicyLevel } from "../policy-level.js";
import type { Probe } from "../probe.js";
import type { Report } from "../report.js";
import type { Operation } from "../sa.js";
import type { CheckpointNode, DurableState } from "./durable.js";
import type { FailedProbe } from "./probes.js";
import type { AgentPhase } from "./state.js";

export type Effect =
  | { readonly kind: "save-state"; readonly durable: DurableState }
  | {
      readonly kind: "save-checkpoint";
      readonly checkpoint: PersistentMap<NodeName, CheckpointNode>;
      /** Peers whose record changed; they are touched again once it is on disk. */
      readonly peers: readonly NodeName[];
    }
  | { readonly kind: "register"; readonly incarnationId: IncarnationId; readonly addresses: NodeAddresses }
  | { readonly kind: "apply"; readonly stages: readonly (readonly Operation[])[]; readonly peers: readonly NodeName[] }
  | { readonly kind: "read-kernel"; readonly why: string }
  | { readonly kind: "probe"; readonly probes: readonly Probe[] }
  | { readonly kind: "publish-report"; readonly report: Report }
  /** Before the plans of this step. */
  | { readonly kind: "set-guard"; readonly isWanted: boolean }
  | { readonly kind: "forget-key"; readonly key: KeyIdentity };

export type EffectKind = Effect["kind"];

/** What a person or a metric should hear of; each becomes one log line. */
export type Note =
  | { readonly kind: "phase-changed"; readonly from: AgentPhase; readonly to: AgentPhase; readonly key: KeyIdentity | null }
  | { readonly kind: "new-incarnation"; readonly incarnationId: IncarnationId; readonly why: string }
  | { readonly kind: "adopted"; readonly incarnationId: IncarnationId; readonly sas: number }
  | { readonly kind: "waiting"; readonly key: KeyIdentity; readonly waitMs: number }
  | { readonly kind: "staged"; readonly key: KeyIdentity; readonly sas: number; readonly stagingMs: number }
  | { readonly kind: "retired"; readonly key: KeyIdentity; readonly forced: boolean; readonly errors: number }
  | { readonly kind: "refused"; readonly key: KeyIdentity; readonly why: string }
  | { readonly kind: "purged"; readonly key: KeyIdentity }
  | { readonly kind: "level-changed"; readonly from: PolicyLevel; readonly to: PolicyLevel }
  | ({ readonly kind: "path-unproven" } & FailedProbe)
  | { readonly kind: "path-proven"; readonly peer: NodeName; readonly key: KeyIdentity }
  | { readonly kind: "node-departed"; readonly entry: RosterEntry }
  | { readonly kind: "deletions-held"; readonly departed: number; readonly known: number };
