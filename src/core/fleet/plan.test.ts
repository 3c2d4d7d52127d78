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
    const { barrier, pairwise } = plan({ nodes });
    assert.equal(barrier.writes, 3 * nodes + 4);
    assert.equal(barrier.events, 3 * nodes + 4 * nodes);
    assert.equal(pairwise.writes, 3 * nodes);
    assert.equal(pairwise.events, 3 * nodes * (nodes - 1));
  }
});

test("plan: pairwise has N squared events at once without jitter, and a fraction of that with it", () => {
  const [spread, herd] = [plan(), plan({ jitterMaxMs: 0, stagingMs: 100 })];
  assert.equal(herd.pairwise.peakEventsPerSecond, 2 * 1_000 * 999);
  const evenly = 1_000 * 999 * (1 / 15 + 1 / 30);
  assert.ok(spread.pairwise.peakEventsPerSecond > evenly);
  assert.ok(spread.pairwise.peakEventsPerSecond < 2 * evenly);
  assert.equal(herd.barrier.peakEventsPerSecond, 4 * 1_000);
});

test("plan: the old key may go after jitter, distribution, staging and drain, never before", () => {
  const { barrier, pairwise } = plan();
  const leastMs = 30_000 + 5_000 + 2_000 + 3_000;
  for (const { earliestRetireMs, totalMs } of [barrier, pairwise]) {
    assert.ok(earliestRetireMs >= leastMs);
    assert.ok(totalMs >= earliestRetireMs);
  }
  // Two bursts of 999,000 events; the jitter of 30 s absorbs most of the one while nodes stage.
  assert.equal(pairwise.earliestRetireMs, leastMs + 49_950 + 49_950 - 30_000);
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
