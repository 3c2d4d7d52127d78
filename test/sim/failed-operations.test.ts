/** What a dataplane refuses again and again is tried again with growing waits, never in a loop. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey } from "../support/fleet-snapshot.js";
import { a, b, logged, runsOnly, settledFleet, waitUntil } from "../support/sim-scenes.js";

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
