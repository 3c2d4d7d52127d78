/**
 * Each guard taken away gives a counterexample, the shortest there is: how many moves it has is part of the test, so
 * that a rule which fails later or earlier than it did is noticed. The traces of design.md 4.7 are among them, by name.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mutantNames, withMutant } from "../../src/modelcheck/mutants.js";
import { caught } from "./caught.js";
import { assertHolds, counterexampleOf, explore, runOf, scopeOf } from "./scopes.js";

for (const { mutant, trace, bounds, invariant, moves } of caught) {
  const name = `${mutant}${trace === undefined ? "" : ` (${trace})`}`;
  test(`modelcheck: ${name} is caught with ${JSON.stringify(bounds)}`, () => {
    const search = explore(withMutant(scopeOf(bounds), mutant));
    const found = counterexampleOf(search);
    assert.equal(found.violation.invariant, invariant, runOf(search, found));
    assert.equal(found.moves.length, moves, runOf(search, found));
  });
}

/**
 * Within two nodes and these faults nothing breaks: lost outbound SAs are noticed by a second guard, a skipped key needs a
 * third node, and every write of a second leader here says what the first one's says.
 */
const uncaught = new Set<string>(["incarnation-ignored", "keep-skipped", "two-leaders-no-cas"]);

test("modelcheck: every mutant is in the table, or known to need more than its bounds", () => {
  const tried = new Set(caught.map(({ mutant }) => mutant));
  assert.deepEqual(mutantNames().filter((name) => !tried.has(name)), [...uncaught].sort());
});

test("modelcheck: the same bounds hold with the real rules (reboot, join and abort of the traces)", () => {
  assertHolds(explore(scopeOf({ coordination: "pairwise", rotations: 0, reboots: 1 })));
});
