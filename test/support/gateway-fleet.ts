/** Small simulated links for tests, and the questions that the tests ask of them. */
import assert from "node:assert/strict";
import type { Link, LinkName, PairIndex, SiteName } from "../../src/core/gateway/link.js";
import type { LinkRecord, NextGeneration, PairPhase } from "../../src/core/gateway/record.js";
import { GatewayChecker } from "../../src/sim/gateway/checker.js";
import { SimGatewayFleet, type GatewaySimOptions } from "../../src/sim/gateway/fleet.js";

export function linkOf(server: string, client: string, pairs = 2): Link {
  return { name: `${server}-to-${client}` as LinkName, server: server as SiteName, client: client as SiteName, pairs };
}

/** Names of which one begins with the other. */
export const link = linkOf("w-1", "w-10");

export interface Stage {
  readonly fleet: SimGatewayFleet;
  readonly checker: GatewayChecker;
}

/** Links that have their first generation, under traffic and watched by the checker. */
export function stage(options: Partial<GatewaySimOptions> = {}): Stage {
  const fleet = new SimGatewayFleet({ seed: 1, links: [link], ...options });
  const checker = new GatewayChecker(fleet);
  assert.ok(fleet.bringUp(), "the links come up");
  fleet.run(1_000);
  return { fleet, checker };
}

export function recordOf(fleet: SimGatewayFleet, of: Link = link): LinkRecord {
  const record = fleet.record(of.name);
  assert.ok(record !== undefined);
  return record;
}

export function nextOf(fleet: SimGatewayFleet, of: Link = link): NextGeneration | null {
  return recordOf(fleet, of).pairs.find(({ next }) => next !== null)?.next ?? null;
}

export function numbersOf(fleet: SimGatewayFleet, of: Link = link): readonly (number | undefined)[] {
  return recordOf(fleet, of).pairs.map(({ current }) => current?.number);
}

export function runToPhase(fleet: SimGatewayFleet, phase: PairPhase, of: Link = link, limitMs = 300_000): void {
  assert.ok(fleet.runUntil(() => nextOf(fleet, of)?.phase === phase, limitMs), `no pair of ${of.name} came to ${phase}`);
}

export function runToRest(fleet: SimGatewayFleet, of: Link = link, limitMs = 300_000): void {
  const isAtRest = fleet.runUntil(() => fleet.isAtRest(of), limitMs, 50);
  assert.ok(isAtRest, `${of.name} does not come to rest: ${JSON.stringify(recordOf(fleet, of).rotation)}`);
}

/** No packet was lost that no fault excuses, and everything is as it should be. */
export function assertHeld({ fleet, checker }: Stage): void {
  assert.deepEqual(checker.finish(), []);
  assert.ok(fleet.traffic.sent > 0);
}

/** A number names one pair's credentials for ever: which of them sites had with two different ones. */
export function watchCredentials(fleet: SimGatewayFleet): { twice(): readonly number[] } {
  const digests = new Map<number, Set<string>>();
  const look = (): void => {
    for (const { number, credentials } of fleet.tunnels.all) {
      if (credentials !== null) digests.set(number, (digests.get(number) ?? new Set()).add(credentials.digest));
    }
    fleet.time.post(fleet.time.nowMs + 10, look);
  };
  look();
  return { twice: () => [...digests].filter(([, { size }]) => size > 1).map(([number]) => number) };
}

export const pairOf = (index: number): PairIndex => index as PairIndex;
