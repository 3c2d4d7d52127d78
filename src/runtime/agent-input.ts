/**
 * All that can reach one agent from outside, as values. What the agent knows changes by these alone, so that a recorded
 * run of them is the run. Key bytes are behind the ports and never in here.
 */
import type { FleetRecord, OperatorRequest } from "../core/fleet/record.js";
import type { KeyIdentity } from "../core/key-id.js";
import type { IncarnationId, RosterEntry } from "../core/node.js";
import type { Report } from "../core/report.js";
import type { ProbeOutcome } from "../core/probe.js";
import type { EffectKind } from "../core/rotation/effect.js";
import type { ApplyOutcome, KernelDump } from "../ports/kernel.js";
import type { SingleEvent, WatchEvent } from "../ports/registry.js";

export type DataplaneChange = "connected" | "disconnected" | "foreign-change";

export type AgentInput =
  | { readonly kind: "roster"; readonly event: WatchEvent<RosterEntry> }
  | { readonly kind: "reports"; readonly event: WatchEvent<Report> }
  | { readonly kind: "fleet"; readonly event: SingleEvent<FleetRecord> }
  | { readonly kind: "request"; readonly event: SingleEvent<OperatorRequest> }
  | { readonly kind: "dataplane"; readonly change: DataplaneChange }
  /** A reading of the key file; null for a file that was refused. */
  | { readonly kind: "keys"; readonly keys: readonly KeyIdentity[] | null }
  | EffectEnd
  /** The effect failed: it stays under way, so that it is not asked for again before `retry-due`. */
  | { readonly kind: "failed"; readonly effect: EffectKind; readonly code: string; readonly why: string }
  | { readonly kind: "retry-due"; readonly effect: EffectKind };

/** The effect that was under way succeeded, and this is what it brought. */
export type EffectEnd =
  | { readonly kind: "state-saved" }
  | { readonly kind: "checkpoint-saved" }
  | { readonly kind: "admitted"; readonly entry: RosterEntry }
  | { readonly kind: "applied"; readonly outcome: ApplyOutcome }
  | { readonly kind: "dumped"; readonly dump: KernelDump }
  /** In the order of the probes. */
  | { readonly kind: "probed"; readonly outcomes: readonly ProbeOutcome[] }
  | { readonly kind: "report-published" };

/** Chance for one turn, as arguments of the step. */
export interface Chances {
  readonly spareIncarnationId: IncarnationId;
  readonly chance: number;
}
