import assert from "node:assert/strict";
import { test } from "node:test";
import { planRotation, type FleetPlan, type PlanOptions } from "./plan.js";

const options: PlanOptions = {
  nodes: 1_000,
  stagingMs: 2_000,
  registryRate: 20_000,
  jitterMaxMs: 30_000,
  jitterMinNodes: 50,
  keyDistributionMs: 5_000,
  stageDeadlineMs: 600_000,
  retireDeadlineMs: 600_000,
  drainMs: 3_000,
};

function plan(changes: Partial<PlanOptions> = {}): FleetPlan {
  return planRotation({ ...options, ...changes });
}

test("plan: barrier events grow with N, pairwise events with N squared", () => {
  for (const nodes of [1, 2, 10, 1_000, 100_000]) {
    const { barrier, pairwise } = plan({ nodes, jitterMaxMs: 0 });
    assert.equal(barrier.writes, 4 * nodes + 8);
    assert.equal(barrier.events, 4 * nodes + 4 * nodes);
    assert.equal(pairwise.writes, 5 * nodes);
    assert.equal(pairwise.events, 5 * nodes * (nodes - 1));
  }
  assert.equal(plan().barrier.writes, 6 * 1_000 + 8, "with jitter they also say that they wait");
});

test("plan: jitter spreads what pairwise nodes say; a barrier's fleet record stays one burst", () => {
  const [spread, herd] = [plan(), plan({ jitterMaxMs: 0, stagingMs: 100, keyDistributionMs: 0 })];
  assert.equal(herd.pairwise.peakEventsPerSecond, 4 * 1_000 * 999);
  assert.ok(spread.pairwise.peakEventsPerSecond < herd.pairwise.peakEventsPerSecond / 10);
  assert.equal(herd.barrier.peakEventsPerSecond, 6 * 1_000);
  assert.ok(spread.barrier.peakEventsPerSecond >= 3 * 1_000);
});

test("plan: over capacity is the busiest second that takes longer than one", () => {
  const { peakEventsPerSecond } = plan({ registryRate: 1_000_000 }).pairwise;
  const [exact, below] = [0, -1].map((more) => plan({ registryRate: peakEventsPerSecond + more }));
  assert.ok(exact?.pairwise.withinCapacity && exact.pairwise.lagMs === 0);
  const half = plan({ registryRate: Math.floor(peakEventsPerSecond / 2) }).pairwise;
  assert.ok(!half.withinCapacity && half.lagMs >= 1_000 && half.lagMs < 1_010);
  assert.ok((below?.pairwise.lagMs ?? -1) >= 0);
});

test("plan: the old key may go after jitter, distribution, staging and drain, never before", () => {
  const { barrier, pairwise } = plan();
  const leastMs = 30_000 + 5_000 + 2_000 + 3_000;
  for (const { earliestRetireMs, totalMs } of [barrier, pairwise]) {
    assert.ok(earliestRetireMs >= leastMs);
    assert.ok(totalMs >= earliestRetireMs);
  }
  // Bursts of 999,000 events: three while nodes stage, of which these 37 s absorb a part, and one when all have switched.
  assert.equal(pairwise.earliestRetireMs, leastMs + (3 * 49_950 - 37_000) + 49_950);
});

test("plan: a slow registry delays pairwise by hours and barrier by seconds", () => {
  const { barrier, pairwise } = plan({ nodes: 10_000, registryRate: 5_000 });
  assert.ok(pairwise.totalMs > 3_600_000);
  assert.ok(
    barrier.totalMs < plan({ nodes: 10_000, registryRate: 1_000_000 }).barrier.totalMs + 20_000,
  );
});

test("plan: no jitter in small fleets; a stage deadline that is too short does not fit", () => {
  assert.equal(plan({ nodes: 49 }).preflight.jitterMs, 0);
  assert.equal(plan({ nodes: 50 }).preflight.jitterMs, 30_000);
  assert.equal(plan({ stageDeadlineMs: 38_999 }).preflight.fits, false);
  assert.equal(plan({ stageDeadlineMs: 39_000 }).preflight.fits, true);
});

test("plan: the deadline bounds the drain", () => {
  const short = plan({ retireDeadlineMs: 1_000 });
  assert.equal(plan().barrier.totalMs - short.barrier.totalMs, 2_000);
  assert.equal(plan().pairwise.totalMs - short.pairwise.totalMs, 2_000);
});
