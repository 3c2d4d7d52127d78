import assert from "node:assert/strict";
import { test } from "node:test";
import { follow } from "./follow.js";
import type { KvReader } from "./kv.js";

test("follow: a registry that ends every watch at once is listed after ever longer rests, and never without one", async () => {
  let listings = 0;
  const kv: KvReader = {
    get: () => Promise.reject(new Error("not asked")),
    range: () => Promise.reject(new Error("not asked")),
    watch: (_prefix, _after, listener) => {
      setImmediate(() => listener({ kind: "compacted" }));
      return () => undefined;
    },
  };
  const list = (): Promise<{ revision: number; items: [] }> => {
    listings += 1;
    return Promise.resolve({ revision: listings, items: [] });
  };
  const rests: string[] = [];
  await new Promise<void>((resolve) => {
    const stop = follow(kv, { list, prefix: "roster/" }, { listing: () => undefined, event: () => undefined }, (hurried) => {
      rests.push(`${hurried} after ${listings} listings`);
      if (rests.length < 4) return Promise.resolve();
      stop();
      resolve();
      return Promise.resolve();
    });
  });
  // One gap is a gap: the first listing again comes at once.
  const expected = [2, 3, 4, 5].map((count) => `${count} after ${count} listings`);
  assert.deepEqual(rests, expected);
});
