/** What a site knows and carries. What must outlive it stands in the link records and in the files of its gateways. */
import type { GatewayRef, Link, LinkName, PairIndex, Side, SiteName } from "../link.js";
import type { Credentials, LinkRecord, TrustRoot } from "../record.js";
import type { LinkObservation, SiteReport, SlotHop } from "../report.js";

export interface SiteOptions {
  readonly site: SiteName;
  readonly observeMs: number;
  readonly observeIdleMs: number;
  /** An old tunnel is idle after so long without a byte; at the longest `drainMsMax` is waited for it. */
  readonly drainMs: number;
  readonly drainMsMax: number;
}

export interface ObservedLink {
  readonly observation: LinkObservation;
  /** When it began: all of it was read after that. */
  readonly startedMs: number;
  /** Nothing of ours has changed the link since it began. */
  readonly isCurrent: boolean;
}

export interface SiteFailure {
  readonly pair: PairIndex;
  readonly number: number;
  readonly code: string;
  readonly message: string;
}

export interface SiteObservation {
  /** The links of this site as they stand in its own file: they are acted on, so that a restart goes on from no less. */
  readonly links: ReadonlyMap<LinkName, LinkRecord>;
  /** As they are in the registry, with those that are gone from it as detached. */
  readonly newest: ReadonlyMap<LinkName, LinkRecord>;
  /** Those that are gone from it. */
  readonly gone: ReadonlySet<LinkName>;
  readonly observed: ReadonlyMap<LinkName, ObservedLink>;
  /** By `gatewayId`. */
  readonly csrs: ReadonlyMap<string, string>;
  /** What went wrong last and was not done since, by `effectId`. */
  readonly failures: ReadonlyMap<string, SiteFailure>;
  readonly published: ReadonlyMap<LinkName, SiteReport>;
  /** `effectId` of what is under way. */
  readonly running: ReadonlySet<string>;
  /** `effectId` of what failed and waits for its retry. */
  readonly waiting: ReadonlySet<string>;
  /** Links of which something changed by itself since the last observation began. */
  readonly touched: ReadonlySet<LinkName>;
}

/** An old tunnel that is waited for to become idle. */
export interface Drain {
  readonly number: number;
  readonly bytes: number;
  readonly quietSinceMs: number;
  readonly sinceMs: number;
  readonly isDrained: boolean;
}

export interface SiteState {
  /** By `pairId`. */
  readonly drains: ReadonlyMap<string, Drain>;
  /** Grows with each report of this process; begins at a number that a process before it has not reached. */
  readonly beat: number;
  /** The observation that the last report of each link was made of. */
  readonly reportedMs: ReadonlyMap<LinkName, number>;
}

export const newSite: SiteState = { drains: new Map(), beat: 0, reportedMs: new Map() };

export type SiteEffect =
  | { readonly kind: "save-links"; readonly links: ReadonlyMap<LinkName, LinkRecord> }
  | { readonly kind: "observe"; readonly link: Link; readonly probe: readonly GatewayRef[] }
  | { readonly kind: "prepare"; readonly gateway: GatewayRef }
  | {
      readonly kind: "start";
      readonly gateway: GatewayRef;
      readonly credentials: Credentials;
      readonly roots: readonly TrustRoot[];
    }
  | { readonly kind: "replace-route"; readonly link: Link; readonly side: Side; readonly hops: readonly SlotHop[] }
  | { readonly kind: "remove"; readonly link: LinkName; readonly pair: PairIndex; readonly number: number }
  | { readonly kind: "remove-route"; readonly link: LinkName }
  | { readonly kind: "publish-report"; readonly report: SiteReport };

export function linkOf(effect: SiteEffect): LinkName | null {
  switch (effect.kind) {
    case "save-links":
      return null;
    case "observe":
    case "replace-route":
      return effect.link.name;
    case "prepare":
    case "start":
      return effect.gateway.link.name;
    case "remove":
    case "remove-route":
      return effect.link;
    case "publish-report":
      return effect.report.link;
  }
}

/** The same for the same deed: one of them is under way at a time. */
export function effectId(effect: SiteEffect): string {
  const link = linkOf(effect);
  if (link === null) return effect.kind;
  const at = gatewayOf(effect);
  return `${link} ${effect.kind}${at === null ? "" : ` ${at.pair} ${at.number}`}`;
}

export function gatewayOf(effect: SiteEffect): { readonly pair: PairIndex; readonly number: number } | null {
  if (effect.kind === "prepare" || effect.kind === "start") return effect.gateway;
  if (effect.kind === "remove") return effect;
  return effect.kind === "replace-route" ? newestOf(effect.hops) : null;
}

/** The generation that a route is changed for. */
function newestOf(hops: readonly SlotHop[]): SlotHop | null {
  return hops.reduce<SlotHop | null>((newest, hop) => (newest === null || hop.number > newest.number ? hop : newest), null);
}

export function pairId(link: LinkName, pair: PairIndex): string {
  return `${link} ${pair}`;
}

export function gatewayId(link: LinkName, pair: PairIndex, number: number): string {
  return `${link} ${pair} ${number}`;
}

export type SiteNote =
  | { readonly kind: "doing"; readonly link: LinkName | null; readonly what: SiteEffect["kind"]; readonly pair: PairIndex | null; readonly number: number | null }
  /** Missing from the registry without having been detached: they stay as they are. */
  | { readonly kind: "held"; readonly links: readonly LinkName[] }
  | { readonly kind: "drained"; readonly link: LinkName; readonly pair: PairIndex; readonly number: number; readonly isForced: boolean };

export interface SiteStep {
  readonly state: SiteState;
  readonly effects: readonly SiteEffect[];
  readonly notes: readonly SiteNote[];
  readonly wakeAtMs: number | null;
}
