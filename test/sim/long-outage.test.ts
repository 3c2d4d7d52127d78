/** Issue 5, chaos: the registry is away for ten minutes of a rotation, whatever the phase. The dataplane does not notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, b, c, isStaging, offer, reportsHolding, runsOnly, settledFleet, stateOf, waitUntil } from "../support/sim-scenes.js";

const tenMinutesMs = 600_000;
const nodes = [a, b, c];

/** For everybody: agents hear nothing and write nothing, and the controller that led is gone. */
function awayForTenMinutes(fleet: SimFleet, hasController: boolean): void {
  for (const name of nodes) fleet.partition(name);
  if (hasController) fleet.killController(0);
  fleet.run(tenMinutesMs);
  if (hasController) fleet.addController();
  for (const name of nodes) fleet.heal(name);
}

function assertGoesOn(fleet: SimFleet): void {
  assert.deepEqual(fleet.losses(), [], "traffic did not notice");
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)), 60_000);
  offer(fleet, [2, 3]);
  waitUntil(fleet, "and key 3 after it", () => runsOnly(fleet, testKey(3)), 60_000);
  assert.deepEqual(fleet.losses(), []);
}

for (const phase of ["staging", "staged", "draining"] as const) {
  test(`long outage: ten minutes without a registry in phase ${phase} (barrier)`, () => {
    const fleet = settledFleet({ coordination: "barrier" });
    offer(fleet, [1, 2]);
    waitUntil(fleet, phase, () => fleet.registry.fleet?.phase === phase);
    awayForTenMinutes(fleet, true);
    assertGoesOn(fleet);
  });
}

const moments: readonly (readonly [string, (fleet: SimFleet) => boolean])[] = [
  ["one node stages", (fleet) => isStaging(fleet, a, 2)],
  ["one node has staged", (fleet) => nodes.some((name) => reportsHolding(fleet, name, testKey(2)))],
  ["one node drains", (fleet) => nodes.some((name) => stateOf(fleet, name).phase === "draining")],
];

for (const [moment, holds] of moments) {
  test(`long outage: ten minutes without a registry when ${moment} (pairwise)`, () => {
    const fleet = settledFleet({ coordination: "pairwise" });
    offer(fleet, [1, 2]);
    waitUntil(fleet, moment, () => holds(fleet));
    awayForTenMinutes(fleet, false);
    assertGoesOn(fleet);
  });
}

test("long outage: a node starts again in the midst of it, and its peers go on with what it has", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  offer(fleet, [1, 2]);
  waitUntil(fleet, "staged", () => fleet.registry.fleet?.phase === "staged");
  for (const name of nodes) fleet.partition(name);
  fleet.run(tenMinutesMs / 2);
  fleet.killAgent(b);
  fleet.startAgent(b);
  fleet.run(tenMinutesMs / 2);
  for (const name of nodes) fleet.heal(name);
  assertGoesOn(fleet);
});
