import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PersistentMap } from "./persistent-map.js";

/** Different keys with one 32-bit FNV-1a hash, so that a leaf holds both. Found by search. */
const colliding = ["costarring", "liquid"] as const;

const anyKey = fc.oneof(
  fc.constantFrom(...colliding),
  fc.integer({ min: 0, max: 40 }).map((i) => `node-${i}`),
  fc.string({ maxLength: 6 }),
);

type Change = { readonly kind: "set"; readonly key: string; readonly value: number } | { readonly kind: "delete"; readonly key: string };

const anyChange: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("set" as const), key: anyKey, value: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ kind: fc.constant("delete" as const), key: anyKey }),
);

const anyHistory = fc.array(anyChange, { maxLength: 120 });

function applyTo(map: PersistentMap<string, number>, change: Change): PersistentMap<string, number> {
  return change.kind === "set" ? map.set(change.key, change.value) : map.delete(change.key);
}

test("persistent map: the two keys for collisions do collide", () => {
  const hashes = colliding.map((key) => {
    let hash = 0x811c9dc5;
    for (const letter of key) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
    return hash >>> 0;
  });
  assert.equal(hashes[0], hashes[1]);
});

test("persistent map: holds what a Map holds, after any history", () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      let map = PersistentMap.empty<string, number>();
      const model = new Map<string, number>();
      for (const change of history) {
        map = applyTo(map, change);
        if (change.kind === "set") model.set(change.key, change.value);
        else model.delete(change.key);
        assert.equal(map.size, model.size);
        assert.equal(map.get(change.key), model.get(change.key));
        assert.equal(map.has(change.key), model.has(change.key));
      }
      assert.deepEqual(new Map(map), model);
      assert.deepEqual(new Set(map.keys()), new Set(model.keys()));
    }),
  );
});

test("persistent map: the order depends on the keys alone, never on the history", () => {
  fc.assert(
    fc.property(anyHistory, fc.infiniteStream(fc.nat()), (history, chances) => {
      let map = PersistentMap.empty<string, number>();
      for (const change of history) map = applyTo(map, change);
      const entries = [...map];
      const shuffled = entries
        .map((entry) => ({ entry, chance: chances.next().value ?? 0 }))
        .sort((one, other) => one.chance - other.chance)
        .map(({ entry }) => entry);
      assert.deepEqual([...PersistentMap.from(shuffled)], entries);
    }),
  );
});

test("persistent map: a change leaves every earlier map as it was", () => {
  fc.assert(
    fc.property(anyHistory, (history) => {
      const kept: { map: PersistentMap<string, number>; entries: readonly (readonly [string, number])[] }[] = [];
      let map = PersistentMap.empty<string, number>();
      for (const change of history) {
        kept.push({ map, entries: [...map] });
        map = applyTo(map, change);
      }
      for (const before of kept) assert.deepEqual([...before.map], before.entries);
    }),
  );
});

test("persistent map: a change that changes nothing gives the very same map", () => {
  const value = { kind: "value" };
  const map = PersistentMap.from<string, { kind: string }>([["a", value], ["b", { kind: "other" }]]);
  assert.equal(map.set("a", value), map);
  assert.equal(map.delete("c"), map);
  assert.notEqual(map.set("a", { kind: "value" }), map);
  assert.equal(map.delete("a").delete("b"), PersistentMap.empty());
});

test("persistent map: 10,000 keys, each found and removed", () => {
  const names = Array.from({ length: 10_000 }, (_, i) => `node-${i}.example`);
  let map = PersistentMap.from(names.map((name, i) => [name, i] as const));
  assert.equal(map.size, names.length);
  for (const [i, name] of names.entries()) assert.equal(map.get(name), i);
  for (const name of names) map = map.delete(name);
  assert.equal(map.size, 0);
});
