/**
 * Every interleaving of two nodes within these bounds, in both coordinations, with the real rules. Each line was red at
 * some time for a rule that an earlier draft or this version had; the sizes say that the search did not go blind.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Scope } from "../../src/modelcheck/scope.js";
import { assertHolds, explore, scopeOf } from "./scopes.js";

interface Bounds extends Partial<Scope> {
  readonly coordination: Scope["coordination"];
  /** At least; a search of fewer states has lost some. */
  readonly states: number;
}

const scopes: readonly Bounds[] = [
  { coordination: "barrier", states: 100 },
  { coordination: "barrier", crashes: 1, states: 4_000 },
  { coordination: "barrier", losses: 1, states: 250 },
  { coordination: "barrier", silences: 1, states: 30_000 },
  { coordination: "barrier", aborts: 1, states: 2_500 },
  { coordination: "barrier", rotations: 2, states: 6_000 },
  { coordination: "barrier", rotations: 0, joins: 1, states: 2_000 },
  { coordination: "barrier", rotations: 0, joins: 1, nodes: 3, states: 2_500 },
  { coordination: "barrier", rotations: 1, controllers: 2, states: 1_000 },
  { coordination: "barrier", rotations: 0, levels: 1, crashes: 1, states: 1_500 },
  { coordination: "barrier", rotations: 0, levels: 2, states: 2_000 },
  { coordination: "barrier", rotations: 1, levels: 1, states: 10_000 },
  { coordination: "barrier", rotations: 0, levels: 1, silences: 1, states: 10_000 },
  { coordination: "pairwise", states: 100 },
  { coordination: "pairwise", crashes: 1, states: 4_000 },
  { coordination: "pairwise", losses: 1, states: 250 },
  { coordination: "pairwise", aborts: 1, states: 2_000 },
  { coordination: "pairwise", rotations: 2, states: 8_000 },
  { coordination: "pairwise", rotations: 0, joins: 1, states: 1_000 },
  { coordination: "pairwise", rotations: 0, reboots: 1, states: 1_200 },
];

for (const { states, ...bounds } of scopes) {
  test(`modelcheck: holds with ${JSON.stringify(bounds)}`, () => {
    const search = explore(scopeOf(bounds));
    assertHolds(search);
    assert.ok(search.progress.states >= states, `${search.progress.states} states`);
  });
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`modelcheck: one state of each orbit stands for all of them (${coordination})`, () => {
    const scope = scopeOf({ coordination, crashes: 1 });
    const reduced = explore(scope);
    const whole = explore(scope, { symmetry: false });
    assertHolds(reduced);
    assertHolds(whole);
    let stoodFor = 0;
    for (const state of reduced.states()) stoodFor += reduced.orbitSize(state);
    assert.equal(stoodFor, whole.progress.states);
    assert.ok(reduced.progress.states < 0.6 * whole.progress.states);
  });
}
