import assert from "node:assert/strict";
import { test } from "node:test";
import { mutantNamed } from "../mutants/named-mutants.js";
import { Simulation } from "./simulation.js";
import { simulationDefaults, type SimulationOptions } from "./simulation-options.js";
import type { SimulationResult } from "./simulation-result.js";

function run(changes: Partial<SimulationOptions>, slices = Infinity): SimulationResult {
  const simulation = new Simulation({ ...simulationDefaults, nodes: 5, ...changes });
  for (let slice = 0; slice < slices && simulation.advance(); slice += 1);
  return simulation.finish();
}

test("simulation: two rotations lose nothing, and each has its figures", () => {
  const result = run({ rotations: 2 });
  assert.deepEqual(result.violations, []);
  assert.equal(result.ok, true);
  assert.equal(result.packets.lost, 0);
  assert.ok(result.packets.received > 0.99 * result.packets.sent, "all but those on their way at the end");
  assert.deepEqual(result.rotations.map(({ keyId }) => keyId), [2, 3]);
  for (const { stagedMs, switchedMs, retiredMs, durationMs } of result.rotations) {
    assert.ok(stagedMs !== null && switchedMs !== null && retiredMs !== null && durationMs !== null);
    assert.ok(stagedMs <= switchedMs && switchedMs + simulationDefaults.drainMs <= retiredMs && retiredMs <= durationMs);
  }
  assert.equal(result.staging.length, 5);
});

test("simulation: the same seed gives the same bytes, another seed others", () => {
  const [once, again, other] = [run({ seed: 7 }), run({ seed: 7 }), run({ seed: 8 })].map((result) => JSON.stringify(result));
  assert.equal(once, again);
  assert.notEqual(once, other);
});

test("simulation: today's order loses packets on the slow node, and says why", () => {
  const result = run({ coordination: "pairwise", order: "advertise-first", slowNodeMs: 2_000 });
  assert.deepEqual(Object.keys(result.packets.lostByReason), ["inbound no_state"]);
  assert.equal(result.staging[0]?.node, result.slowNode);
  assert.ok((result.staging[0]?.stagingMs ?? 0) >= 2_000);
  const [violation] = result.violations;
  assert.equal(violation?.invariant, "S1");
  assert.match(violation.cause ?? "", new RegExp(`to ${result.slowNode} at .* because order = advertise-first`));
  const lost = result.series.all.find(({ name }) => name === "lost: inbound no_state")?.values ?? [];
  assert.equal(lost.reduce((sum, count) => sum + count, 0), result.packets.lost);
});

test("simulation: stage first with the same slow node loses none, in both coordinations", () => {
  for (const coordination of ["barrier", "pairwise"] as const) {
    const result = run({ coordination, slowNodeMs: 2_000 });
    assert.deepEqual([coordination, result.packets.lost, result.ok], [coordination, 0, true]);
  }
});

test("simulation: at each time every node is in one phase", () => {
  const { series } = run({ jitter: "slotted", jitterMaxMs: 2_000 });
  const phases = series.all.filter(({ name }) => name.startsWith("phase: "));
  assert.ok(phases.some(({ name }) => name === "phase: waiting"));
  const bins = phases[0]?.values.length ?? 0;
  for (let bin = 0; bin < bins; bin += 1) {
    assert.equal(phases.reduce((sum, { values }) => sum + (values[bin] ?? 0), 0), 5, `bin ${bin}`);
  }
});

test("simulation: a run that is stopped says so, and what it had found", () => {
  const result = run({}, 30);
  assert.equal(result.complete, false);
  assert.equal(result.ok, false);
  assert.deepEqual(result.violations, [], "rest was not asked of it");
  assert.equal(result.endedMs, 3_000);
});

test("simulation: a mutant is caught, and named", () => {
  const result = run({ coordination: "pairwise", keyDistributionMs: 0, slowNodeMs: 1_000, mutant: mutantNamed("advertise-before-staged") });
  assert.ok(result.violations.some(({ invariant, cause }) => invariant === "S1" && cause?.includes("advertise-before-staged")));
  assert.match(result.replay, /--mutant advertise-before-staged/);
});
