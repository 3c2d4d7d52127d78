import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, parseDuration } from "./duration.js";

const parsed: readonly (readonly [string | number, number | null])[] = [
  ["500ms", 500],
  ["30s", 30_000],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["30d", 2_592_000_000],
  ["1.5s", 1_500],
  ["0.1ms", 0],
  ["30 s", 30_000],
  [" 30s ", 30_000],
  ["250", 250],
  [250, 250],
  [0, 0],
  [1.5, null],
  [-1, null],
  ["-1s", null],
  ["", null],
  ["s", null],
  ["5 minutes", null],
  ["5M", null],
  ["1m30s", null],
  [NaN, null],
];

for (const [value, expected] of parsed) {
  test(`duration: ${JSON.stringify(value)} is ${expected === null ? "refused" : `${expected} ms`}`, () => {
    assert.equal(parseDuration(value), expected);
  });
}

const formatted: readonly (readonly [number, string])[] = [
  [0, "0ms"],
  [350, "350ms"],
  [999.6, "1000ms"],
  [1_000, "1s"],
  [4_240, "4.2s"],
  [59_900, "59.9s"],
  [59_960, "1m"],
  [150_000, "2m 30s"],
  [3_600_000, "1h"],
  [3_900_000, "1h 5m"],
  [47 * 3_600_000, "47h"],
  [53 * 3_600_000, "2d 5h"],
  [2_592_000_000, "30d"],
];

for (const [durationMs, text] of formatted) {
  test(`duration: ${durationMs} ms reads ${text}`, () => {
    assert.equal(formatDuration(durationMs), text);
  });
}
