/** One real etcd that dies, forgets, falls silent or is replaced, under watches that go on. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { connectEtcd } from "../../src/adapters/registry/etcd/open.js";
import { EtcdKv } from "../../src/adapters/registry/etcd/etcd-kv.js";
import type { EtcdOptions } from "../../src/adapters/registry/etcd/options.js";
import { limits } from "../../src/core/limits.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { compact, freshFleet, skipWithoutEtcd, startEtcd, type EtcdCluster } from "../support/etcd.js";
import { FollowedRoster } from "../support/followed-roster.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { failsWith, Recorder, succeeds } from "./recorder.js";
import { admission, fleetRecord, nodeName } from "./registry-records.js";

const skip = await skipWithoutEtcd();

function clause(name: string, body: (context: TestContext) => Promise<void>): void {
  test(`etcd faults: ${name}`, { skip, timeout: 90_000 }, body);
}

async function startFor(context: TestContext): Promise<EtcdCluster> {
  const cluster = await startEtcd();
  context.after(() => cluster.stop());
  return cluster;
}

async function connectFor(context: TestContext, options: EtcdOptions): Promise<RegistryPort> {
  const registry = await connectEtcd(options, () => undefined);
  context.after(() => registry.close());
  return registry;
}

function admit(registry: RegistryPort, name: string): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name), done));
}

function remove(registry: RegistryPort, name: string): Promise<number> {
  return succeeds((done) => registry.remove(nodeName(name), done));
}

clause("a server that is killed mid-watch and starts again is followed without a listing", async (context) => {
  const cluster = await startFor(context);
  const options = freshFleet(cluster.endpoints);
  const registry = await connectFor(context, options);
  for (const name of ["a", "b"]) await admit(registry, name);
  const roster = new FollowedRoster(registry);
  await roster.shows(["a", "b"]);
  const [member] = cluster.members;
  for (const round of [1, 2, 3]) {
    await member?.stop("SIGKILL");
    await roster.lost();
    member?.start();
    await cluster.ready();
    const other = await connectFor(context, options);
    await remove(other, round === 1 ? "a" : `n${round - 1}`);
    await admit(other, `n${round}`);
    await roster.shows(["b", `n${round}`]);
  }
  assert.equal(roster.count("removed"), 3, "each deletion was told, none was found in a listing");
});

clause("a write that waits for a server is done when it comes", async (context) => {
  const cluster = await startFor(context);
  const registry = await connectFor(context, freshFleet(cluster.endpoints));
  const [member] = cluster.members;
  await member?.stop("SIGKILL");
  const admitted = admit(registry, "a");
  member?.start();
  assert.equal((await admitted).name, "a");
});

clause("a silent way is noticed; a compaction meanwhile is a new listing", async (context) => {
  const cluster = await startFor(context);
  const proxy = new TcpProxy(cluster.endpoints[0]?.port ?? 0);
  await proxy.open();
  context.after(() => proxy.cut());
  const options = freshFleet(cluster.endpoints);
  const far = await connectFor(context, {
    ...options,
    endpoints: [{ host: "127.0.0.1", port: proxy.port }],
  });
  const inside = await connectFor(context, options);
  for (const name of ["a", "b", "c"]) await admit(inside, name);
  const roster = new FollowedRoster(far);
  await roster.shows(["a", "b", "c"]);
  const frozenMs = performance.now();
  proxy.freeze();
  await roster.lost();
  assert.ok(performance.now() - frozenMs <= 3 * limits.registryPingMs, "two looks, and a bit");
  await remove(inside, "a");
  await admit(inside, "d");
  await remove(inside, "d");
  await compact(cluster);
  await remove(inside, "b");
  proxy.thaw();
  await roster.shows(["c"]);
  assert.equal(roster.count("removed"), 0, "the listing says it all");
  await admit(inside, "e");
  await roster.shows(["c", "e"]);
});

clause("a store that was replaced by another one is listed anew", async (context) => {
  const first = await startFor(context);
  const second = await startFor(context);
  const proxy = new TcpProxy(first.endpoints[0]?.port ?? 0);
  await proxy.open();
  context.after(() => proxy.cut());
  const options = freshFleet(first.endpoints);
  const registry = await connectFor(context, {
    ...options,
    endpoints: [{ host: "127.0.0.1", port: proxy.port }],
  });
  for (const name of ["a", "b", "c"]) await admit(registry, name);
  const watch = new Recorder<WatchEvent<RosterEntry>>();
  registry.watchRoster(watch.listener);
  await watch.first((event) => event.kind === "listing");
  await proxy.cut();
  await watch.first((event) => event.kind === "disconnected");
  const inside = await connectFor(context, { ...options, endpoints: second.endpoints });
  await admit(inside, "z");
  proxy.retarget(second.endpoints[0]?.port ?? 0);
  await proxy.open();
  await watch.first((event) => event.kind === "listing" && event.items[0]?.name === "z");
  assert.ok(watch.events.every(({ kind }) => kind !== "put" && kind !== "removed"));
});

clause("a listing of several pages is one state, and what is beyond a page is not lost", async (context) => {
  const cluster = await startFor(context);
  const kv = new EtcdKv(freshFleet(cluster.endpoints));
  context.after(() => kv.close());
  const count = 2 * limits.etcdPageItemsMax + 1;
  for (let item = 0; item < count; item++) {
    await kv.transaction([], [{ kind: "put", key: `k/${String(item).padStart(5, "0")}`, value: "v" }]);
  }
  const { items, revision } = await kv.range("k/");
  assert.equal(items.length, count);
  assert.ok(items.every((item, index) => index === 0 || item.key > (items[index - 1]?.key ?? "")));
  assert.equal(revision, items.at(-1)?.revision);
  assert.equal((await kv.range("k/", 3)).items.length, 3);
});

clause("without the ledger nobody is admitted next to nodes; restored, all goes on", async (context) => {
  const cluster = await startFor(context);
  const options = freshFleet(cluster.endpoints);
  const registry = await connectFor(context, options);
  const before = await admit(registry, "a");
  const kv = new EtcdKv(options);
  context.after(() => kv.close());
  const [ledger] = (await kv.get(["roster-meta"])).items;
  assert.ok(ledger !== undefined);
  await kv.transaction([], [{ kind: "delete", key: ledger.key }]);
  const register = (done: Parameters<RegistryPort["register"]>[1]): void =>
    registry.register(admission("b"), done);
  assert.equal(await failsWith(register), "REGISTRY_LEDGER_LOST");
  await kv.transaction([], [{ kind: "put", key: ledger.key, value: ledger.value }]);
  const after = await admit(registry, "b");
  assert.notEqual(after.index, before.index);
});

clause("a record beyond the server's limit is refused by its code, and the fleet goes on", async (context) => {
  const cluster = await startEtcd(1, { flags: () => ["--max-request-bytes", "20000"] });
  context.after(() => cluster.stop());
  const registry = await connectFor(context, freshFleet(cluster.endpoints));
  const excluded = Array.from({ length: 400 }, (_, serial) => admission(`node-${serial}`, serial + 1));
  const large = { ...fleetRecord(1), excluded };
  const code = await failsWith<number>((done) => registry.writeFleet(large, 0, done));
  assert.equal(code, "REGISTRY_RECORD_TOO_LARGE");
  await succeeds<number>((done) => registry.writeFleet(fleetRecord(1), 0, done));
});

clause("a megabyte that somebody wrote by hand is named, and neither a change nor a removal", async (context) => {
  const cluster = await startFor(context);
  const options = freshFleet(cluster.endpoints);
  const skipped = new Recorder<string>();
  const registry = await connectEtcd(options, ({ key, reason }) => skipped.listener(`${key}: ${reason}`));
  context.after(() => registry.close());
  await admit(registry, "a");
  const watch = new Recorder<WatchEvent<RosterEntry>>();
  registry.watchRoster(watch.listener);
  await watch.first(({ kind }) => kind === "listing");
  const kv = new EtcdKv(options);
  context.after(() => kv.close());
  const value = JSON.stringify({ schemaVersion: 1, name: "x".repeat(1_000_000) });
  await kv.transaction([], [{ kind: "put", key: "roster/a", value }]);
  await skipped.first((line) => line.startsWith("roster/a: "));
  await admit(registry, "b");
  await watch.first(({ kind }) => kind === "put");
  assert.ok(watch.events.every(({ kind }) => kind !== "removed"));
  assert.ok(skipped.events.every((line) => line.length < 200), "and its content is not shown");
});

clause("renewals at once share one lease, and a lease whose record somebody deleted is listed again", async (context) => {
  const cluster = await startFor(context);
  const options = freshFleet(cluster.endpoints);
  const kv = new EtcdKv(options);
  context.after(() => kv.close());
  const renew = (): Promise<void> => kv.renewLease("a", "life", 60_000);
  await Promise.all(Array.from({ length: 5 }, renew));
  assert.match(await cluster.control(["lease", "list"]), /found 1 leases/);
  const named = async (): Promise<readonly string[]> => (await kv.leases()).map(({ name }) => name);
  assert.deepEqual(await named(), ["a"]);
  await cluster.control(["del", `${options.prefix}leases/a`]);
  assert.deepEqual(await named(), []);
  await renew();
  assert.deepEqual(await named(), ["a"]);
});
