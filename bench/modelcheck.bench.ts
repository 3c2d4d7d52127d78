/** Size, time and rate of the model checker's standard configurations, for docs/reference/verification.md. */
import { defaultScope, type Scope } from "../src/modelcheck/scope.js";
import { Search } from "../src/modelcheck/search.js";

const configurations: readonly Partial<Scope>[] = [
  { coordination: "barrier", crashes: 1 },
  { coordination: "pairwise", crashes: 1 },
  { coordination: "barrier", silences: 1 },
  { coordination: "barrier", crashes: 1, aborts: 1 },
  { coordination: "pairwise", crashes: 1, aborts: 1 },
  { coordination: "barrier", rotations: 2, aborts: 1 },
  { coordination: "barrier", rotations: 0, joins: 1, nodes: 3 },
  { coordination: "barrier", nodes: 3, crashes: 1 },
  { coordination: "pairwise", nodes: 3 },
];

/** Each search runs to its end. */
for (const changes of configurations) {
  const scope = { ...defaultScope, ...changes };
  const search = new Search({ ...scope, controllers: scope.coordination === "barrier" ? scope.controllers : 0 });
  const startMs = performance.now();
  while (search.advance(5_000).kind === "running");
  const seconds = (performance.now() - startMs) / 1_000;
  const { states, transitions, depth } = search.progress;
  const megabytes = Math.round(process.memoryUsage().rss / 1e6);
  const rate = Math.round(states / seconds);
  console.log(
    `${JSON.stringify(changes)}: ${search.outcome.kind}, ${states} states, ${transitions} transitions, depth ${depth}, ` +
      `${seconds.toFixed(1)} s, ${rate} states/s, ${megabytes} MB`,
  );
}
