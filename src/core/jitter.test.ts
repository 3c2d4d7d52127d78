import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { jitterMs, nodeShare, type JitterOptions } from "./jitter.js";
import type { KeyId } from "./key-id.js";
import type { NodeName } from "./node.js";

const uniform: JitterOptions = { enabled: true, mode: "uniform", maxMs: 10_000, minNodes: 50 };
const slotted: JitterOptions = { ...uniform, mode: "slotted" };
const key = 7 as KeyId;

function nodeOf(i: number): NodeName {
  return `node-${i}.example` as NodeName;
}

test("jitter: uniform is the chance's share of the maximum, exclusive", () => {
  for (const [chance, expectedMs] of [[0, 0], [0.25, 2_500], [0.5, 5_000], [1 - 2 ** -32, 9_999]] as const) {
    assert.equal(jitterMs(uniform, 50, nodeOf(1), key, chance), expectedMs);
  }
});

test("jitter: slotted ignores chance, and replays", () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.nat(254), fc.double({ min: 0, max: 0.99, noNaN: true }), (i, keyId, chance) => {
      const waitMs = jitterMs(slotted, 50, nodeOf(i), (keyId + 1) as KeyId, chance);
      assert.equal(waitMs, jitterMs(slotted, 50, nodeOf(i), (keyId + 1) as KeyId, 0));
      assert.ok(Number.isInteger(waitMs) && waitMs >= 0 && waitMs < slotted.maxMs);
    }),
  );
});

test("jitter: slotted spreads 10,000 nodes evenly over 20 slots, for every key differently", () => {
  const slots = (keyId: number): readonly number[] => {
    const counts = new Array<number>(20).fill(0);
    for (let i = 0; i < 10_000; i += 1) {
      const slot = Math.floor(jitterMs(slotted, 10_000, nodeOf(i), keyId as KeyId, 0) / 500);
      counts[slot] = (counts[slot] ?? 0) + 1;
    }
    return counts;
  };
  for (const keyId of [1, 2, 3, 200, 255]) {
    // 500 expected; the chance of more than five deviations (22 each) in 100 slots is below one in 10,000.
    for (const count of slots(keyId)) assert.ok(count > 390 && count < 610, `key ${keyId}: ${count}`);
  }
  const moved = Array.from({ length: 100 }, (_, i) => i).filter(
    (i) => jitterMs(slotted, 100, nodeOf(i), 1 as KeyId, 0) !== jitterMs(slotted, 100, nodeOf(i), 2 as KeyId, 0),
  );
  assert.ok(moved.length > 90, "a node that was last is not always last");
});

test("jitter: off when disabled, below its number of nodes, and with a maximum of zero", () => {
  for (const mode of ["uniform", "slotted"] as const) {
    const options = { ...uniform, mode };
    assert.equal(jitterMs({ ...options, enabled: false }, 1_000, nodeOf(1), key, 0.9), 0);
    assert.equal(jitterMs(options, 49, nodeOf(1), key, 0.9), 0);
    assert.ok(jitterMs(options, 50, nodeOf(1), key, 0.9) > 0);
    assert.equal(jitterMs({ ...options, maxMs: 0 }, 1_000, nodeOf(1), key, 0.9), 0);
  }
});

test("jitter: a node's share is fixed and in [0, 1)", () => {
  const shares = Array.from({ length: 1_000 }, (_, i) => nodeShare(nodeOf(i)));
  assert.ok(shares.every((share) => share >= 0 && share < 1));
  assert.ok(new Set(shares).size > 990);
  assert.deepEqual(shares, Array.from({ length: 1_000 }, (_, i) => nodeShare(nodeOf(i))));
});
