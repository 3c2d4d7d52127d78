/** Larger searches of the model checker: three nodes, and two faults at once. Minutes. */
import { test } from "node:test";
import type { Scope } from "../../src/modelcheck/scope.js";
import { assertHolds, explore, scopeOf } from "../modelcheck/scopes.js";

const scopes: readonly Partial<Scope>[] = [
  { coordination: "barrier", nodes: 3 },
  { coordination: "barrier", nodes: 3, crashes: 1 },
  { coordination: "barrier", crashes: 1, aborts: 1 },
  { coordination: "barrier", rotations: 2, aborts: 1 },
  { coordination: "pairwise", nodes: 3 },
  { coordination: "pairwise", crashes: 1, aborts: 1 },
  { coordination: "pairwise", losses: 1, crashes: 1, aborts: 1 },
  { coordination: "pairwise", rotations: 2, aborts: 1 },
  { coordination: "pairwise", reboots: 1 },
];

for (const bounds of scopes) {
  test(`modelcheck: holds with ${JSON.stringify(bounds)}`, () => assertHolds(explore(scopeOf(bounds))));
}
