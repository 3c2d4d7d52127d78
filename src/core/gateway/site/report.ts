/** What a site tells of a link, from its last observation; and whether that is news. */
import { limits } from "../../limits.js";
import type { SiteName } from "../link.js";
import { isEarlier, type LinkRecord } from "../record.js";
import type { PairReport, SiteReport } from "../report.js";
import { gatewayId, pairId, type ObservedLink, type SiteObservation, type SiteState } from "./state.js";

export function reportOf(
  record: LinkRecord,
  site: SiteName,
  observed: ObservedLink,
  state: SiteState,
  observation: SiteObservation,
  nowMs: number,
): SiteReport {
  const { gateways, route } = observed.observation;
  return {
    schemaVersion: 1,
    link: record.link.name,
    site,
    beat: state.beat,
    detached: record.detached,
    ahead: isAhead(record, observation) ? record : null,
    gateways: gateways.map(({ observedMs, ...view }) => ({ ...view, ageMs: Math.max(0, Math.round(nowMs - observedMs)) })),
    route,
    pairs: record.pairs.map((pair) => pairReportOf(record, pair.index, state, observation)),
  };
}

function isAhead(record: LinkRecord, { newest }: SiteObservation): boolean {
  const registered = newest.get(record.link.name);
  return registered !== undefined && isEarlier(registered, record);
}

function pairReportOf({ link, pairs }: LinkRecord, index: PairReport["pair"], state: SiteState, observation: SiteObservation): PairReport {
  const drain = state.drains.get(pairId(link.name, index));
  const next = pairs.find((pair) => pair.index === index)?.next ?? null;
  const pem = next === null ? undefined : observation.csrs.get(gatewayId(link.name, index, next.number));
  const failures = [...observation.failures].filter(([id, { pair }]) => id.startsWith(`${link.name} `) && pair === index);
  const failure = failures.map(([, { number, code, message }]) => ({ number, code, message })).at(-1) ?? null;
  return {
    pair: index,
    acting: next === null ? null : { number: next.number, phase: next.phase },
    csr: next === null || pem === undefined ? null : { number: next.number, pem },
    drained: drain?.isDrained === true ? drain.number : null,
    failure,
  };
}

/** Beat, ages and counters alone are no news. */
export function isSameNews(one: SiteReport | undefined, other: SiteReport): boolean {
  return one !== undefined && newsOf(one) === newsOf(other);
}

function newsOf({ gateways, route, pairs, detached, ahead }: SiteReport): string {
  const facts = gateways.map((view) => ({ ...view, ageMs: 0, bytesIn: 0, bytesOut: 0, peer: peerNews(view.peer) }));
  return JSON.stringify({ facts, route, pairs, detached, ahead: ahead?.edition });
}

/** How many probes were answered beyond those that are needed is no news. */
function peerNews(peer: SiteReport["gateways"][number]["peer"]): object | null {
  return peer === null ? null : { ...peer, answered: Math.min(peer.answered, limits.gatewayProbesMin) };
}
