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
  let told = 0;
  const event = (): void => void (told += 1);
  await new Promise<void>((resolve) => {
    const stop = follow(kv, { list, prefix: "roster/" }, { listing: () => undefined, event }, (hurried) => {
      rests.push(`${hurried} after ${listings} listings`);
      assert.equal(told, rests.length, "what is shown meanwhile may be old, and that is said");
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
