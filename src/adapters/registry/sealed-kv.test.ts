import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kv, KvItem, KvOperation } from "./kv.js";
import { seal, sealedKv } from "./sealed-kv.js";

const record = '{"schemaVersion":1,"name":"a","addresses":{"ipv4":"192.0.2.1"}}';

/** Holds one value, however it came there. */
function storeOf(value: string): { readonly kv: Kv; readonly put: KvOperation[] } {
  const put: KvOperation[] = [];
  const items: readonly KvItem[] = [{ key: "roster/a", value, revision: 7 }];
  const kv: Partial<Kv> = {
    get: () => Promise.resolve({ revision: 7, items }),
    range: () => Promise.resolve({ revision: 7, items }),
    watch: (_prefix, _after, listener) => {
      listener({ kind: "changes", revision: 7, changes: [{ key: "roster/a", value }, { key: "roster/b", value: null }] });
      return () => undefined;
    },
    transaction: (_compares, operations) => {
      put.push(...operations);
      return Promise.resolve({ kind: "committed", revision: 8 });
    },
  };
  return { kv: sealedKv(kv as Kv), put };
}

const edits: readonly (readonly [string, string])[] = [
  ["a field", seal(record).replace("192.0.2.1", "192.0.2.2")],
  ["its layout", JSON.stringify(JSON.parse(seal(record)), null, 2)],
  ["the order of its fields", JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(seal(record)) as object).reverse()))],
  ["its digest", seal(record).replace(/[0-9a-f]{64}/, "0".repeat(64))],
  ["its end", seal(record).slice(0, -4)],
];

for (const [what, value] of edits) {
  test(`sealed store: a record of which somebody changed ${what} is unreadable, by every way of reading`, async () => {
    const { kv } = storeOf(value);
    for (const { items } of [await kv.get(["roster/a"]), await kv.range("roster/")]) {
      assert.deepEqual(items.map(({ fault }) => fault), ["changed by hand"]);
    }
    kv.watch("roster/", 0, (event) => {
      assert.deepEqual(event.kind === "changes" && event.changes.map(({ fault }) => fault), ["changed by hand", undefined]);
    });
  });
}

test("sealed store: what was written is read as it was, also by a version that knows no digest, and one of that version", async () => {
  const { kv, put } = storeOf(record);
  assert.deepEqual((await kv.get(["roster/a"])).items, [{ key: "roster/a", value: record, revision: 7 }]);
  await kv.transaction([], [{ kind: "put", key: "roster/a", value: record }, { kind: "delete", key: "roster/b" }]);
  const [first, second] = put;
  assert.ok(first?.kind === "put");
  assert.deepEqual({ ...(JSON.parse(first.value) as object), digest: null }, { digest: null, ...(JSON.parse(record) as object) });
  assert.equal(second?.kind, "delete");
  assert.deepEqual((await storeOf(first.value).kv.range("roster/")).items, [{ key: "roster/a", value: record, revision: 7 }]);
});
