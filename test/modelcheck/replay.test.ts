/**
 * Every counterexample of a mutant is a run of the real loops too: the simulator takes the same moves and finds the same
 * invariant broken. A model that could do what the loops cannot, or that saw a loss where none is, would show here.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { counterexampleFile } from "../../src/modelcheck/counterexample-file.js";
import { withMutant } from "../../src/modelcheck/mutants.js";
import { replayCounterexample } from "../../src/modelcheck/replay-in-simulator.js";
import { caught, type Caught } from "./caught.js";
import { counterexampleOf, explore, runOf, scopeOf } from "./scopes.js";

function fileOf({ mutant, bounds }: Caught): { readonly text: string; readonly run: string } {
  const scope = scopeOf(bounds);
  const search = explore(withMutant(scope, mutant));
  const found = counterexampleOf(search);
  return { text: JSON.stringify(counterexampleFile(scope, mutant, found)), run: runOf(search, found) };
}

for (const line of caught) {
  test(`modelcheck: the simulator confirms ${line.mutant} with ${JSON.stringify(line.bounds)}`, () => {
    const { text, run } = fileOf(line);
    const played = replayCounterexample(text);
    assert.ok(played.ok);
    assert.deepEqual(played.value.stuckAt, null, run);
    assert.ok(played.value.confirmed, `${played.value.observed.join("; ")}\n${run}`);
  });
}

const [first] = caught.filter(({ mutant }) => mutant === "switch-without-evidence");

test("modelcheck: the same moves with the real rules get stuck, and confirm nothing", () => {
  assert.ok(first !== undefined);
  const file = JSON.parse(fileOf(first).text) as object;
  const played = replayCounterexample(JSON.stringify({ ...file, mutant: null }));
  assert.ok(played.ok);
  assert.equal(played.value.confirmed, false);
  assert.notEqual(played.value.stuckAt, null);
});

test("modelcheck: a text that is no counterexample, or of an unknown mutant, is refused", () => {
  assert.ok(first !== undefined);
  const file = JSON.parse(fileOf(first).text) as object;
  for (const text of ["", "{}", "[", JSON.stringify({ ...file, schemaVersion: 2 }), JSON.stringify({ ...file, mutant: "nothing" })]) {
    assert.equal(replayCounterexample(text).ok, false, text.slice(0, 60));
  }
});
