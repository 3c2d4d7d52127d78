/** What can happen next in a fleet, as data: enough to print a run and to play it again. */
import type { NodeName } from "../core/node.js";
import type { PolicyLevel } from "../core/policy-level.js";
import type { Stream } from "./registry.js";

/** A node, or `controller-0` and so on. */
export type Who = string;

export type Move =
  /** The next events of one stream reach `who`, and then it takes a turn. */
  | { readonly kind: "read"; readonly who: Who; readonly stream: Stream; readonly events: number }
  /** All that waits reaches `who` before it takes a turn. */
  | { readonly kind: "read-all"; readonly who: Who }
  | { readonly kind: "notice-reboot"; readonly who: NodeName }
  | { readonly kind: "apply"; readonly who: NodeName }
  | { readonly kind: "publish"; readonly who: NodeName }
  | { readonly kind: "read-file"; readonly who: NodeName; readonly keyIds: readonly number[] }
  | { readonly kind: "start"; readonly who: Who }
  /** A node that was silent renews its lease, and `who` sees it. */
  | { readonly kind: "hear"; readonly who: Who; readonly node: NodeName }
  | Fault;

/** What need not happen. */
export type Fault =
  /** `stages`: so much of the plan under way is carried out. */
  | { readonly kind: "crash"; readonly who: Who; readonly stages: number }
  | { readonly kind: "reboot-host"; readonly who: NodeName }
  | { readonly kind: "reboot-dataplane"; readonly who: NodeName }
  | { readonly kind: "lose-events"; readonly who: Who; readonly stream: Stream }
  | { readonly kind: "lose-report"; readonly who: NodeName }
  | { readonly kind: "join"; readonly who: NodeName }
  /** A controller (`who`) has not seen the node's lease change for so long that it takes it for silent. */
  | { readonly kind: "miss"; readonly who: Who; readonly node: NodeName }
  | { readonly kind: "offer-key"; readonly keyIds: readonly number[] }
  | { readonly kind: "abort"; readonly keyId: number }
  | { readonly kind: "ask-level"; readonly level: PolicyLevel };

const faults: ReadonlySet<Move["kind"]> = new Set([
  "crash",
  "reboot-host",
  "reboot-dataplane",
  "lose-events",
  "lose-report",
  "join",
  "miss",
  "offer-key",
  "abort",
  "ask-level",
]);

/** Faults and operator's acts may happen; everything else happens at last. */
export function isFault(move: Move): boolean {
  return faults.has(move.kind);
}
