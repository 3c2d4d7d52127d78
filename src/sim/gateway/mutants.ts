/**
 * Guards of gateway rotation taken away, by name. A mutant wraps the steps of hub and site from outside: it shows them
 * something that is not so. What it breaks proves that the guard is needed, and that the checker sees it.
 */
import { otherSide, sides, type LinkName, type Side } from "../../core/gateway/link.js";
import type { HubObservation } from "../../core/gateway/hub/state.js";
import { stepHub } from "../../core/gateway/hub/step.js";
import { isEarlier, type Credentials, type LinkRecord, type PairRecord } from "../../core/gateway/record.js";
import { reportName, type GatewayView, type SiteReport } from "../../core/gateway/report.js";
import type { SiteObservation } from "../../core/gateway/site/state.js";
import { stepSite } from "../../core/gateway/site/step.js";
import type { StepHub } from "../../runtime/gateway-hub-machine.js";
import type { StepSite } from "../../runtime/gateway-site-machine.js";

export interface GatewayMutant {
  readonly name: string;
  /** The guard that is missing, as a sentence. */
  readonly without: string;
  readonly stepHub?: () => StepHub;
  readonly stepSite?: () => StepSite;
}

type Reports = HubObservation["reports"];

function withReports(change: (record: LinkRecord, reports: Reports, into: Map<string, Reports extends ReadonlyMap<string, infer R> ? R : never>) => void): StepHub {
  return (state, observation, nowMs, options) => {
    const reports = new Map(observation.reports);
    for (const { record } of observation.links.values()) change(record, observation.reports, reports);
    return stepHub(state, { ...observation, reports }, nowMs, options);
  };
}

/** As soon as one side has switched, both have, and nobody waits for the old tunnel to become idle. */
const eitherSide: StepHub = withReports((record, reports, into) => {
  const pair = record.pairs.find(({ next }) => next !== null);
  const names = sides.map((side) => reportName(record.link.name, record.link[side]));
  const ahead = names.map((name) => reports.get(name)).find((one) => leadsThrough(one?.report, pair?.next?.number));
  if (pair === undefined || ahead === undefined) return;
  for (const name of names) {
    const own = reports.get(name);
    if (own === undefined) continue;
    const drained = pair.current?.number ?? null;
    const pairs = own.report.pairs.map((one) => (one.pair === pair.index ? { ...one, drained } : one));
    into.set(name, { ...own, report: { ...own.report, route: ahead.report.route, pairs } });
  }
});

function leadsThrough(report: SiteReport | undefined, number: number | undefined): boolean {
  return report?.route.kind === "hops" && report.route.hops.some((hop) => hop.number === number);
}

type Guess = (pair: PairRecord, credentials: Credentials, side: Side, record: LinkRecord, seen: readonly GatewayView[]) => GatewayView | null;

/** What hub and site see of each new gateway is replaced by a guess, where there is one. */
function guessing(guess: Guess): Pick<GatewayMutant, "stepHub" | "stepSite"> {
  const replaced = <V extends GatewayView>(record: LinkRecord, side: Side, views: readonly V[], finish: (view: GatewayView) => V): readonly V[] => {
    const guesses = record.pairs.flatMap((pair) => {
      const credentials = pair.next?.credentials ?? null;
      const view = credentials === null ? null : guess(pair, credentials, side, record, views);
      return view === null ? [] : [finish(view)];
    });
    return [...views.filter((view) => !guesses.some((one) => one.pair === view.pair && one.number === view.number)), ...guesses];
  };
  const hub = withReports((record, reports, into) => {
    for (const side of sides) {
      const name = reportName(record.link.name, record.link[side]);
      const received = reports.get(name);
      if (received === undefined) continue;
      const gateways = replaced(record, side, received.report.gateways, (view) => ({ ...view, ageMs: 0 }));
      into.set(name, { ...received, report: { ...received.report, gateways } });
    }
  });
  const site: StepSite = (state, observation, nowMs, options) => {
    const observed = new Map(observation.observed);
    for (const [name, seen] of observed) {
      const record = observation.links.get(name);
      if (record === undefined || isRemoved(record)) continue;
      const side: Side = record.link.server === options.site ? "server" : "client";
      const gateways = replaced(record, side, seen.observation.gateways, (view) => ({ ...view, observedMs: seen.startedMs }));
      observed.set(name, { ...seen, observation: { ...seen.observation, gateways } });
    }
    const shown: SiteObservation = { ...observation, observed };
    return stepSite(state, shown, nowMs, options);
  };
  return { stepHub: () => hub, stepSite: () => site };
}

/** The guess must not hide that a gateway is gone, or a rollback would never end. */
function isRemoved({ pairs }: LinkRecord): boolean {
  return pairs.some(({ next }) => next?.phase === "rolling-back");
}

const zeroIsUp: Guess = (pair, credentials, side, record, seen) => {
  const view = seen.find((one) => one.pair === pair.index && one.number === credentials.number);
  if (pair.next?.phase === "rolling-back" || view?.process !== "up" || view.peer !== null) return null;
  return asIfReady(view, credentials, side, record);
};

const oldSpeaks: Guess = (pair, credentials, side, record, seen) => {
  const old = seen.find((one) => one.pair === pair.index && one.number === pair.current?.number);
  const view = seen.find((one) => one.pair === pair.index && one.number === credentials.number);
  if (pair.next?.phase === "rolling-back" || (old?.peer ?? null) === null || view?.process !== "up") return null;
  return asIfReady(view, credentials, side, record);
};

function asIfReady(view: GatewayView, { number, digest, certificates }: Credentials, side: Side, { link }: LinkRecord): GatewayView {
  const peer = otherSide(side);
  const certificate = certificates[peer].fingerprint;
  return {
    ...view,
    digest,
    tunnel: "up",
    interfaceName: view.interfaceName ?? "tun",
    localAddress: view.localAddress ?? "10.8.0.1",
    remoteAddress: view.remoteAddress ?? "10.8.0.2",
    peer: { site: link[peer], pair: view.pair, number, digest, certificate, answered: 3, fullSize: true },
  };
}

const dayMs = 24 * 3_600_000;

/** A rotation is looked at only on the day on which it began. */
const sameDayOnly: StepHub = (state, observation, nowMs, options) => {
  const isOfToday = (name: LinkName): boolean => {
    const startedWallMs = observation.links.get(name)?.record.rotation?.startedWallMs ?? observation.wallMs;
    return Math.floor(startedWallMs / dayMs) === Math.floor(observation.wallMs / dayMs);
  };
  const links = new Map([...observation.links].filter(([name]) => isOfToday(name)));
  const desired = observation.desired?.filter(({ name }) => isOfToday(name)) ?? null;
  return stepHub(state, { ...observation, links, desired }, nowMs, options);
};

/** What the sites act on is not told to the hub. */
const deafToSites: StepHub = withReports((record, reports, into) => {
  for (const side of sides) {
    const name = reportName(record.link.name, record.link[side]);
    const own = reports.get(name);
    if (own !== undefined) into.set(name, { ...own, report: { ...own.report, ahead: null } });
  }
});

/** A site has no record of its own that could be later than the registry's. */
const followsBackwards: StepSite = (state, observation, nowMs, options) => {
  const shown = ([name, record]: [LinkName, LinkRecord]): [LinkName, LinkRecord] => {
    const registered = observation.newest.get(name);
    return [name, registered !== undefined && isEarlier(registered, record) ? { ...record, edition: 0 } : record];
  };
  return stepSite(state, { ...observation, links: new Map([...observation.links].map(shown)) }, nowMs, options);
};

export const gatewayMutants: readonly GatewayMutant[] = [
  {
    name: "delete-old-before-both-acked",
    without: "the old pair goes only when both sides acknowledged the switch and saw it idle",
    stepHub: () => eitherSide,
  },
  {
    name: "zero-value-is-up",
    without: "what nobody has observed yet is not up",
    ...guessing(zeroIsUp),
  },
  {
    name: "validate-old-pair-only",
    without: "it is the new pair that must be ready",
    ...guessing(oldSpeaks),
  },
  {
    name: "calendar-day-completion",
    without: "a rotation is done when its pairs are, whatever day it is",
    stepHub: () => sameDayOnly,
  },
  {
    name: "registry-is-never-behind",
    without: "the hub takes the record that the sites act on when the registry came back with an earlier one",
    stepHub: () => deafToSites,
  },
  {
    name: "site-goes-back-with-registry",
    without: "a site that acted on a record does not go back to an earlier one",
    stepSite: () => followsBackwards,
  },
];
