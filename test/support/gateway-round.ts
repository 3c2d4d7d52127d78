/** A round over many links, watched: who began when, how many at once, how much was issued per minute. */
import type { Link, LinkName, SiteName } from "../../src/core/gateway/link.js";
import { SimGatewayFleet } from "../../src/sim/gateway/fleet.js";

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

export interface RoundOptions {
  readonly links: number;
  readonly linksAtOnceMax: number;
  readonly holdMs: number;
  readonly intervalMs: number;
}

export function roundFleet({ links, linksAtOnceMax, holdMs, intervalMs }: RoundOptions): SimGatewayFleet {
  const all = Array.from({ length: links }, (_, i): Link => {
    return { name: `link-${i}` as LinkName, server: `hub-${i}` as SiteName, client: `edge-${i}` as SiteName, pairs: 2 };
  });
  return new SimGatewayFleet({
    seed: 1,
    links: all,
    packetEveryMs: hourMs / 2,
    // Sites at rest look and tell seldom: days of many links are run.
    site: { observeIdleMs: 6 * hourMs },
    hub: { silentMs: dayMs, linksAtOnceMax, canaryShare: 0.1, holdMs, intervalMs, jitterMs: hourMs, renewBeforeMs: 0 },
  });
}

/** Links that have begun the round of this number. */
export function begunIn(fleet: SimGatewayFleet, round: number): readonly LinkName[] {
  return fleet.links.map(({ name }) => name).filter((name) => {
    const record = fleet.record(name);
    return record !== undefined && (record.round.number >= round || record.rotation?.round?.number === round);
  });
}

export function isRoundDone(fleet: SimGatewayFleet, round: number): boolean {
  return fleet.links.every(({ name }) => (fleet.record(name)?.round.number ?? -1) >= round);
}

export function linksInWork(fleet: SimGatewayFleet): number {
  return [...fleet.registry.links.values()].filter(({ record }) => record.pairs.some(({ next }) => next !== null)).length;
}

/** Most certificates pairs issued within a minute, from `sinceMs` on. */
export function peakPerMinute(fleet: SimGatewayFleet, sinceMs: number): number {
  const at = fleet.issuer.issuedAtMs.filter((ms) => ms >= sinceMs);
  let first = 0;
  let peak = 0;
  at.forEach((ms, i) => {
    while (ms - (at[first] ?? ms) > 60_000) first += 1;
    peak = Math.max(peak, i - first + 1);
  });
  return peak;
}
