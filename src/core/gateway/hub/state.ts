/** What the hub knows and carries. All that matters stands in the link records; the rest can be lost in a crash. */
import type { Fingerprint, Link, LinkName, PairIndex } from "../link.js";
import type { ReceivedReport } from "../readiness.js";
import type { Issued, IssueOrder, LinkRecord, LinkRequest, PairPhase, StoredLink } from "../record.js";

export interface HubOptions {
  /** From one round to the next. */
  readonly intervalMs: number;
  /** Links of a round begin spread over so long. */
  readonly jitterMs: number;
  /** A link whose certificates end sooner than this is due whatever the round; well below the validity that is issued. */
  readonly renewBeforeMs: number;
  /** Links with a generation on its way at the same time. */
  readonly linksAtOnceMax: number;
  /** Share of the links that go first in a round, at least one; 0 for none. */
  readonly canaryShare: number;
  /** So long nothing may go wrong after the last of them, before the others begin. */
  readonly holdMs: number;
  /** A site that was not heard for so long is silent. */
  readonly silentMs: number;
}

export interface HubObservation {
  /** True once links, reports and requests were listed, and while the view of them is current. */
  readonly complete: boolean;
  /** The links of the configuration; null when the registry alone says which there are. */
  readonly desired: readonly Link[] | null;
  readonly links: ReadonlyMap<LinkName, StoredLink>;
  /** Some record is there and cannot be read: it may need a root that no other one names. */
  readonly hasUnreadable: boolean;
  /** By `reportName`; the age counts from the last change of the beat, on this process's clock. */
  readonly reports: ReadonlyMap<string, ReceivedReport>;
  readonly requests: ReadonlyMap<LinkName, LinkRequest>;
  /** What the issuer answered last for a link, until the record has it. */
  readonly issued: ReadonlyMap<LinkName, Issued>;
  readonly issueFailures: ReadonlyMap<LinkName, IssueFailure>;
  /** `effectId` of what is under way, or waits for its retry. */
  readonly inFlight: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly wallMs: number;
}

export interface IssueFailure {
  readonly number: number;
  readonly code: string;
  readonly message: string;
}

export interface HubState {
  /** Since when this process sees the registry without a break: a site is silent only after the hub itself missed it so long. */
  readonly listeningSinceMs: number | null;
  /** When this process first saw the phase that a link is in: deadlines are counted on one clock. */
  readonly phases: ReadonlyMap<LinkName, PhaseSeen>;
  /** When it was last looked which links begin, and what holds them up: it takes a look at every link. */
  readonly schedule: { readonly atMs: number; readonly conditions: readonly HubCondition[] } | null;
  /** The roots that the issuer was told last, as one text; null before. */
  readonly keptRoots: string | null;
  readonly conditions: readonly HubCondition[];
}

export interface PhaseSeen {
  readonly number: number;
  readonly phase: PairPhase | "detached";
  readonly sinceMs: number;
}

export const newHub: HubState = { listeningSinceMs: null, phases: new Map(), schedule: null, keptRoots: null, conditions: [] };

/** Something that holds a link up and needs a person or a delay. Codes are in docs/reference/errors.md. */
export interface HubCondition {
  readonly code: string;
  readonly link: LinkName;
  readonly message: string;
}

export type HubEffect =
  | { readonly kind: "write-link"; readonly record: LinkRecord; readonly expectedVersion: number }
  | { readonly kind: "remove-link"; readonly record: LinkRecord; readonly expectedVersion: number }
  | { readonly kind: "issue"; readonly order: IssueOrder }
  | { readonly kind: "keep-roots"; readonly used: readonly Fingerprint[] };

/** One effect of a kind for a link is under way at a time. */
export function effectId(effect: HubEffect): string {
  switch (effect.kind) {
    case "write-link":
    case "remove-link":
      return recordEffectId(effect.record.link.name);
    case "issue":
      return issueEffectId(effect.order.link.name);
    case "keep-roots":
      return "keep-roots";
  }
}

export function recordEffectId(link: LinkName): string {
  return `record ${link}`;
}

export function issueEffectId(link: LinkName): string {
  return `issue ${link}`;
}

export type HubNote =
  | { readonly kind: "link-phase"; readonly link: LinkName; readonly pair: PairIndex; readonly number: number; readonly phase: PairPhase | "done" | "undone" }
  /** No tunnel of the link works: nothing can be lost, and the rotation is the cure. */
  | { readonly kind: "repair"; readonly link: LinkName; readonly pair: PairIndex }
  | { readonly kind: "rotation"; readonly link: LinkName; readonly outcome: string; readonly why: string }
  | { readonly kind: "condition"; readonly condition: HubCondition };

export interface HubStep {
  readonly state: HubState;
  readonly effects: readonly HubEffect[];
  readonly notes: readonly HubNote[];
  readonly wakeAtMs: number | null;
}
