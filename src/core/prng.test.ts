import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makePrng } from "./prng.js";

test("prng: a seed gives one sequence, another seed another one", () => {
  const draw = (seed: number): readonly number[] => {
    const prng = makePrng(seed);
    return Array.from({ length: 50 }, () => prng.next());
  };
  fc.assert(
    fc.property(fc.nat(), fc.nat(), (one, other) => {
      assert.deepEqual(draw(one), draw(one));
      if (one !== other) assert.notDeepEqual(draw(one), draw(other));
    }),
  );
});

test("prng: xoshiro128** as published, from the state that seed 0 gives", () => {
  const state = [0, 1, 2, 3].map((i) => {
    const mixed = Math.imul(0x9e3779b9, i + 1) >>> 0;
    let word = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    return BigInt((word ^ (word >>> 16)) >>> 0);
  });
  const prng = makePrng(0);
  for (let i = 0; i < 1_000; i += 1) assert.equal(BigInt(prng.next()), reference(state));
});

/** xoshiro128** 1.1 (Blackman and Vigna), written down again in 32-bit arithmetic on big integers. */
function reference(s: bigint[]): bigint {
  const mask = 0xffff_ffffn;
  const rotate = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  const [s0 = 0n, s1 = 0n, s2 = 0n, s3 = 0n] = s;
  const result = (rotate((s1 * 5n) & mask, 7n) * 9n) & mask;
  const shifted = (s1 << 9n) & mask;
  const [t2, t3] = [s2 ^ s0, s3 ^ s1];
  s[1] = s1 ^ t2;
  s[0] = s0 ^ t3;
  s[2] = t2 ^ shifted;
  s[3] = rotate(t3, 11n);
  return result;
}

test("prng: values stay in their ranges and fill them", () => {
  const prng = makePrng(1);
  const counts = new Array<number>(10).fill(0);
  for (let i = 0; i < 10_000; i += 1) {
    const drawn = prng.below(10);
    counts[drawn] = (counts[drawn] ?? 0) + 1;
    const share = prng.share();
    assert.ok(share >= 0 && share < 1);
    const word = prng.next();
    assert.ok(Number.isInteger(word) && word >= 0 && word < 2 ** 32);
  }
  assert.equal(counts.length, 10);
  // 1,000 expected, deviation 30.
  for (const count of counts) assert.ok(count > 850 && count < 1_150, `${count}`);
});
