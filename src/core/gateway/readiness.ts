/**
 * Readiness validation: may a gateway be relied upon? Pure, with one typed reason, the first that holds. Nothing that is
 * missing, unknown or old is ever taken for ready, and no step that can hurt is allowed by an empty list.
 *
 * What must be ready is the new: both ends of the generation on its way, and of the pairs that this rotation has moved
 * already. The health of an old tunnel is shown and never blocks the rotation that would cure it (repair mode).
 */
import { limits } from "../limits.js";
import { otherSide, sides, type PairIndex, type Side, type SiteName } from "./link.js";
import type { Credentials, LinkRecord } from "./record.js";
import type { GatewayView, SiteReport } from "./report.js";

export type NotReadyCode =
  | "GATEWAY_UNKNOWN"
  | "GATEWAY_OBSERVATION_STALE"
  | "GATEWAY_PROCESS_DOWN"
  | "GATEWAY_TUNNEL_DOWN"
  | "GATEWAY_INTERFACE_MISSING"
  | "GATEWAY_LOCAL_ADDRESS_MISSING"
  | "GATEWAY_REMOTE_ADDRESS_MISSING"
  | "GATEWAY_PEER_UNKNOWN"
  | "GATEWAY_GENERATION_MISMATCH"
  | "GATEWAY_CERTIFICATE_MISMATCH"
  | "GATEWAY_ROUTE_CONFLICT";

interface Rule {
  /** When to look again; a site observes no more often than that for this reason. */
  readonly retryMs: number;
  /** A phase that is held up by this reason for so long, counted from its start, is rolled back. */
  readonly deadlineMs: number;
  readonly message: string;
}

/** What a process needs to come up is waited for longer than what no waiting mends. */
export const readinessRules: Readonly<Record<NotReadyCode, Rule>> = {
  GATEWAY_UNKNOWN: { retryMs: 2_000, deadlineMs: 60_000, message: "the site tells nothing of this gateway" },
  GATEWAY_OBSERVATION_STALE: { retryMs: 2_000, deadlineMs: 60_000, message: "the last observation is too old" },
  GATEWAY_PROCESS_DOWN: { retryMs: 1_000, deadlineMs: 60_000, message: "the process is not up" },
  GATEWAY_TUNNEL_DOWN: { retryMs: 1_000, deadlineMs: 120_000, message: "no handshake with the peer yet" },
  GATEWAY_INTERFACE_MISSING: { retryMs: 1_000, deadlineMs: 60_000, message: "the tunnel device is missing" },
  GATEWAY_LOCAL_ADDRESS_MISSING: { retryMs: 1_000, deadlineMs: 60_000, message: "the device has no address" },
  GATEWAY_REMOTE_ADDRESS_MISSING: { retryMs: 1_000, deadlineMs: 120_000, message: "the peer's address is not known" },
  GATEWAY_PEER_UNKNOWN: { retryMs: 1_000, deadlineMs: 120_000, message: "the peer does not answer through the tunnel" },
  GATEWAY_GENERATION_MISMATCH: { retryMs: 5_000, deadlineMs: 30_000, message: "the ends run different generations" },
  GATEWAY_CERTIFICATE_MISMATCH: { retryMs: 5_000, deadlineMs: 30_000, message: "the peer shows another certificate" },
  GATEWAY_ROUTE_CONFLICT: { retryMs: 5_000, deadlineMs: 30_000, message: "a foreign route stands in our place" },
};

export interface ExpectedGateway {
  readonly pair: PairIndex;
  readonly side: Side;
  readonly peer: SiteName;
  readonly credentials: Credentials;
}

export type Readiness = { readonly kind: "ready" } | { readonly kind: "not-ready"; readonly code: NotReadyCode };

/**
 * Judges one gateway.
 * @param ageMs how old the view is by now
 */
export function gatewayReadiness(expected: ExpectedGateway, view: GatewayView | undefined, ageMs: number): Readiness {
  const code = view === undefined ? "GATEWAY_UNKNOWN" : whatIsMissing(expected, view, ageMs);
  return code === null ? { kind: "ready" } : { kind: "not-ready", code };
}

function whatIsMissing(expected: ExpectedGateway, view: GatewayView, ageMs: number): NotReadyCode | null {
  const { credentials, side } = expected;
  if (ageMs > limits.gatewayObservationMsMax) return "GATEWAY_OBSERVATION_STALE";
  if (view.process !== "up") return "GATEWAY_PROCESS_DOWN";
  if (view.digest !== credentials.digest) return "GATEWAY_GENERATION_MISMATCH";
  if (isEmpty(view.interfaceName)) return "GATEWAY_INTERFACE_MISSING";
  if (isEmpty(view.localAddress)) return "GATEWAY_LOCAL_ADDRESS_MISSING";
  if (view.tunnel !== "up") return "GATEWAY_TUNNEL_DOWN";
  if (isEmpty(view.remoteAddress)) return "GATEWAY_REMOTE_ADDRESS_MISSING";
  const { peer } = view;
  if (peer === null || peer.site !== expected.peer || peer.pair !== expected.pair) return "GATEWAY_PEER_UNKNOWN";
  if (peer.number !== credentials.number || peer.digest !== credentials.digest) return "GATEWAY_GENERATION_MISMATCH";
  const peerCertificate = credentials.certificates[otherSide(side)].fingerprint;
  if (peer.certificate !== peerCertificate) return "GATEWAY_CERTIFICATE_MISMATCH";
  const isProven = peer.answered >= limits.gatewayProbesMin && peer.fullSize;
  return isProven ? null : "GATEWAY_PEER_UNKNOWN";
}

function isEmpty(text: string | null): boolean {
  return text === null || text === "";
}

/** A report and how old it is: how long ago, on the reader's clock, its beat changed last. */
export interface ReceivedReport {
  readonly report: SiteReport;
  readonly ageMs: number;
}

export type LinkReports = Readonly<Record<Side, ReceivedReport | null>>;

/** What a gateway is to the rotation: `new` must be ready, the health of `old` is advice. */
export type GatewayRole = "new" | "old";

export interface GatewayStanding {
  readonly pair: PairIndex;
  readonly side: Side;
  readonly number: number;
  readonly role: GatewayRole;
  readonly readiness: Readiness;
}

/** Every gateway of the link that should be there, both ends of each generation. */
export function linkStanding(record: LinkRecord, reports: LinkReports): readonly GatewayStanding[] {
  return record.pairs.flatMap((pair) => {
    const { index, current, next } = pair;
    const isMoved = record.rotation?.outcome !== "done" && record.rotation?.done.includes(index) === true;
    const roleOfCurrent = isMoved ? "new" : "old";
    return [
      ...(current === null ? [] : bothEnds(record, index, current, roleOfCurrent, reports)),
      ...(next === null || next.credentials === null ? [] : bothEnds(record, index, next.credentials, "new", reports)),
    ];
  });
}

function bothEnds(
  record: LinkRecord,
  pair: PairIndex,
  credentials: Credentials,
  role: GatewayRole,
  reports: LinkReports,
): readonly GatewayStanding[] {
  return sides.map((side) => {
    const expected = { pair, side, peer: record.link[otherSide(side)], credentials };
    const received = reports[side];
    const view = received?.report.gateways.find((one) => one.pair === pair && one.number === credentials.number);
    const readiness = gatewayReadiness(expected, view, (received?.ageMs ?? Infinity) + (view?.ageMs ?? 0));
    return { pair, side, number: credentials.number, role, readiness: afterRoute(readiness, received) };
  });
}

function afterRoute(readiness: Readiness, received: ReceivedReport | null): Readiness {
  if (readiness.kind !== "ready" || received?.report.route.kind !== "foreign") return readiness;
  return { kind: "not-ready", code: "GATEWAY_ROUTE_CONFLICT" };
}

/** What forbids a step that can hurt: the first new gateway that is not ready; or that there is none at all. */
export type Gate =
  | { readonly kind: "open" }
  | { readonly kind: "closed"; readonly code: NotReadyCode; readonly pair: PairIndex | null; readonly side: Side | null };

export function gateOf(standing: readonly GatewayStanding[]): Gate {
  const fresh = standing.filter(({ role }) => role === "new");
  if (fresh.length === 0) return { kind: "closed", code: "GATEWAY_UNKNOWN", pair: null, side: null };
  for (const { pair, side, readiness } of fresh) {
    if (readiness.kind === "not-ready") return { kind: "closed", code: readiness.code, pair, side };
  }
  return { kind: "open" };
}

/** No tunnel in use works: there is nothing to lose, and the rotation is the cure. */
export function isRepair({ pairs }: LinkRecord, standing: readonly GatewayStanding[]): boolean {
  const inUse = standing.filter(({ pair, number }) => pairs.some(({ index, current }) => index === pair && current?.number === number));
  return inUse.length > 0 && inUse.every(({ readiness }) => readiness.kind === "not-ready");
}
