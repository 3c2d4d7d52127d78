import assert from "node:assert/strict";
import { test } from "node:test";
import { dueTimes } from "./source.js";

const cases = [
  { name: "not yet", firstMs: 100, nowMs: 99, count: 0, nextMs: 100 },
  { name: "just now", firstMs: 100, nowMs: 100, count: 1, nextMs: 120 },
  { name: "some were missed", firstMs: 100, nowMs: 165, count: 4, nextMs: 180 },
  { name: "a second at most is caught up", firstMs: 0, nowMs: 5_000, count: 51, nextMs: 5_020 },
];

for (const { name, firstMs, nowMs, count, nextMs } of cases) {
  test(`traffic: packets due, ${name}`, () => {
    assert.deepEqual(dueTimes(firstMs, nowMs, 20), { count, nextMs });
  });
}
