/** Pairwise, a large fleet's reports come by the thousand: those of some milliseconds are one turn of an agent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import { stepAgent } from "../../src/core/rotation/step.js";
import type { StepAgent } from "../../src/runtime/agent-loop.js";
import { testKey } from "../support/fleet-snapshot.js";
import { offer, runsOnly, settledFleet, waitUntil } from "../support/sim-scenes.js";

const nodes = Array.from({ length: 40 }, (_, i) => `n${i + 1}`);

test("report turns: a rotation of 40 nodes takes an agent fewer turns than it hears reports", () => {
  let turns = 0;
  const counted: StepAgent = (...words) => {
    turns += 1;
    return stepAgent(...words);
  };
  const fleet = settledFleet({
    coordination: "pairwise",
    nodes,
    // No two reports come in the same moment.
    registryDelayMs: (prng) => 1 + 20 * prng.share(),
    step: (name) => (name === ("n1" as NodeName) ? counted : undefined),
  });
  const { report } = fleet.registry.writes;
  turns = 0;
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)));
  const heard = fleet.registry.writes.report - report;
  assert.ok(heard >= 3 * nodes.length, `${heard} reports`);
  assert.ok(turns < heard / 2, `${turns} turns for ${heard} reports`);
  assert.deepEqual(fleet.losses(), []);
});
