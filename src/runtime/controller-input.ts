/** All that can reach one controller from outside, as values; the counterpart of `AgentInput`. */
import type { ControllerEffect } from "../core/fleet/controller-state.js";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../core/fleet/record.js";
import type { KeyId } from "../core/key-id.js";
import type { RosterEntry } from "../core/node.js";
import type { Report } from "../core/report.js";
import type { LeaseView, SingleEvent, WatchEvent } from "../ports/registry.js";

export type ControllerEffectKind = ControllerEffect["kind"];

export type ControllerInput =
  | { readonly kind: "roster"; readonly event: WatchEvent<RosterEntry> }
  | { readonly kind: "reports"; readonly event: WatchEvent<Report> }
  | { readonly kind: "fleet"; readonly event: SingleEvent<FleetRecord> }
  | { readonly kind: "request"; readonly event: SingleEvent<OperatorRequest> }
  | { readonly kind: "leading"; readonly leads: boolean }
  /** Null when they could not be listed: silence is then counted anew. */
  | { readonly kind: "leases"; readonly leases: readonly LeaseView[] | null }
  /** The newest stored audit record, null when there is none. */
  | { readonly kind: "audit"; readonly newest: RotationRecord | null }
  | ControllerEffectEnd
  /** The effect failed: it stays under way, so that it is not asked for again before `retry-due`. */
  | { readonly kind: "failed"; readonly effect: ControllerEffectKind; readonly code: string; readonly why: string }
  | { readonly kind: "retry-due"; readonly effect: ControllerEffectKind };

/** The effect that was under way succeeded. */
export type ControllerEffectEnd =
  | { readonly kind: "fleet-written"; readonly version: number }
  | { readonly kind: "rotation-put" }
  | { readonly kind: "request-cleared" }
  | { readonly kind: "next-key-written"; readonly keyId: KeyId };
