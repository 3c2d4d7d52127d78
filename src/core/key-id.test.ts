import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { testKey } from "../../test/support/fleet-snapshot.js";
import { includesKey, isNewer, nextKeyId, parseCheckValue, parseKeyId, sameKey, type KeyId, type KeyRing } from "./key-id.js";

const rings: readonly KeyRing[] = [15, 255];

/** All ids of a ring in order, from 1. */
function idsOf(ring: KeyRing): readonly KeyId[] {
  const ids: KeyId[] = [];
  for (let id = 1 as KeyId; ids.length === 0 || id !== 1; id = nextKeyId(id, ring)) ids.push(id);
  return ids;
}

const successors: readonly (readonly [number, KeyRing, number])[] = [
  [1, 15, 2],
  [14, 15, 15],
  [15, 15, 1],
  [1, 255, 2],
  [15, 255, 16],
  [190, 255, 191],
  [191, 255, 208],
  [208, 255, 209],
  [254, 255, 255],
  [255, 255, 1],
];

for (const [keyId, ring, next] of successors) {
  test(`key id: ${next} follows ${keyId} on a ring of ${ring}`, () => {
    assert.equal(nextKeyId(keyId as KeyId, ring), next);
  });
}

test("key id: a ring visits every id once, and never strongSwan's", () => {
  assert.deepEqual(idsOf(15), Array.from({ length: 15 }, (_, i) => i + 1));
  const ids = idsOf(255);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(ids.length, 255 - 16);
  assert.ok(ids.every((id) => id < 192 || id > 207));
});

const comparisons: readonly (readonly [number, number, KeyRing, boolean])[] = [
  [2, 1, 15, true],
  [1, 15, 15, true],
  [15, 1, 15, false],
  [1, 1, 15, false],
  [8, 1, 15, true],
  [9, 1, 15, false],
  [1, 9, 15, true],
  [1, 255, 255, true],
  [255, 1, 255, false],
  [128, 1, 255, true],
  [129, 1, 255, false],
  [208, 191, 255, true],
];

for (const [candidate, reference, ring, expected] of comparisons) {
  test(`key id: ${candidate} is ${expected ? "" : "not "}newer than ${reference} on a ring of ${ring}`, () => {
    assert.equal(isNewer(candidate as KeyId, reference as KeyId, ring), expected);
  });
}

test("key id: of two different ids exactly one is newer, and the next one always is", () => {
  for (const ring of rings) {
    for (const one of idsOf(ring)) {
      assert.ok(isNewer(nextKeyId(one, ring), one, ring));
      for (const other of idsOf(ring)) {
        if (one !== other) assert.notEqual(isNewer(one, other, ring), isNewer(other, one, ring), `${one} ${other}`);
      }
    }
  }
});

test("key id: only whole numbers of the ring outside the reserved range are parsed", () => {
  const isAllowed = (value: number, ring: KeyRing): boolean =>
    Number.isInteger(value) && value >= 1 && value <= ring && (value < 192 || value > 207);
  const value = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.double());
  fc.assert(
    fc.property(value, fc.constantFrom(...rings), (number, ring) => {
      assert.equal(parseKeyId(number, ring).ok, isAllowed(number, ring));
    }),
  );
  assert.match(reasonOf(parseKeyId(200, 255)), /strongSwan/);
  assert.match(reasonOf(parseKeyId(16, 15)), /from 1 to 15/);
});

function reasonOf(result: ReturnType<typeof parseKeyId>): string {
  return result.ok ? "" : result.error;
}

test("key id: a check value is 32 lower case hex digits", () => {
  assert.equal(parseCheckValue("0123456789abcdef".repeat(2)).ok, true);
  for (const text of ["", "0".repeat(31), "0".repeat(33), "G".repeat(32), "A".repeat(32), `${"0".repeat(31)}\n`]) {
    assert.equal(parseCheckValue(text).ok, false, JSON.stringify(text));
  }
});

test("key id: keys are the same when id and bytes are", () => {
  const key = testKey(3);
  assert.ok(sameKey(key, testKey(3)));
  assert.ok(!sameKey(key, testKey(3, "1")));
  assert.ok(!sameKey(key, testKey(4)));
  assert.ok(sameKey(null, null));
  assert.ok(!sameKey(null, key) && !sameKey(key, null));
  assert.ok(includesKey([testKey(2), testKey(3)], key));
  assert.ok(!includesKey([testKey(3, "1")], key));
});
