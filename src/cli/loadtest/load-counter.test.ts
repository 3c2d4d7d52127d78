import assert from "node:assert/strict";
import { test } from "node:test";
import { LoadCounter } from "./load-counter.js";

test("load counter: the peak is of one second of all threads together", () => {
  let nowMs = 5_000;
  const one = new LoadCounter(() => nowMs);
  const other = new LoadCounter(() => nowMs, one.memory);
  for (const [atMs, counter] of [[5_000, one], [5_999, other], [5_500, one], [6_000, one], [7_100, other]] as const) {
    nowMs = atMs;
    counter.countEvent();
  }
  assert.equal(one.peakEventsPerSecond, 3);
  assert.equal(other.watchEvents, 5);
});

test("load counter: a reset takes everything back, for every thread", () => {
  const one = new LoadCounter(() => 0);
  const other = new LoadCounter(() => 0, one.memory);
  one.countWrite();
  one.countLeaseRenewal();
  one.countEvent();
  assert.deepEqual([other.writes, other.leaseRenewals, other.watchEvents], [1, 1, 1]);
  other.reset();
  assert.deepEqual([one.writes, one.leaseRenewals, one.watchEvents, one.peakEventsPerSecond], [0, 0, 0, 0]);
});
