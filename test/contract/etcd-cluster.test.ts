/**
 * Three real etcd members of which one is killed and one is stopped (SIGSTOP), under clients that write and follow the roster the whole time.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { connectEtcd } from "../../src/adapters/registry/etcd/open.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import type { EtcdMember } from "../../src/lab/registry/etcd-member.js";
import { freshFleet, leaderOf, skipWithoutEtcd, startEtcd, type EtcdCluster } from "../support/etcd.js";
import { FollowedRoster } from "../support/followed-roster.js";
import { call } from "./recorder.js";
import { admission, nodeName } from "./registry-records.js";

const skip = await skipWithoutEtcd();

const followers = 6;

interface Scene {
  readonly cluster: EtcdCluster;
  readonly rosters: readonly FollowedRoster[];
  /** What must be there, kept by one writer. */
  readonly present: Set<string>;
  readonly write: () => Promise<void>;
}

function clause(name: string, body: (scene: Scene) => Promise<void>): void {
  test(`etcd cluster: ${name}`, { skip, timeout: 120_000 }, async (context) => {
    await body(await setUp(context));
  });
}

async function setUp(context: TestContext): Promise<Scene> {
  const cluster = await startEtcd(3);
  context.after(() => cluster.stop());
  const options = freshFleet(cluster.endpoints);
  const connect = async (): Promise<RegistryPort> => {
    const registry = await connectEtcd(options, () => undefined);
    context.after(() => registry.close());
    return registry;
  };
  const writer = await connect();
  const present = new Set<string>();
  const rosters: FollowedRoster[] = [];
  for (let count = 0; count < followers; count++) rosters.push(new FollowedRoster(await connect()));
  const write = makeWriter(writer, present);
  await write();
  await allShow(rosters, present);
  return { cluster, rosters, present, write };
}

/** Admits one node and, from the second time on, removes the one before it, until both are done. */
function makeWriter(registry: RegistryPort, present: Set<string>): () => Promise<void> {
  let serial = 0;
  return async () => {
    serial += 1;
    const name = `node-${serial}`;
    await untilDone((done) => registry.register(admission(name, serial), done));
    present.add(name);
    const before = `node-${serial - 1}`;
    if (!present.has(before)) return;
    await untilDone((done) => registry.remove(nodeName(before), done));
    present.delete(before);
  };
}

/** As an agent does: what may help is tried again. */
async function untilDone<T>(run: Parameters<typeof call<T>>[0]): Promise<void> {
  const untilMs = performance.now() + 60_000;
  for (;;) {
    const result = await call(run);
    if (result.ok) return;
    assert.ok(result.error.retryable, `${result.error.code}: ${result.error.message}`);
    assert.ok(performance.now() < untilMs, `${result.error.code}: ${result.error.message}`);
  }
}

async function allShow(rosters: readonly FollowedRoster[], present: ReadonlySet<string>): Promise<void> {
  await Promise.all(rosters.map((roster) => roster.shows([...present])));
}

function memberAt(cluster: EtcdCluster, index: number): EtcdMember {
  const member = cluster.members[index];
  assert.ok(member !== undefined);
  return member;
}

clause("the leader is killed, then a member is stopped: writes wait for it, and nothing is missed", async (scene) => {
  const { cluster, rosters, present, write } = scene;
  const leader = await leaderOf(cluster);
  await memberAt(cluster, leader).stop("SIGKILL");
  await write();
  await allShow(rosters, present);
  const other = (leader + 1) % 3;
  memberAt(cluster, other).signal("SIGSTOP");
  // Without a majority nobody may believe that his view is current.
  await Promise.all(rosters.map((roster) => roster.lost()));
  const waiting = write();
  memberAt(cluster, other).signal("SIGCONT");
  await waiting;
  memberAt(cluster, leader).start();
  await cluster.ready();
  await write();
  await allShow(rosters, present);
});

clause("a stopped leader is left for the others, and is harmless when it comes back", async (scene) => {
  const { cluster, rosters, present, write } = scene;
  const leader = memberAt(cluster, await leaderOf(cluster));
  leader.signal("SIGSTOP");
  await write();
  await write();
  await allShow(rosters, present);
  leader.signal("SIGCONT");
  await cluster.ready();
  await write();
  await allShow(rosters, present);
  for (const roster of rosters) assert.equal(roster.count("listing"), 1 + roster.count("disconnected"));
});
