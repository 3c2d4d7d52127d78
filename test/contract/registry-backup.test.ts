/** A backup on each kind of registry, and what one that was made of it does not give out again. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { readBackup, writeBackup, type RegistryBackup } from "../../src/adapters/registry/backup/backup-file.js";
import { backUpRegistry, restoreRegistry, type RestoreTarget } from "../../src/adapters/registry/backup/registry-backup.js";
import { connectRegistry, type RegistryTarget } from "../../src/adapters/registry/connect.js";
import { startEmbedded } from "../../src/adapters/registry/embedded/open.js";
import { PortError } from "../../src/adapters/port-error.js";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import { limits } from "../../src/core/limits.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../src/ports/registry.js";
import { freshFleet, skipWithoutEtcd, startEtcd } from "../support/etcd.js";
import { makeNamespace, skipWithoutKubernetes, startWithDefinitions } from "../support/kubernetes.js";
import { Recorder, succeeds } from "./recorder.js";
import { admission, fleetRecord, key, reportOf, rotationRecord } from "./registry-records.js";
import { codeOf } from "../support/port-code.js";

const quietly = { known: [], seen: 0, progress: (): void => undefined };

interface Place {
  readonly target: RegistryTarget;
  readonly restoreTo: RestoreTarget;
  /** From here on it serves; before, it is only a place. */
  readonly serve: () => Promise<void>;
}

interface Kind {
  readonly name: string;
  readonly skip: string | false;
  /** A registry that runs, and one that does not know of it. */
  readonly places: (context: TestContext) => Promise<readonly [Place, Place]>;
}

const kinds: readonly Kind[] = [
  { name: "embedded", skip: false, places: (context) => Promise.resolve([embedded(context), embedded(context)]) },
  { name: "etcd", skip: await skipWithoutEtcd(), places: etcdPlaces },
  { name: "kubernetes", skip: skipWithoutKubernetes, places: kubernetesPlaces },
];

for (const { name, skip, places } of kinds) {
  test(`backup: ${name}, the restored registry goes on beyond all that a live node may use`, { skip }, async (context) => {
    const [old, next] = await places(context);
    await old.serve();
    const before = await connect(context, old);
    const [a, b] = [await admit(before, "a", 1), await admit(before, "b", 2)];
    await succeeds((done) => before.publishReport(reportOf(a, b.revision, 1), done));
    await succeeds((done) => before.putRotation(rotationRecord(7), done));
    const record = { ...fleetRecord(7), through: [{ key: key(1), revision: b.revision }] };
    const version = await succeeds<number>((done) => before.writeFleet(record, 0, done));
    const backup = await throughFile(context, await backUpRegistry(old.target, "2026-11-25T18:00:00.000Z"));
    // What the backup does not know: a node joins, another begins a new life.
    const lostNode = await admit(before, "c", 3);
    const lostLife = await admit(before, "b", 4);
    const seen = (await rosterOf(before)).revision;

    assert.equal(await restoreRegistry(next.restoreTo, backup, quietly), 2);
    await next.serve();
    const after = await connect(context, next);
    const roster = await rosterOf(after);
    assert.ok(roster.revision > seen, "what was seen is behind it");
    const restored = new Map(roster.items.map((entry) => [entry.name as string, entry]));
    assert.deepEqual([...restored.keys()].sort(), ["a", "b"]);
    for (const entry of [a, b]) assert.deepEqual(lifeOf(restored.get(entry.name)), lifeOf(entry));
    const fleet = await fleetOf(after);
    assert.ok(fleet.version > version, `version ${fleet.version} after ${version}`);
    const marked = fleet.value?.through[0]?.revision ?? 0;
    const newest = Math.max(...roster.items.map(({ revision }) => revision));
    assert.ok(marked >= newest, "who was covered is");
    assert.deepEqual({ ...fleet.value, through: [] }, { ...record, through: [] });
    assert.equal((await succeeds<readonly { rotation: number }[]>((done) => after.listRotations(done)))[0]?.rotation, 7);

    // A life that is known goes on as it was.
    assert.deepEqual(lifeOf(await admit(after, "a", 1)), lifeOf(a));
    const given = [await admit(after, "d", 5), await admit(after, "c", 3), await admit(after, "b", 6)];
    for (const entry of given) {
      assert.ok(entry.index > lostNode.index, `${entry.name} got index ${entry.index}`);
      assert.notDeepEqual([entry.index, entry.incarnationNumber], [lostLife.index, lostLife.incarnationNumber]);
      assert.ok(entry.revision > marked, "nobody counts as covered before anyone has staged for it");
    }
    assert.equal(new Set(given.map(({ index }) => index)).size, given.length);
  });

  test(`backup: ${name}, a registry with nodes is not overwritten`, { skip }, async (context) => {
    const [old, next] = await places(context);
    await old.serve();
    await admit(await connect(context, old), "a", 1);
    const backup = await backUpRegistry(old.target, "2026-11-25T18:00:00.000Z");
    await restoreRegistry(next.restoreTo, backup, quietly);
    assert.equal(await codeOf(restoreRegistry(next.restoreTo, backup, quietly)), "REGISTRY_NOT_EMPTY");
  });
}

test("backup: the embedded registry is not filled under a controller that keeps it", async (context) => {
  const place = embedded(context);
  await place.serve();
  const backup = await backUpRegistry(place.target, "2026-11-25T18:00:00.000Z");
  const code = await codeOf(restoreRegistry(place.restoreTo, backup, quietly));
  assert.equal(code, "REGISTRY_STORE_IN_USE");
});

test("backup: etcd goes on beyond what agents say that they saw", { skip: kinds[1]?.skip ?? false }, async (context) => {
  const [old, next] = await etcdPlaces(context);
  await admit(await connect(context, old), "a", 1);
  const backup = await backUpRegistry(old.target, "2026-11-25T18:00:00.000Z");
  const seen = backup.revision + limits.etcdRestoreRevisionsSkipped + 500;
  await restoreRegistry(next.restoreTo, backup, { ...quietly, seen });
  assert.ok((await rosterOf(await connect(context, next))).revision > seen);
});

const spoiled: readonly (readonly [string, (text: string) => string, RegExp])[] = [
  ["cut off", (text) => text.slice(0, -40), /it is none, or it was cut off/],
  ["of something else", () => '{"kind":"shopping-list"}', /it is none/],
  ["of a newer version", (text) => text.replace('"schemaVersion":1', '"schemaVersion":2'), /version 2, and this program reads 1/],
  ["changed by hand", (text) => text.replace('"revision":0', '"revision":5'), /its digest does not fit/],
  ["without its records", (text) => text.replace('"items"', '"things"'), /items is not as it was written/],
];

for (const [what, spoil, says] of spoiled) {
  test(`backup file: one ${what} is refused`, async (context) => {
    const path = join(folder(context), "backup");
    await writeBackup(path, { takenAt: "now", revision: 0, items: [{ key: "fleet", revision: 0, value: "x" }] });
    writeFileSync(path, spoil(readFileSync(path, "utf8")));
    await assert.rejects(readBackup(path), (cause) => cause instanceof PortError && says.test(cause.message));
  });
}

/** Written and read again; with a mode for its owner alone, as it names every node. */
async function throughFile(context: TestContext, backup: RegistryBackup): Promise<RegistryBackup> {
  const path = join(folder(context), "backup");
  await writeBackup(path, backup);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  return readBackup(path);
}

function embedded(context: TestContext): Place {
  const stateDir = folder(context);
  const address = { kind: "unix", path: join(stateDir, "registry.sock") } as const;
  const serve = async (): Promise<void> => {
    const host = await startEmbedded({ stateDir, listen: address });
    context.after(() => host.close());
  };
  return { target: { kind: "embedded", address }, restoreTo: { kind: "embedded", stateDir }, serve };
}

/** Two clusters: the second one begins to count at 1. */
async function etcdPlaces(context: TestContext): Promise<readonly [Place, Place]> {
  const place = async (): Promise<Place> => {
    const cluster = await startEtcd();
    context.after(() => cluster.stop());
    const target = { kind: "etcd", ...freshFleet(cluster.endpoints) } as const;
    return { target, restoreTo: target, serve: () => Promise.resolve() };
  };
  return [await place(), await place()];
}

async function kubernetesPlaces(context: TestContext): Promise<readonly [Place, Place]> {
  const { server, client } = await startWithDefinitions(context);
  const place = async (namespace: string): Promise<Place> => {
    await makeNamespace(client, namespace);
    const kubeconfig = server.writeKubeconfig("administrator", namespace);
    const target = { kind: "kubernetes", kubeconfig, context: null, namespace } as const;
    const serve = async (): Promise<void> => {
      const leader = await connectRegistry(target);
      leader.campaign("controller", limits.leaseMsDefault, () => undefined);
      context.after(() => leader.close());
    };
    return { target, restoreTo: target, serve };
  };
  return [await place("before"), await place("after")];
}

async function connect(context: TestContext, { target }: Place): Promise<RegistryPort> {
  const registry = await connectRegistry(target);
  context.after(() => registry.close());
  return registry;
}

function admit(registry: RegistryPort, name: string, life: number): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name, life, `10.0.0.${name.charCodeAt(0)}`), done));
}

async function rosterOf(registry: RegistryPort): Promise<Extract<WatchEvent<RosterEntry>, { kind: "listing" }>> {
  const seen = new Recorder<WatchEvent<RosterEntry>>();
  const stop = registry.watchRoster(seen.listener);
  const listing = await seen.first((event) => event.kind === "listing");
  stop();
  assert.ok(listing.kind === "listing");
  return listing;
}

async function fleetOf(registry: RegistryPort): Promise<{ readonly version: number; readonly value: FleetRecord | null }> {
  const seen = new Recorder<SingleEvent<FleetRecord>>();
  const stop = registry.watchFleet(seen.listener);
  const found = await seen.first((event) => event.kind === "value");
  stop();
  assert.ok(found.kind === "value");
  return found.object;
}

/** All that keys and SPIs are made of. */
function lifeOf(entry: RosterEntry | undefined): unknown {
  if (entry === undefined) return null;
  const { index, incarnationId, incarnationNumber, addresses } = entry;
  return { index, incarnationId, incarnationNumber, addresses };
}

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "spindle-backup-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
