/**
 * What one site tells about one link: facts as it sees them now, never steps that it took. The site alone writes it.
 * Nothing known is `unknown`, which is the zero value and never counts as up.
 */
import type { Digest, Fingerprint, LinkName, PairIndex, SiteName } from "./link.js";
import type { LinkRecord, PairPhase } from "./record.js";

export type Presence = "unknown" | "down" | "up";

/** The answer to the probes that went through a tunnel: who is at the other end, by its own word. */
export interface PeerEcho {
  readonly site: SiteName;
  readonly pair: PairIndex;
  readonly number: number;
  readonly digest: Digest;
  /** Of the certificate that it presented in the handshake. */
  readonly certificate: Fingerprint;
  /** Probes answered in a row up to now: 0 once one was missed. */
  readonly answered: number;
  /** A packet of the tunnel's full size came back, too. */
  readonly fullSize: boolean;
}

/** One end of one generation of a pair, as its site sees it. */
export interface GatewayView {
  readonly pair: PairIndex;
  readonly number: number;
  /** Of the credentials that lie here, null when there are none or a part is missing. */
  readonly digest: Digest | null;
  readonly process: Presence;
  /** Up once the handshake is done; a server that listens alone is down. */
  readonly tunnel: Presence;
  readonly interfaceName: string | null;
  readonly localAddress: string | null;
  /** The peer's address in the tunnel, as observed and not as configured. */
  readonly remoteAddress: string | null;
  /** The last answer; null before the first, and once `gatewayProbesMissedMax` rounds of probes went unanswered. */
  readonly peer: PeerEcho | null;
  /** Bytes of traffic through the tunnel's device since it is there; what is read, not what is sent to the peer. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface RouteHop {
  readonly pair: PairIndex;
  readonly number: number;
}

/** A hop with the place that tells its device. */
export interface SlotHop extends RouteHop {
  readonly slot: 0 | 1;
}

/** The kernel's route to the other site's networks, as read back. `unknown` also when only some of them have it; `foreign`: somebody else's, in our place. */
export type RouteView =
  | { readonly kind: "unknown" }
  | { readonly kind: "hops"; readonly hops: readonly RouteHop[] }
  | { readonly kind: "foreign"; readonly what: string };

export const unknownRoute: RouteView = { kind: "unknown" };

/** `observedMs` is when the oldest part of the view was read, on the clock of the site's loop. */
export interface ObservedGateway extends GatewayView {
  readonly observedMs: number;
}

export interface LinkObservation {
  /** All that is here of this link, also what nobody asked for: leftovers of a crash are seen here. */
  readonly gateways: readonly ObservedGateway[];
  readonly route: RouteView;
}

/** A view with its age when the report was written. Clocks of sites are never compared. */
export interface AgedView extends GatewayView {
  readonly ageMs: number;
}

export interface PairReport {
  readonly pair: PairIndex;
  /** The generation on its way and its phase, as the site acts on them: only then does it say that something is gone. */
  readonly acting: { readonly number: number; readonly phase: PairPhase } | null;
  /** The request for a certificate of the generation on its way. */
  readonly csr: { readonly number: number; readonly pem: string } | null;
  /** The generation whose tunnel was seen idle for the whole drain, or at the drain's end. */
  readonly drained: number | null;
  /** What the site could not do, null when all went well. */
  readonly failure: { readonly number: number; readonly code: string; readonly message: string } | null;
}

export interface SiteReport {
  readonly schemaVersion: 1;
  readonly link: LinkName;
  readonly site: SiteName;
  /** Differs with each report, so that the hub counts age on its own clock from when it changed. */
  readonly beat: number;
  /** It acts on a record that says so. */
  readonly detached: boolean;
  /** The record that it acts on, when the registry has an earlier one; null otherwise. */
  readonly ahead: LinkRecord | null;
  /** Every gateway of the link that is here, known by its process, its files or its device. */
  readonly gateways: readonly AgedView[];
  readonly route: RouteView;
  readonly pairs: readonly PairReport[];
}

/** Names one report among those of all links; neither name holds a `@`. */
export function reportName(link: LinkName, site: SiteName): string {
  return `${link}@${site}`;
}
