import assert from "node:assert/strict";
import { test } from "node:test";
import { TimeSeries } from "./time-series.js";

test("time series: counts add up in their bin, levels hold until the next", () => {
  const series = new TimeSeries(100);
  series.count("events", 30, 2);
  series.count("events", 99, 3);
  series.level("nodes", 0, 5);
  series.level("nodes", 310, 4);
  assert.deepEqual(series.all(), [
    { name: "events", kind: "count", values: [5, 0, 0, 0] },
    { name: "nodes", kind: "level", values: [5, 5, 5, 4] },
  ]);
});

test("time series: a long run takes no more bins, and no count is lost", () => {
  const series = new TimeSeries(100);
  for (let atMs = 0; atMs < 1_000_000; atMs += 50) {
    series.count("events", atMs, 1);
    series.level("nodes", atMs, atMs < 500_000 ? 7 : 3);
  }
  const [events, nodes] = series.all();
  assert.equal(series.binMs, 1_600, "doubled until a thousand seconds fit");
  assert.equal(events?.values.reduce((sum, count) => sum + count, 0), 20_000);
  assert.equal(events?.values.length, series.bins);
  assert.deepEqual([nodes?.values[0], nodes?.values.at(-1)], [7, 3]);
});
