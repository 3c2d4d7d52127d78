/**
 * Levels below `require` in a fleet: rotations, aborts and restarts go on as ever, although at `accept` no packet is
 * encrypted. What the packets do is shown on a real kernel (test/kernel/cases/policy-levels.ts).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyLevel } from "../../src/core/policy-level.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, ask, b, offer, recordOf, reusedOutbound, runsOnly, settledFleet, stateOf, waitUntil } from "../support/sim-scenes.js";

const levels: readonly PolicyLevel[] = ["accept", "prefer"];

function fleetAt(policyLevel: PolicyLevel, coordination: "barrier" | "pairwise"): SimFleet {
  return settledFleet({ coordination, agent: { policyLevel } });
}

/** Kinds of the outbound policies of all nodes. */
function outbound(fleet: SimFleet): readonly string[] {
  const kinds = fleet.live().flatMap((name) =>
    [...fleet.node(name).kernel.policies()].filter(({ direction }) => direction === "out").map(({ action }) => action.kind),
  );
  return [...new Set(kinds)];
}

for (const coordination of ["barrier", "pairwise"] as const) {
  for (const level of levels) {
    test(`policy levels: a fleet at ${level} rotates and retires the old key (${coordination})`, () => {
      const fleet = fleetAt(level, coordination);
      offer(fleet, [1, 2]);
      waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, testKey(2)));
      assert.deepEqual(outbound(fleet), [level === "accept" ? "pass" : "protect"]);
      assert.deepEqual(reusedOutbound(fleet), []);
      assert.deepEqual(fleet.losses(), []);
    });

    test(`policy levels: at ${level} a node that lost its kernel's state comes back (${coordination})`, () => {
      const fleet = fleetAt(level, coordination);
      const before = stateOf(fleet, b).durable.incarnation?.id;
      fleet.reboot(b);
      waitUntil(fleet, "b runs key 1 again", () => stateOf(fleet, b).durable.incarnation?.id !== before && runsOnly(fleet, testKey(1)));
      fleet.run(2_000);
      assert.deepEqual(outbound(fleet), [level === "accept" ? "pass" : "protect"]);
    });
  }
}

test("policy levels: at accept an abort takes the fleet back to the key that it would have sent with", () => {
  const fleet = fleetAt("accept", "barrier");
  offer(fleet, [1, 2]);
  waitUntil(fleet, "a would send with key 2", () => stateOf(fleet, a).tally.onNext > 0);
  ask(fleet, "abort", { abort: testKey(2) });
  waitUntil(fleet, "the abort is answered", () => recordOf(fleet).answer !== null);
  assert.equal(recordOf(fleet).answer?.accepted, true);
  waitUntil(fleet, "everybody runs key 1 alone", () => runsOnly(fleet, testKey(1)));
});
