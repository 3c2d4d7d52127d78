/** Nodes that left the cluster: what they leave behind on a real API server goes, and nothing else. */
import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { leasesPath, nodePath, resourcePath, type Resource } from "../../src/adapters/registry/kubernetes/kube-object.js";
import { listObjects } from "../../src/adapters/registry/kubernetes/list-objects.js";
import { Departures } from "../../src/adapters/registry/kubernetes/departures.js";
import { NodeLeases } from "../../src/adapters/registry/kubernetes/node-leases.js";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import { ledNamespace, type LedNamespace } from "../support/led-namespace.js";
import { eventually, succeeds } from "../contract/recorder.js";
import { admission, incarnation, nodeName } from "../contract/registry-records.js";
import { skipWithoutKubernetes, startSharedServer } from "../support/kubernetes.js";

const options = { skip: skipWithoutKubernetes, timeout: 60_000 };
const server = await startSharedServer();
after(() => server?.stop());
const sweepMs = 100;
const aliveMs = 60_000;
const endedMs = 150;
const atOnceMs = 0.001;

/** A fleet of which `names` are admitted, each with a Node and a lease. */
async function scene(context: TestContext, namespace: string, names: readonly string[], leaseMs: number): Promise<LedNamespace> {
  assert.ok(server !== null);
  const led = await ledNamespace(context, server, namespace, { followNodes: true, sweepMs });
  await Promise.all(
    names.map(async (name, serial) => {
      await makeNode(led.client, name);
      await succeeds<RosterEntry>((done) => led.registry.register(admission(name, serial + 1), done));
      await renew(led.registry, name, leaseMs);
    }),
  );
  return led;
}

async function makeNode(client: ApiClient, name: string): Promise<void> {
  const body = { apiVersion: "v1", kind: "Node", metadata: { name } };
  await client.send({ method: "POST", path: "/api/v1/nodes", body });
}

function renew(registry: RegistryPort, name: string, leaseMs: number): Promise<null> {
  return succeeds((done) => registry.renewLease(nodeName(name), incarnation(1), leaseMs, done));
}

async function namesOf(client: ApiClient, resource: Resource | "leases"): Promise<readonly string[]> {
  const path = resource === "leases" ? leasesPath(client.namespace) : resourcePath(client.namespace, resource);
  const { objects } = await listObjects(client, path);
  const admitted = objects.filter(({ spec }) => (spec as { state?: string }).state !== "removed");
  return admitted.map(({ metadata }) => metadata.name.replace("spindle-node-", ""));
}

const everything = ["spindlenodes", "spindlereports", "leases"] as const;

async function untilLeft(client: ApiClient, wanted: readonly string[]): Promise<void> {
  for (const resource of everything) {
    await eventually(async () => {
      const names = await namesOf(client, resource);
      return names.join() === wanted.join() ? true : null;
    });
  }
}

test("departures: a Node that is gone takes all records of its silent agent along, and no others", options, async (context) => {
  const { client, registry } = await scene(context, "departs", ["dep-a", "dep-b", "dep-c", "dep-d"], aliveMs);
  await renew(registry, "dep-b", endedMs);
  await renew(registry, "dep-c", endedMs);
  await client.remove(nodePath("dep-b"));
  await client.remove(nodePath("dep-d")); // By mistake: its agent is alive.
  await untilLeft(client, ["dep-a", "dep-c", "dep-d"]);
  const again = await succeeds<RosterEntry>((done) => registry.register(admission("dep-e", 9), done));
  assert.ok(again.revision > 5, "the removal was a change of the roster like any other");
});

test("departures: one look after an outage, in which nobody could renew, takes no working agent off the roster", options, async (context) => {
  const { client, registry, stopLeading } = await scene(context, "outage", ["out-c", "out-d"], aliveMs);
  stopLeading();
  await renew(registry, "out-d", atOnceMs);
  await client.remove(nodePath("out-d")); // By mistake.
  const departures = new Departures(client, new NodeLeases(client), { write: () => undefined });
  const look = (version?: string): Promise<void> => departures.sweep(new Map([["out-c", undefined], ["out-d", version]]), true);
  await look();
  await look(); // Its lease has ended since the look before.
  await renew(registry, "out-d", aliveMs);
  await look();
  assert.deepEqual(await namesOf(client, "spindlereports"), ["out-c", "out-d"]);
  await renew(registry, "out-d", atOnceMs);
  for (let left = 3; left > 0; left--) await look("1");
  assert.deepEqual(await namesOf(client, "spindlereports"), ["out-c", "out-d"], "a report that has changed since stays");
  await look();
  assert.deepEqual(await namesOf(client, "spindlereports"), ["out-c"], "and at the second one it goes");
});

test("departures: an agent has its lease time to come back after an outage, however often is looked", options, async (context) => {
  const { client, registry, stopLeading } = await scene(context, "patience", ["pat-c", "pat-d"], aliveMs);
  stopLeading();
  const leaseMs = 1_000;
  await renew(registry, "pat-d", leaseMs);
  await client.remove(nodePath("pat-d")); // By mistake.
  const departures = new Departures(client, new NodeLeases(client), { write: () => undefined });
  const look = (): Promise<void> => departures.sweep(new Map([["pat-c", undefined], ["pat-d", undefined]]), true);
  const lookUntil = async (untilMs: number): Promise<void> => {
    while (performance.now() < untilMs) await look();
  };
  await look();
  const outageMs = performance.now();
  await lookUntil(outageMs + 1.5 * leaseMs); // It has ended, and is missed at many looks.
  assert.deepEqual(await namesOf(client, "spindlereports"), ["pat-c", "pat-d"]);
  await renew(registry, "pat-d", leaseMs);
  await lookUntil(performance.now() + 1.5 * leaseMs); // Renewed and ended again: the silence begins anew.
  assert.deepEqual(await namesOf(client, "spindlereports"), ["pat-c", "pat-d"]);
  await lookUntil(performance.now() + 1.5 * leaseMs);
  assert.deepEqual(await namesOf(client, "spindlereports"), ["pat-c"]);
});

test("departures: an agent that renews while the Nodes are listed stays", options, async (context) => {
  const { client, registry, stopLeading } = await scene(context, "latest", ["lat-c", "lat-d"], aliveMs);
  stopLeading();
  await renew(registry, "lat-d", atOnceMs);
  await client.remove(nodePath("lat-d")); // By mistake.
  let renewAtNodes = false;
  const slow = new Proxy(client, {
    get: (target, name) => {
      if (name !== "fetch") return Reflect.get(target, name, target) as unknown;
      return async (request: Parameters<ApiClient["fetch"]>[0]) => {
        if (renewAtNodes && request.path === "/api/v1/nodes") await renew(registry, "lat-d", atOnceMs);
        return target.fetch(request);
      };
    },
  });
  const departures = new Departures(slow, new NodeLeases(client), { write: () => undefined });
  const look = (): Promise<void> => departures.sweep(new Map([["lat-c", undefined], ["lat-d", undefined]]), true);
  await look();
  await look();
  renewAtNodes = true;
  await look();
  renewAtNodes = false;
  await look(); // Ended again: the first of two.
  assert.deepEqual(await namesOf(client, "spindlereports"), ["lat-c", "lat-d"]);
  await look();
  assert.deepEqual(await namesOf(client, "spindlereports"), ["lat-c"]);
});

test("departures: an agent that outlives its removal leaves no lease behind", options, async (context) => {
  const { client, registry } = await scene(context, "outlives", ["out-a", "out-b"], aliveMs);
  await succeeds<number>((done) => registry.remove(nodeName("out-b"), done));
  await renew(registry, "out-b", endedMs);
  assert.deepEqual(await namesOf(client, "leases"), ["out-a", "out-b"]);
  await untilLeft(client, ["out-a"]);
});

test("departures: most Nodes gone at one look take nobody off the roster", options, async (context) => {
  const names = Array.from({ length: 12 }, (_, serial) => `mass-${String.fromCharCode(97 + serial)}`);
  const { client, registry, said, lead, stopLeading } = await scene(context, "mass", names, aliveMs);
  for (const name of names) await renew(registry, name, endedMs);
  stopLeading();
  for (const name of names.slice(0, 8)) await client.remove(nodePath(name));
  lead();
  await said.first((line) => line.includes("ROSTER_DELETIONS_HELD"));
  assert.deepEqual(await namesOf(client, "spindlenodes"), names);
});
