/**
 * A site's machine: `step(state, observation, now) -> { state, effects }`, pure and level-triggered. For each link: act on
 * the record that stands in its own file; look; do what the record wants and is not so; tell what is seen. Decisions are
 * made on an observation that began after the last deed of the link ended.
 *
 * Invariants: a gateway goes only once the route, as read back, does not lead through it. The route is never made empty
 * while a gateway of the link should carry traffic. Nothing that runs as it should is touched: there is no reload.
 */
import { limits } from "../../limits.js";
import { otherSide, sideOf, type LinkName, type Side } from "../link.js";
import { gatewayReadiness, readinessRules } from "../readiness.js";
import { laterOf, type LinkRecord } from "../record.js";
import type { GatewayView } from "../report.js";
import { drainOn, isForced } from "./drain.js";
import { isSameNews, reportOf } from "./report.js";
import {
  effectId,
  gatewayId,
  gatewayOf,
  linkOf,
  pairId,
  type Drain,
  type ObservedLink,
  type SiteEffect,
  type SiteNote,
  type SiteObservation,
  type SiteOptions,
  type SiteState,
  type SiteStep,
} from "./state.js";
import { hopsOf, isSameRoute, refOf, viewOf, wantedHops, wantedPairs, type WantedPair } from "./wanted.js";

export function stepSite(before: SiteState, observation: SiteObservation, nowMs: number, options: SiteOptions): SiteStep {
  const turn: Turn = {
    drains: new Map(),
    reportedMs: new Map(),
    beat: Math.max(before.beat, Math.floor(nowMs)),
    before,
    observation,
    nowMs,
    options,
    effects: [],
    notes: [],
    wakeAtMs: Infinity,
  };
  saveLinks(turn);
  for (const record of observation.links.values()) {
    const side = sideOf(record.link, options.site);
    if (side !== null) stepLink(record, side, turn);
  }
  const { drains, reportedMs, beat, effects, notes, wakeAtMs } = turn;
  return { state: { drains, reportedMs, beat }, effects, notes, wakeAtMs: wakeAtMs === Infinity ? null : wakeAtMs };
}

interface Turn {
  readonly drains: Map<string, Drain>;
  readonly reportedMs: Map<LinkName, number>;
  beat: number;
  readonly before: SiteState;
  readonly observation: SiteObservation;
  readonly nowMs: number;
  readonly options: SiteOptions;
  readonly effects: SiteEffect[];
  readonly notes: SiteNote[];
  wakeAtMs: number;
}

/**
 * A link that the registry has no more is forgotten once nothing of it is left here. With a registry that came back from a
 * backup the site does not go back: it goes on by its own record, and tells it.
 */
function saveLinks({ observation, effects }: Turn): void {
  const { links, newest, running, waiting } = observation;
  const wanted = [...newest].filter(([name]) => !observation.gone.has(name) || !isEmpty(observation.observed.get(name)));
  const kept = new Map(wanted.map(([name, record]) => [name, laterOf(links.get(name), record)]));
  const isSame = kept.size === links.size && [...kept].every(([name, record]) => links.get(name) === record);
  if (isSame || running.has("save-links") || waiting.has("save-links")) return;
  effects.push({ kind: "save-links", links: kept });
}

function isEmpty(observed: ObservedLink | undefined): boolean {
  if (observed === undefined || !observed.isCurrent) return false;
  const { gateways, route } = observed.observation;
  return gateways.length === 0 && route.kind !== "unknown" && hopsOf(route).length === 0;
}

function stepLink(record: LinkRecord, side: Side, turn: Turn): void {
  const { name } = record.link;
  const observed = turn.observation.observed.get(name);
  const pairs = wantedPairs(record);
  const isBusy = [...turn.observation.running].some((id) => id.startsWith(`${name} `) && !isHarmless(id, name));
  if (observed?.isCurrent === true) {
    seeDrains(record, pairs, observed, turn);
    if (!isBusy) act(record, side, pairs, observed, turn);
  }
  if (!isBusy) observe(record, side, pairs, observed, turn);
  publish(record, observed, turn);
}

/** Observing and telling change nothing. */
function isHarmless(id: string, name: LinkName): boolean {
  return id === `${name} observe` || id === `${name} publish-report`;
}

function act(record: LinkRecord, side: Side, pairs: readonly WantedPair[], { observation }: ObservedLink, turn: Turn): void {
  const { gateways, route } = observation;
  for (const pair of pairs) {
    if (pair.prepare !== null) prepare(record, side, pair, pair.prepare, turn);
    startPair(record, side, pair, gateways, turn);
  }
  const hops = wantedHops(pairs, gateways);
  if (route.kind !== "foreign" && hops.length > 0 && !isSameRoute(route, hops)) {
    run({ kind: "replace-route", link: record.link, side, hops }, turn);
  }
  const kept = (view: { pair: number; number: number }): boolean =>
    pairs.some(({ index, keep }) => index === view.pair && keep.includes(view.number));
  const surplus = gateways.filter((view) => !kept(view) && (record.detached || view.number <= record.lastNumber));
  const isInRoute = ({ pair, number }: GatewayView): boolean => hopsOf(route).some((hop) => hop.pair === pair && hop.number === number);
  const isPartial = route.kind === "unknown";
  const isInTheWay = record.detached ? isPartial || hopsOf(route).length > 0 : surplus.some((view) => isPartial || isInRoute(view));
  if (hops.length === 0 && isInTheWay) {
    run({ kind: "remove-route", link: record.link.name }, turn);
    return;
  }
  if (route.kind === "unknown") return;
  for (const view of surplus.filter((one) => !isInRoute(one))) {
    run({ kind: "remove", link: record.link.name, pair: view.pair, number: view.number }, turn);
  }
}

function prepare(record: LinkRecord, side: Side, pair: WantedPair, next: { number: number; slot: 0 | 1 }, turn: Turn): void {
  if (turn.observation.csrs.has(gatewayId(record.link.name, pair.index, next.number))) return;
  run({ kind: "prepare", gateway: refOf(record, side, pair.index, next) }, turn);
}

/** Leftovers of earlier attempts go first: one may hold the port and the device of the slot. */
function startPair(record: LinkRecord, side: Side, pair: WantedPair, views: readonly GatewayView[], turn: Turn): void {
  const known = record.pairs.find(({ index }) => index === pair.index);
  const isLeftover = ({ pair: index, number }: GatewayView): boolean =>
    index === pair.index && number !== known?.current?.number && number !== known?.next?.number;
  if (views.some(isLeftover)) return;
  for (const credentials of pair.run) {
    const view = viewOf(views, pair.index, credentials.number);
    if (view?.process === "up" && view.digest === credentials.digest) continue;
    const gateway = refOf(record, side, pair.index, credentials);
    run({ kind: "start", gateway, credentials, roots: record.roots }, turn);
  }
}

/** A drain begins when the route, as read back, has left the old generation. */
function seeDrains(record: LinkRecord, pairs: readonly WantedPair[], { observation, startedMs }: ObservedLink, turn: Turn): void {
  const { before, nowMs, options, drains, notes } = turn;
  for (const { index, draining } of pairs) {
    if (draining === null) continue;
    const isLeft = observation.route.kind === "hops" && !observation.route.hops.some((hop) => hop.pair === index && hop.number === draining.number);
    if (!isLeft) continue;
    const id = pairId(record.link.name, index);
    const view = viewOf(observation.gateways, index, draining.number);
    const earlier = before.drains.get(id);
    const drain = drainOn(earlier, draining.number, view?.tunnel === "up" ? view : null, startedMs, options);
    drains.set(id, drain);
    if (!drain.isDrained) wake(turn, nowMs + options.drainMs / 2);
    else if (earlier?.isDrained !== true || earlier.number !== drain.number) {
      notes.push({ kind: "drained", link: record.link.name, pair: index, number: drain.number, isForced: isForced(drain, startedMs, options) });
    }
  }
}

function observe(record: LinkRecord, side: Side, pairs: readonly WantedPair[], observed: ObservedLink | undefined, turn: Turn): void {
  const { observation, nowMs, options } = turn;
  const views = observed?.observation.gateways ?? [];
  const periodMs = observePeriodMs(record, side, pairs, views, options);
  const isAsked = observed === undefined || !observed.isCurrent || observation.touched.has(record.link.name);
  const dueMs = isAsked ? nowMs : observed.startedMs + periodMs;
  if (nowMs < dueMs) return wake(turn, dueMs);
  const probed = pairs.flatMap((pair) =>
    pair.run.filter((credentials) => credentials !== pair.draining).map((credentials) => refOf(record, side, pair.index, credentials)),
  );
  run({ kind: "observe", link: record.link, probe: probed }, turn);
}

/** What is not ready is looked at again after its reason's delay; a drain, and what is on its way, after `observeMs`. */
function observePeriodMs(
  record: LinkRecord,
  side: Side,
  pairs: readonly WantedPair[],
  views: readonly GatewayView[],
  options: SiteOptions,
): number {
  const peer = record.link[otherSide(side)];
  const delays = pairs.flatMap(({ index, run: wanted, draining }) =>
    wanted.flatMap((credentials) => {
      if (credentials === draining) return [options.observeMs];
      const expected = { pair: index, side, peer, credentials };
      const readiness = gatewayReadiness(expected, viewOf(views, index, credentials.number), 0);
      return readiness.kind === "ready" ? [] : [readinessRules[readiness.code].retryMs];
    }),
  );
  const isInWork = record.detached || record.pairs.some(({ next }) => next !== null);
  return delays.length > 0 ? Math.min(...delays) : isInWork ? options.observeMs : options.observeIdleMs;
}

/**
 * With a generation on its way each observation is told, so that the hub sees that it is fresh; else news is, and now and then
 * that the site is there: what a registry has lost is told again.
 */
function publish(record: LinkRecord, observed: ObservedLink | undefined, turn: Turn): void {
  const { observation, before, options, nowMs, reportedMs } = turn;
  const { name } = record.link;
  const toldMs = before.reportedMs.get(name);
  if (toldMs !== undefined) reportedMs.set(name, toldMs);
  if (observed === undefined || isFaded(observed, nowMs)) return;
  const state = { drains: turn.drains, beat: turn.beat + 1, reportedMs };
  const report = reportOf(record, options.site, observed, state, observation, nowMs);
  const isInWork = record.detached || record.pairs.some(({ next }) => next !== null);
  const isNews = !isSameNews(observation.published.get(name), report);
  const sinceMs = observed.startedMs - (toldMs ?? -Infinity);
  if (!isNews && sinceMs < (isInWork ? 1 : limits.gatewayReportIdleMs)) return;
  if (!run({ kind: "publish-report", report }, turn)) return;
  turn.beat += 1;
  reportedMs.set(name, observed.startedMs);
}

/** Too old to be told as what is so now. */
function isFaded({ startedMs }: ObservedLink, nowMs: number): boolean {
  return nowMs - startedMs > limits.gatewayObservationMsMax;
}

function run(effect: SiteEffect, { observation, effects, notes }: Turn): boolean {
  const id = effectId(effect);
  if (observation.running.has(id) || observation.waiting.has(id)) return false;
  effects.push(effect);
  if (effect.kind === "observe" || effect.kind === "publish-report" || effect.kind === "save-links") return true;
  const at = gatewayOf(effect);
  notes.push({ kind: "doing", link: linkOf(effect), what: effect.kind, pair: at?.pair ?? null, number: at?.number ?? null });
  return true;
}

function wake(turn: Turn, atMs: number): void {
  turn.wakeAtMs = Math.min(turn.wakeAtMs, atMs);
}
