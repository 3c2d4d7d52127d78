/** What a rotation without faults may cost, and that the checker sees who costs more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BudgetChecker } from "../../src/sim/checkers/budget.js";
import type { Violation } from "../../src/sim/checkers/checker.js";
import { watchedFleet } from "../../src/sim/checkers/history.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import type { SimOptions } from "../../src/sim/options.js";
import { testKey } from "../support/fleet-snapshot.js";
import { isOn } from "./scripted.js";

const nodes = 60;
const jitterMs = 10_000;
const jitter = { enabled: true, mode: "uniform", maxMs: jitterMs, minNodes: 50 } as const;

/** One rotation of 60 nodes; the files reach all of them at once. */
function rotate(coordination: SimOptions["coordination"], changes: Partial<SimOptions> = {}): readonly Violation[] {
  const options: SimOptions = { seed: 3, coordination, agent: { jitter }, packetIntervalMs: 1_000, ...changes };
  const { fleet, history } = watchedFleet(options);
  if (coordination === "barrier") fleet.addController();
  for (let i = 0; i < nodes; i += 1) fleet.addNode(`n${i}`, [testKey(1)]);
  assert.ok(fleet.runUntil(() => isOn(fleet, testKey(1)), 60_000), "the first key is in use");
  fleet.run(5_000);
  const budget = { rotations: 1, reportsPerNodeMax: 8, fleetWritesMax: 8, jitterMs };
  const checker = new BudgetChecker(fleet, history, budget);
  for (const name of fleet.live()) fleet.setKeys(name, [testKey(1), testKey(2)]);
  assert.ok(fleet.runUntil(() => isOn(fleet, testKey(2)), 120_000), "the rotation ended");
  fleet.run(5_000);
  return checker.finish();
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`budget: a rotation of ${nodes} nodes keeps it (${coordination})`, () => {
    assert.deepEqual(rotate(coordination), []);
  });

  test(`budget: jitter-ignored is a crowd (${coordination})`, () => {
    const found = rotate(coordination, mutantNamed("jitter-ignored").changes);
    assert.deepEqual(found.map(({ invariant }) => invariant), ["budget"]);
    assert.match(found[0]?.message ?? "", /began to stage key 2/);
  });
}
