/** What failed while the registry was away is tried again when it is back, and not when the last back-off ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { includesKey } from "../../src/core/key-id.js";
import type { NodeName } from "../../src/core/node.js";
import { testKey } from "../support/fleet-snapshot.js";
import { giveKeys, startFleet } from "./scripted.js";

const b = "b" as NodeName;

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`registry: after a minute away a node reports within a second of its return (${coordination})`, () => {
    const fleet = startFleet({ coordination, packetIntervalMs: 100, controller: { silentMs: 600_000 } });
    const isOffered = (): boolean => includesKey(fleet.registry.report(b)?.available ?? [], testKey(2));
    fleet.partition(b);
    giveKeys(fleet, b, 1, 2);
    // Tries at 0, 0.25, 0.75, ... 31.75 and 61.75 s have failed; the next one would be half a minute away.
    fleet.run(62_500);
    assert.equal(isOffered(), false);
    fleet.heal(b);
    assert.ok(fleet.runUntil(isOffered, 1_000), "the report came");
  });
}
