/** What a dataplane refuses again and again is tried again with growing waits, never in a loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { saSlotKey, type SaSlot } from "../../src/core/sa.js";
import { makeSpi, splitSpi } from "../../src/core/spi.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import { testKey } from "../support/fleet-snapshot.js";
import {
  a,
  b,
  logged,
  offer,
  reusedOutbound,
  runsOnly,
  settledFleet,
  slotsOf,
  stateOf,
  waitUntil,
  type SceneOptions,
} from "../support/sim-scenes.js";

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`failed operations: an SA of a peer's earlier life that cannot be deleted causes no busy loop (${coordination})`, () => {
    const fleet = settledFleet({ coordination });
    const { kernel } = fleet.node(a);
    kernel.fails = () => true;
    fleet.reboot(b);
    fleet.run(5_000);
    const attempts = logged(fleet, "operation failed").filter(({ who }) => who === a);
    assert.ok(attempts.length > 2 && attempts.length < 20, `${attempts.length} attempts in 5 s`);
    kernel.fails = () => false;
    waitUntil(fleet, "b runs key 1 again", () => runsOnly(fleet, testKey(1)));
  });
}

/** Another program has an SA from a to b with the SPI that a is to use for key 2. */
function fleetWithTakenSpi(options: Omit<SceneOptions, "coordination">): SimFleet {
  const fleet = settledFleet({ ...options, coordination: "barrier" });
  const [toB] = outboundSlots(fleet);
  assert.ok(toB !== undefined);
  const spi = makeSpi({ ...splitSpi(toB.spi), keyId: testKey(2).keyId });
  fleet.node(a).kernel.foreignSlots.add(saSlotKey({ ...toB, spi }));
  offer(fleet, [1, 2]);
  return fleet;
}

const outboundSlots = (fleet: SimFleet): readonly SaSlot[] =>
  slotsOf(fleet, a, testKey(1)).filter(({ direction }) => direction === "out");

test("failed operations: a foreign SA with our SPI is left alone, and one new incarnation goes on without it", () => {
  const fleet = fleetWithTakenSpi({});
  const before = stateOf(fleet, a).durable.incarnation?.id;
  waitUntil(fleet, "everybody runs key 2", () => runsOnly(fleet, testKey(2)), 60_000);
  const began = logged(fleet, "new incarnation").filter(({ who }) => who === a);
  assert.equal(began.length, 2, "the first start, and the taken SPI");
  assert.notEqual(stateOf(fleet, a).durable.incarnation?.id, before);
  assert.deepEqual(reusedOutbound(fleet), []);
});

test("failed operations: taken-spi-kept waits for a place that never becomes free", () => {
  const fleet = fleetWithTakenSpi(mutantNamed("taken-spi-kept").changes);
  fleet.run(60_000);
  assert.ok(!runsOnly(fleet, testKey(2)));
});
