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

/** A reader subtracts: what was sent was received or is lost. */
function assertAccounted({ packets: { sent, received, lost } }: SimulationResult): void {
  assert.equal(received + lost, sent);
}

test("simulation: two rotations lose nothing, and each has its figures", () => {
  const result = run({ rotations: 2 });
  assert.deepEqual(result.violations, []);
  assert.equal(result.ok, true);
  assert.equal(result.packets.lost, 0);
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
  assertAccounted(result);
  const [violation] = result.violations;
  assert.equal(violation?.invariant, "S1");
  assert.match(violation.cause ?? "", new RegExp(`to ${result.slowNode} at .* because order = advertise-first`));
  const lost = result.series.all.find(({ name }) => name === "lost: inbound no_state")?.values ?? [];
  assert.equal(lost.reduce((sum, count) => sum + count, 0), result.packets.lost);
});

test("simulation: stage first with the same slow node loses none, in both coordinations", () => {
  for (const coordination of ["barrier", "pairwise"] as const) {
    const result = run({ coordination, slowNodeMs: 2_000, rate: 7 });
    assert.deepEqual([coordination, result.packets.lost, result.ok], [coordination, 0, true]);
    assertAccounted(result);
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

test("simulation: an old key that goes by its deadline is a violation, unless it was compromised", () => {
  const forced = run({ drainMs: 700_000, rate: 1 });
  assert.ok(forced.rotations.every(({ forcedRetires }) => forcedRetires === 5));
  assert.deepEqual([...new Set(forced.violations.map(({ invariant }) => invariant))], ["S2"]);
  const emergency = run({ drainMs: 700_000, rate: 1, emergency: true });
  assert.deepEqual(emergency.violations, []);
  assert.ok((emergency.rotations[0]?.retiredMs ?? Infinity) < 60_000, "within the emergency's deadline");
});

test("simulation: a node without CPU stages longer, in one request or in many", () => {
  const alone = run({ nodes: 140, rate: 1, slowNodeMs: 4_000 });
  assert.equal(alone.staging[0]?.node, alone.slowNode);
  assert.ok((alone.staging[0]?.stagingMs ?? 0) >= 4_000);
  const short = run({ nodes: 40, rate: 1, cpuShare: 0.001 });
  assert.equal(short.staging[0]?.node, short.slowNode);
  assert.ok((short.staging[0]?.stagingMs ?? 0) > 100 * (short.staging[1]?.stagingMs ?? 0));
  for (const { ok, packets } of [alone, short]) assert.ok(ok && packets.lost === 0);
});

test("simulation: a registry below the load is late, one above is not; neither loses a packet", () => {
  const [narrow, wide] = [20, 100_000].map((registryRate) => run({ coordination: "pairwise", registryRate, rate: 1 }));
  assert.ok((narrow?.registry.lagMsMax ?? 0) > 1_000);
  assert.ok((wide?.registry.lagMsMax ?? Infinity) < 10);
  assert.ok(narrow?.ok === true && wide?.ok === true);
});

test("simulation: the series add up to the totals", () => {
  const { series, packets, nodes } = run({ coordination: "pairwise", order: "advertise-first", slowNodeMs: 2_000 });
  const valuesOf = (prefix: string): readonly (readonly number[])[] =>
    series.all.filter(({ name }) => name.startsWith(prefix)).map(({ values }) => values);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  assert.equal(sum(valuesOf("lost: ").map(sum)), packets.lost);
  const phases = valuesOf("phase: ");
  const bins = phases[0]?.length ?? 0;
  for (let bin = 0; bin < bins; bin += 1) assert.equal(sum(phases.map((values) => values[bin] ?? 0)), nodes);
});

test("simulation: with a degree each node holds its peers' SAs alone, in both coordinations", () => {
  for (const coordination of ["barrier", "pairwise"] as const) {
    const result = run({ coordination, nodes: 40, degree: 4, rate: 5, keyDistributionMs: 200 });
    assert.deepEqual([coordination, result.violations, result.ok], [coordination, [], true]);
    assert.deepEqual([...new Set(result.staging.map(({ sas }) => sas))], [2 * 4], "the old key's and the new one's");
    const eventsPerNode = result.registry.watchEvents / result.nodes;
    assert.ok(eventsPerNode < 30, `${eventsPerNode.toFixed(1)} events per node, where 39 peers would make 150`);
  }
});
