import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { EmbeddedStore } from "../../src/adapters/registry/embedded/store.js";
import type { KvOperation, KvOutcome } from "../../src/adapters/registry/kv.js";
import { limits } from "../../src/core/limits.js";

function clause(name: string, body: (context: TestContext) => Promise<void>): void {
  void test(`embedded store: ${name}`, body);
}

async function directoryFor(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-store-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function put(key: string, value = "1"): KvOperation {
  return { kind: "put", key, value };
}

function remove(key: string): KvOperation {
  return { kind: "delete", key };
}

clause("all operations happen if every comparison holds, or none", async (context) => {
  const store = new EmbeddedStore(await directoryFor(context));
  const first = await store.commit([], [put("a"), put("b")]);
  assert.deepEqual(first, { kind: "committed", revision: 1 });
  const outcome = await store.commit(
    [
      { kind: "unchanged", key: "a", revision: 1 },
      { kind: "unchanged", key: "c", revision: 5 },
    ],
    [put("a", "2"), remove("b")],
  );
  assert.deepEqual(outcome, { kind: "conflict" });
  assert.deepEqual(store.get(["a", "b", "c"]), {
    revision: 1,
    items: [
      { key: "a", value: "1", revision: 1 },
      { key: "b", value: "1", revision: 1 },
    ],
  });
  const present = [{ kind: "present", key: "a" }] as const;
  assert.deepEqual(await store.commit(present, [remove("a")]), { kind: "committed", revision: 2 });
  assert.deepEqual(await store.commit(present, [put("b")]), { kind: "conflict" });
  await store.close();
});

clause("what changes nothing makes no revision", async (context) => {
  const store = new EmbeddedStore(await directoryFor(context));
  assert.deepEqual(await store.commit([], [remove("a")]), { kind: "committed", revision: 0 });
  assert.deepEqual(store.changes("", 0, 0), []);
  await store.close();
});

clause("a range holds the keys of its prefix only, in order", async (context) => {
  const store = new EmbeddedStore(await directoryFor(context));
  const keys = ["roster", "roster-meta", "roster/a", "roster/b", "roster0", "rosters", "rost"];
  await store.commit([], keys.map((key) => put(key)));
  assert.deepEqual(store.range("roster/").items.map(({ key }) => key), ["roster/a", "roster/b"]);
  assert.deepEqual(store.range("roster/", 1).items.map(({ key }) => key), ["roster/a"]);
  const all = store.range("roster").items.map(({ key }) => key);
  assert.deepEqual(all, ["roster", "roster-meta", "roster/a", "roster/b", "roster0", "rosters"]);
  await store.close();
});

clause("transactions at once each get a revision, and the history has all", async (context) => {
  const store = new EmbeddedStore(await directoryFor(context));
  const writes = Array.from({ length: 300 }, (_, number) => put(`k/${number % 7}`, `${number}`));
  const outcomes = await Promise.all(writes.map((write) => store.commit([], [write])));
  assert.deepEqual(
    outcomes,
    writes.map((_, number) => ({ kind: "committed", revision: number + 1 })),
  );
  const changes = store.changes("k/", 0, 300) ?? [];
  assert.deepEqual(
    changes.map(({ revision, changes: [change] }) => [revision, change?.key, change?.value]),
    Array.from({ length: 300 }, (_, number) => [number + 1, `k/${number % 7}`, `${number}`]),
  );
  await store.close();
});

clause("the same after it was closed and opened again", async (context) => {
  const directory = await directoryFor(context);
  const first = new EmbeddedStore(directory);
  await first.commit([], [put("a"), put("b")]);
  await first.commit([], [remove("a"), put("b", "2")]);
  await first.writeLeader({ name: "one", leaseMs: 100 });
  await first.close();
  const second = new EmbeddedStore(directory);
  assert.equal(second.id, first.id);
  assert.equal(second.revision, 2);
  assert.deepEqual(second.range("b").items, [{ key: "b", value: "2", revision: 2 }]);
  const changes = [{ key: "a", value: null }, { key: "b", value: "2" }];
  assert.deepEqual(second.changes("", 1, 2), [{ kind: "changes", revision: 2, changes }]);
  assert.deepEqual(second.readLeader(), { name: "one", leaseMs: 100 });
  await second.close();
});

clause("the history is bounded; beyond it there is only a listing", async (context) => {
  const directory = await directoryFor(context);
  const store = new EmbeddedStore(directory);
  const large = "x".repeat(limits.recordBytesMax);
  const count = Math.ceil(limits.registryHistoryBytesMax / limits.recordBytesMax) + 4;
  const writes: Promise<KvOutcome>[] = [];
  for (let number = 0; number < count; number++) writes.push(store.commit([], [put("a", large)]));
  await Promise.all(writes);
  assert.equal(store.changes("", 0, count), null);
  assert.equal(store.changes("", count - 1, count)?.length, 1);
  assert.deepEqual(store.changes("", count, count), []);
  await store.commit([], [put("a", "small")]);
  await store.close();
  const again = new EmbeddedStore(directory);
  assert.equal(again.changes("", 0, count + 1), null, "nor after it was opened again");
  assert.equal(again.changes("", count, count + 1)?.length, 1);
  await again.close();
});

clause("a store in use is refused, and free again once closed", async (context) => {
  const directory = await directoryFor(context);
  const store = new EmbeddedStore(directory);
  assert.throws(() => new EmbeddedStore(directory), { code: "REGISTRY_STORE_IN_USE" });
  await store.commit([], [put("a")]);
  await store.close();
  await new EmbeddedStore(directory).close();
});

clause("two stores never have the same identity", async (context) => {
  const stores = [await directoryFor(context), await directoryFor(context)].map(
    (directory) => new EmbeddedStore(directory),
  );
  assert.notEqual(stores[0]?.id, stores[1]?.id);
  await Promise.all(stores.map((store) => store.close()));
});
