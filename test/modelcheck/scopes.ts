/** Searches for the tests: a whole scope at once, and what came of it. */
import assert from "node:assert/strict";
import { defaultScope, type Scope } from "../../src/modelcheck/scope.js";
import { Search, type Counterexample, type SearchOptions } from "../../src/modelcheck/search.js";
import { describeRun } from "../../src/modelcheck/words.js";

export function scopeOf(changes: Partial<Scope>): Scope {
  const scope = { ...defaultScope, ...changes };
  return scope.coordination === "barrier" ? scope : { ...scope, controllers: 0 };
}

export function explore(scope: Scope, options?: SearchOptions): Search {
  const search = new Search(scope, options);
  while (search.advance(10_000).kind === "running");
  return search;
}

/** Everything was visited and nothing is wrong; otherwise the run that breaks it is printed. */
export function assertHolds(search: Search): void {
  const { outcome } = search;
  assert.equal(outcome.kind, "holds", outcome.kind === "counterexample" ? runOf(search, outcome.found) : "");
}

export function counterexampleOf(search: Search): Counterexample {
  const { outcome } = search;
  assert.ok(outcome.kind === "counterexample", "the search finds a counterexample");
  return outcome.found;
}

export function runOf(search: Search, { violation, moves }: Counterexample): string {
  return [...describeRun(search.model, moves), `${violation.invariant}: ${violation.message}`].join("\n");
}
