/**
 * What a link record wants of one of its sites: which gateways run, which keys are made, which way the route goes. The
 * record's phases become facts here; what is there already is not looked at, except to choose a route that works.
 */
import type { GatewayRef, PairIndex, Side } from "../link.js";
import type { Credentials, LinkRecord, PairRecord } from "../record.js";
import type { GatewayView, RouteView, SlotHop } from "../report.js";

export interface WantedPair {
  readonly index: PairIndex;
  /** These run; whatever else of the pair is here is removed, unless `keep` names it. */
  readonly run: readonly Credentials[];
  /** Numbers of which anything may be here. */
  readonly keep: readonly number[];
  /** The first of them that works carries the traffic. */
  readonly via: readonly Credentials[];
  /** A key is wanted for it. */
  readonly prepare: { readonly number: number; readonly slot: 0 | 1 } | null;
  /** The old generation, while it is waited for to become idle: it is not probed, as probes are traffic. */
  readonly draining: Credentials | null;
}

export function wantedPairs(record: LinkRecord): readonly WantedPair[] {
  return record.detached ? [] : record.pairs.map(wantedPair);
}

function wantedPair({ index, current, next }: PairRecord): WantedPair {
  const old = current === null ? [] : [current];
  const fresh = next === null || next.credentials === null ? [] : [next.credentials];
  const rest = { index, run: old, keep: numbersOf(old), via: old, prepare: null, draining: null };
  if (next === null) return rest;
  const both = [...fresh, ...old];
  switch (next.phase) {
    case "planned":
      return { ...rest, keep: [...rest.keep, next.number], prepare: next };
    case "issued":
      return { ...rest, run: both, keep: numbersOf(both) };
    case "switching":
      return { ...rest, run: both, keep: numbersOf(both), via: both };
    case "draining":
      return { ...rest, run: both, keep: numbersOf(both), via: both, draining: current };
    case "removing":
      return { ...rest, run: fresh, keep: numbersOf(fresh), via: fresh };
    case "rolling-back":
      return rest;
  }
}

function numbersOf(list: readonly Credentials[]): readonly number[] {
  return list.map(({ number }) => number);
}

export function refOf(record: LinkRecord, side: Side, pair: PairIndex, { number, slot }: { number: number; slot: 0 | 1 }): GatewayRef {
  return { link: record.link, side, pair, number, slot };
}

/** By what this site sees. Whether the other end sees the same is the hub's question. */
export function isUp(view: GatewayView | undefined): boolean {
  if (view?.process !== "up" || view.tunnel !== "up" || view.interfaceName === null) return false;
  return view.peer !== null && view.peer.number === view.number;
}

export function viewOf(views: readonly GatewayView[], pair: PairIndex, number: number): GatewayView | undefined {
  return views.find((view) => view.pair === pair && view.number === number);
}

/**
 * The hops that the route should have: of each pair the first that works. When nobody answers, as when the peer's program is
 * gone, those that OpenVPN calls up; when none is, those whose device is there, so that a link which lost its probes keeps
 * its route. Empty: leave the route as it is.
 */
export function wantedHops(pairs: readonly WantedPair[], views: readonly GatewayView[]): readonly SlotHop[] {
  const hasDevice = (view: GatewayView | undefined): boolean => (view?.interfaceName ?? null) !== null;
  const choices: readonly ((view: GatewayView | undefined) => boolean)[] = [
    isUp,
    (view) => hasDevice(view) && view?.tunnel === "up",
    hasDevice,
  ];
  for (const fits of choices) {
    const hops = pairs.flatMap((pair) => firstOf(pair, ({ number }) => fits(viewOf(views, pair.index, number))));
    if (hops.length > 0) return hops;
  }
  return [];
}

function firstOf({ index, via }: WantedPair, fits: (credentials: Credentials) => boolean): readonly SlotHop[] {
  const found = via.find(fits);
  return found === undefined ? [] : [{ pair: index, number: found.number, slot: found.slot }];
}

export function hopsOf(route: RouteView): readonly { readonly pair: PairIndex; readonly number: number }[] {
  return route.kind === "hops" ? route.hops : [];
}

/** The order of hops says nothing. */
export function isSameRoute(route: RouteView, hops: readonly SlotHop[]): boolean {
  const present = hopsOf(route);
  if (route.kind !== "hops" || present.length !== hops.length) return false;
  return hops.every(({ pair, number }) => present.some((hop) => hop.pair === pair && hop.number === number));
}
