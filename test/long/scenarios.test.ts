/** Scenarios whose size matters, larger than `npm test` has time for: the same script, the same expectations. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { scenarios } from "../../src/sim/scenarios/catalogue.js";
import { playScenario } from "../../src/sim/scenarios/run.js";

const nodes = 100;

for (const { name, sized } of scenarios) {
  if (sized === undefined) continue;
  test(`${name}: fails as reported and holds at ${nodes} nodes`, () => {
    const played = playScenario(sized.at(nodes), 1);
    const findings = played.flatMap(({ run, findings: found }) => found.map((what) => `${run.label}: ${what}`));
    assert.deepEqual(findings, []);
  });
}
