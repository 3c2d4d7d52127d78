import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../test/support/manual-clock.js";
import { runAfterChanges } from "./run-after-changes.js";

/** Something whose run takes `costMs`. */
function start(costMs: number): {
  readonly clock: ManualClock;
  readonly change: () => void;
  readonly stop: () => void;
  readonly runs: () => number;
} {
  const clock = new ManualClock();
  const listeners = new Set<() => void>();
  let runs = 0;
  const onChange = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const run = (): void => {
    runs += 1;
    clock.advance(costMs);
  };
  const stop = runAfterChanges({ onChange }, run, clock);
  const change = (): void => listeners.forEach((listener) => listener());
  return { clock, change, stop, runs: () => runs };
}

test("changes: what is cheap runs at once and after each change", () => {
  const { clock, change, runs } = start(0);
  for (const expected of [1, 2, 3]) {
    assert.equal(runs(), expected);
    change();
    clock.advance(0);
  }
});

test("changes: what is dear runs once for many changes, and the last one is not lost", () => {
  const { clock, change, runs } = start(100);
  for (let count = 0; count < 50; count++) change();
  clock.advance(399);
  assert.equal(runs(), 1);
  clock.advance(1);
  assert.equal(runs(), 2);
  clock.advance(10_000);
  assert.equal(runs(), 2);
  change();
  clock.advance(0);
  assert.equal(runs(), 3);
});

test("changes: nothing runs after the end", () => {
  const { clock, change, stop, runs } = start(100);
  change();
  stop();
  change();
  clock.advance(10_000);
  assert.equal(runs(), 1);
  assert.equal(clock.pending, 0);
});
