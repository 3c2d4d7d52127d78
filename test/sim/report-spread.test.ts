/**
 * Pairwise, reports that nobody waits for are spread where jitter is on (cilium #42721; the load itself is measured by
 * scenario cilium-42721). Here: what somebody waits for is not.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, ask, b, c, d, offer, reportsHolding, runsOnly, settledFleet, slotsOf, stateOf, waitUntil } from "../support/sim-scenes.js";

const spreadMs = 60_000;
const jitter = { enabled: true, mode: "slotted", maxMs: 2 * spreadMs, minNodes: 2 } as const;

function jitteredFleet(): SimFleet {
  return settledFleet({ coordination: "pairwise", nodes: [a, b, c], agent: { jitter } });
}

test("report spread: a joining node is covered at once", () => {
  const fleet = jitteredFleet();
  fleet.addNode(d, [testKey(1)]);
  waitUntil(fleet, "all four run key 1", () => runsOnly(fleet, testKey(1)), 5_000);
  const isCovered = (): boolean => fleet.live().every((name) => stateOf(fleet, name).tally.covered === 3);
  waitUntil(fleet, "every pair is covered", isCovered, 5_000);
});

test("report spread: a staged key is said at once, the last switch within the spread, and nothing is lost", () => {
  const fleet = jitteredFleet();
  offer(fleet, [1, 2]);
  for (const name of fleet.live()) {
    waitUntil(fleet, `${name} stages`, () => stateOf(fleet, name).durable.staging?.keyId === 2, 3 * spreadMs);
    waitUntil(fleet, `${name} says so`, () => reportsHolding(fleet, name, testKey(2)), 1_000);
  }
  const switchedMs = fleet.time.nowMs;
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)), 3 * spreadMs);
  assert.ok(fleet.time.nowMs - switchedMs > 1_000, "not all at once");
  assert.ok(fleet.time.nowMs - switchedMs < 2 * spreadMs + 5_000);
  assert.deepEqual(fleet.losses(), []);
});

test("report spread: an abort and an emergency do not wait for it", () => {
  const fleet = jitteredFleet();
  offer(fleet, [1, 2]);
  waitUntil(fleet, "a holds key 2", () => reportsHolding(fleet, a, testKey(2)), 3 * spreadMs);
  ask(fleet, "abort", { abort: testKey(2) });
  const isGone = (): boolean => fleet.live().every((name) => slotsOf(fleet, name, testKey(2)).length === 0);
  waitUntil(fleet, "key 2 is gone", isGone, 5_000);
  fleet.registry.setRequest(null);
  offer(fleet, [1, 3]);
  ask(fleet, "rotate", { compromised: testKey(1) });
  waitUntil(fleet, "the fleet runs key 3", () => runsOnly(fleet, testKey(3)), 10_000);
  assert.deepEqual(fleet.losses(), []);
});
