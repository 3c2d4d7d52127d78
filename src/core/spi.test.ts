import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AssertionError } from "./assert.js";
import type { KeyId } from "./key-id.js";
import { limits } from "./limits.js";
import { formatSpi, makeSpi, splitSpi, type IncarnationNumber, type NodeIndex, type Spi } from "./spi.js";

function parts(keyId: number, index: number, number: number): Parameters<typeof makeSpi>[0] {
  return { keyId: keyId as KeyId, index: index as NodeIndex, number: number as IncarnationNumber };
}

const anyParts = fc
  .tuple(
    fc.integer({ min: 1, max: 255 }),
    fc.integer({ min: 0, max: limits.nodeIndexMax }),
    fc.integer({ min: 0, max: limits.incarnationNumberMax }),
  )
  .map(([keyId, index, number]) => parts(keyId, index, number));

test("spi: splitting gives back what it was made of, and every value is a 32-bit SPI that is not reserved", () => {
  fc.assert(
    fc.property(anyParts, (made) => {
      const spi = makeSpi(made);
      assert.deepEqual(splitSpi(spi), made);
      assert.ok(Number.isInteger(spi) && spi >= 256 && spi <= 0xffff_ffff);
    }),
  );
});

test("spi: different parts give different values", () => {
  fc.assert(
    fc.property(anyParts, anyParts, (one, other) => {
      const isSame = one.keyId === other.keyId && one.index === other.index && one.number === other.number;
      assert.equal(makeSpi(one) === makeSpi(other), isSame);
    }),
  );
});

const printed: readonly (readonly [number, number, number, string])[] = [
  [1, 0, 0, "0x01000000"],
  [1, 1, 0, "0x01000010"],
  [3, 0xbeef, 2, "0x030beef2"],
  [255, limits.nodeIndexMax, 15, "0xffffffff"],
];

for (const [keyId, index, number, text] of printed) {
  test(`spi: key ${keyId}, index ${index}, number ${number} is printed ${text}`, () => {
    assert.equal(formatSpi(makeSpi(parts(keyId, index, number))), text);
  });
}

test("spi: the largest value is printed in 8 digits and the smallest is padded", () => {
  assert.equal(formatSpi(256 as Spi), "0x00000100");
});

for (const [what, made] of [
  ["key id 0", parts(0, 0, 0)],
  ["key id 256", parts(256, 0, 0)],
  ["an index of 21 bits", parts(1, limits.nodeIndexMax + 1, 0)],
  ["a number of 5 bits", parts(1, 0, 16)],
  ["a negative index", parts(1, -1, 0)],
] as const) {
  test(`spi: ${what} is our own bug`, () => {
    assert.throws(() => makeSpi(made), AssertionError);
  });
}
