import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { wallMsBetween } from "./wall-time.js";

const firstMs = Date.parse("0000-03-01T00:00:00.000Z");
const lastMs = Date.parse("9999-12-31T23:59:59.999Z");

test("wall time: as the platform counts it, over all years", () => {
  const time = fc.integer({ min: firstMs, max: lastMs });
  fc.assert(
    fc.property(time, time, (from, to) => {
      assert.equal(wallMsBetween(new Date(from).toISOString(), new Date(to).toISOString()), to - from);
    }),
  );
});

test("wall time: without thousandths, and with fewer", () => {
  assert.equal(wallMsBetween("2024-02-28T23:59:59Z", "2024-03-01T00:00:00.5Z"), 24 * 3_600_000 + 1_500);
});

for (const text of ["", "yesterday", "2024-02-28", "2024-02-28T23:59:59", "2024-02-28T23:59:59+01:00"]) {
  test(`wall time: ${JSON.stringify(text)} is none`, () => {
    assert.equal(wallMsBetween(text, "2024-02-28T23:59:59Z"), null);
  });
}
