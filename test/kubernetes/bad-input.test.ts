/** What nobody should write, on a real API server: said on the right object and in the log, nothing lost, nobody ends. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { conditionOf } from "../../src/adapters/registry/kubernetes/conditions.js";
import { Election } from "../../src/adapters/registry/kubernetes/election.js";
import { leasesPath, resourcePath, type KubeObject, type Resource } from "../../src/adapters/registry/kubernetes/kube-object.js";
import { NodeLeases } from "../../src/adapters/registry/kubernetes/node-leases.js";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../src/ports/registry.js";
import { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import { TestAuthority } from "../support/certificates.js";
import { skipWithoutKubernetes, startSharedServer } from "../support/kubernetes.js";
import { ledNamespace, type LedNamespace } from "../support/led-namespace.js";
import { call, eventually, failsWith, Recorder, succeeds } from "../contract/recorder.js";
import { admission, fleetRecord, incarnation, nodeName, operatorRequest, reportOf } from "../contract/registry-records.js";

const options = { skip: skipWithoutKubernetes, timeout: 60_000 };
const directory = mkdtempSync(join(tmpdir(), "spindle-bad-input-"));
const server = await startSharedServer();
after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true });
});
let namespaces = 0;

type Scene = LedNamespace;

function startScene(context: TestContext): Promise<Scene> {
  assert.ok(server !== null);
  return ledNamespace(context, server, `bad-${++namespaces}`);
}

function admit({ registry }: Scene, name: string, serial: number): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name, serial), done));
}

function pathOf({ client }: Scene, resource: Resource, name: string): string {
  return `${resourcePath(client.namespace, resource)}/${name}`;
}

async function read(scene: Scene, resource: Resource, name: string): Promise<KubeObject> {
  const found = await scene.client.send({ method: "GET", path: pathOf(scene, resource, name) });
  assert.ok(found.kind === "object");
  return found.object;
}

/** Waits until the object says so. @returns the message */
async function untilSaid(scene: Scene, place: readonly [Resource, string], type: string, status: string): Promise<string> {
  const said = await eventually(async () => {
    const object = await read(scene, ...place);
    const condition = conditionOf(object, type);
    return condition?.status === status ? { condition, object } : null;
  });
  assert.equal(said.condition.observedGeneration, said.object.metadata.generation);
  return said.condition.message;
}

test("bad input: a report of an unknown version is said on it, until the node's next report", options, async (context) => {
  const scene = await startScene(context);
  const entry = await admit(scene, "a", 1);
  const report = reportOf(entry, entry.revision, 7);
  await succeeds<null>((done) => scene.registry.publishReport(report, done));
  const path = `${pathOf(scene, "spindlereports", "a")}/status`;
  await scene.client.send({ method: "PATCH", path, body: { status: { schemaVersion: 2 } } });
  assert.match(await untilSaid(scene, ["spindlereports", "a"], "Readable", "False"), /^schemaVersion/);
  await scene.said.first((line) => line.startsWith("record cannot be read") && line.includes('"name":"a"'));
  await untilSaid(scene, ["spindlereports", "a"], "Admitted", "True");
  await admit(scene, "b", 2);
  await succeeds<null>((done) => scene.registry.publishReport({ ...report, stagingMs: 5 }, done));
  await untilSaid(scene, ["spindlereports", "a"], "Readable", "True");
  await untilSaid(scene, ["spindlereports", "a"], "Admitted", "True");
});

test("bad input: a fleet record of an unknown version is said on it, and whoever knew the last one keeps it", options, async (context) => {
  const scene = await startScene(context);
  const version = await succeeds<number>((done) => scene.registry.writeFleet(fleetRecord(1), 0, done));
  const seen = new Recorder<SingleEvent<FleetRecord>>();
  scene.registry.watchFleet(seen.listener);
  await seen.first(({ kind }) => kind === "value");
  const path = `${pathOf(scene, "spindlefleets", "fleet")}/status`;
  await scene.client.send({ method: "PATCH", path, body: { status: { schemaVersion: 2, rotation: 9 } } });
  assert.match(await untilSaid(scene, ["spindlefleets", "fleet"], "Readable", "False"), /^schemaVersion/);
  const overwritten = (done: Parameters<RegistryPort["writeFleet"]>[2]): void =>
    scene.registry.writeFleet(fleetRecord(2), version, done);
  assert.equal(await failsWith(overwritten), "REGISTRY_CONFLICT", "never overwritten blindly");
  assert.deepEqual(seen.events.filter(({ kind }) => kind === "value").length, 1);
});

test("bad input: a request that cannot be read is said on it, and can be taken away", options, async (context) => {
  const scene = await startScene(context);
  await succeeds<null>((done) => scene.registry.putRequest(operatorRequest("one"), done));
  const path = pathOf(scene, "spindlerotations", "request");
  await scene.client.send({ method: "PATCH", path, body: { spec: { request: { schemaVersion: 3 } } } });
  assert.match(await untilSaid(scene, ["spindlerotations", "request"], "Readable", "False"), /^schemaVersion/);
  await succeeds<null>((done) => scene.registry.clearRequest("one", done));
  await succeeds<null>((done) => scene.registry.putRequest(operatorRequest("two"), done));
});

test("bad input: an entry of an unknown version that the leader finds is said on the node's report, and left alone", options, async (context) => {
  const scene = await startScene(context);
  const entry = await admit(scene, "a", 1);
  await admit(scene, "z", 9); // What was announced last, a new leader writes again.
  scene.stopLeading();
  const path = pathOf(scene, "spindlenodes", "a");
  await scene.client.send({ method: "PATCH", path, body: { spec: { record: { schemaVersion: 2 } } } });
  const { resourceVersion } = (await read(scene, "spindlenodes", "a")).metadata;
  scene.lead();
  assert.match(await untilSaid(scene, ["spindlereports", "a"], "Admitted", "False"), /unreadable: changed by hand, or written by a newer version/);
  const roster = new Recorder<WatchEvent<RosterEntry>>();
  scene.registry.watchRoster(roster.listener);
  const [listing] = (await roster.first(({ kind }) => kind === "listing"), roster.events);
  assert.deepEqual(listing?.kind === "listing" && listing.unreadable, ["a"]);
  const other = await admit(scene, "b", 2);
  assert.notEqual(other.index, entry.index, "an index that could not be read is not given out again");
  assert.equal((await read(scene, "spindlenodes", "a")).metadata.resourceVersion, resourceVersion);
});

test("bad input: a megabyte in a record is refused, and the fleet goes on", options, async (context) => {
  const scene = await startScene(context);
  await admit(scene, "a", 1);
  const before = (await read(scene, "spindlereports", "a")).metadata.resourceVersion;
  const path = pathOf(scene, "spindlereports", "a");
  const large = "x".repeat(1024 * 1024);
  const holds = Array.from({ length: 20_000 }, () => ({ keyId: 1, check: "0".repeat(32) }));
  const table: readonly (readonly [string, unknown])[] = [
    [path, { metadata: { annotations: { large } } }],
    [path, { spec: { attempt: large } }],
    [`${path}/status`, { status: { conditions: [{ type: "Large", message: large }] } }],
    [`${path}/status`, { status: { holds } }],
  ];
  for (const [place, body] of table) {
    await assert.rejects(scene.client.send({ method: "PATCH", path: place, body }), { code: "REGISTRY_RECORD_INVALID" });
  }
  assert.equal((await read(scene, "spindlereports", "a")).metadata.resourceVersion, before);
  await admit(scene, "b", 2);
});

/** `renewTime` is what the writer's clock says. */
async function stampLease(client: ApiClient, name: string, offMs: number): Promise<void> {
  const path = `${leasesPath(client.namespace)}/${name}`;
  const renewTime = new Date(Date.now() + offMs).toISOString().replace("Z", "000Z");
  const patched = await client.send({ method: "PATCH", path, body: { spec: { renewTime } } });
  assert.equal(patched.kind, "object");
}

for (const [name, offMs] of [["behind", -3_600_000], ["ahead", 3_600_000]] as const) {
  test(`bad input: a clock an hour ${name} ends no lease, and gives no leadership away or keeps it`, options, async (context) => {
    const { client } = await startScene(context);
    const leases = new NodeLeases(client);
    const names = async (): Promise<readonly string[]> => (await leases.leases()).map((lease) => lease.name);
    await leases.renewLease("a", incarnation(1), 400);
    await stampLease(client, "spindle-node-a", offMs);
    assert.deepEqual(await names(), ["a"], "alive, whatever its clock says");
    await eventually(async () => ((await names()).length === 0 ? true : null));
    const [holder, other] = [new Election(client), new Election(client)];
    assert.ok(await holder.lead({ name: "holder", session: "1" }, 2_000));
    await stampLease(client, "spindle-controller", offMs);
    const seenMs = performance.now();
    assert.equal(await other.lead({ name: "other", session: "2" }, 2_000), false);
    await eventually(async () => ((await other.lead({ name: "other", session: "2" }, 2_000)) ? true : null));
    assert.ok(performance.now() - seenMs >= 2_000, "after the holder's whole term, and no later than that");
  });
}

test("bad input: an expired client certificate is told, and a renewed one serves", options, async (context) => {
  const authority = new TestAuthority(directory, "clients");
  const secured = await KubernetesServer.start([], tmpdir(), ["--client-ca-file", authority.caFile]);
  context.after(() => secured.stop());
  const [expired, renewed] = [authority.issue("old", "expired"), authority.issue("new")];
  let present = expired;
  const client = new ApiClient({
    url: new URL(secured.url),
    namespace: "default",
    ca: readFileSync(secured.caFile, "utf8"),
    tokens: { token: () => null, renew: () => undefined },
    certificates: () => ({
      certificate: readFileSync(present.certificateFile, "utf8"),
      key: readFileSync(present.keyFile, "utf8"),
    }),
  });
  context.after(() => client.close());
  const path = "/api/v1/namespaces/default";
  await assert.rejects(client.send({ method: "GET", path }), {
    code: "REGISTRY_FORBIDDEN",
    message: /401.*the client certificate expired at/,
  });
  present = renewed;
  // Known now, and without a right: the server says the certificate's name.
  await assert.rejects(client.send({ method: "GET", path }), { message: /403: .*User "new" cannot get/ });
});

test("bad input: an expired certificate of the server is told, and nothing is sent to it", options, async (context) => {
  assert.ok(server !== null);
  const authority = new TestAuthority(directory, "servers");
  const { certificateFile, keyFile } = authority.issue("server", "expired");
  const secrets = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
  const asked: string[] = [];
  const front = createServer(secrets, ({ url }, response) => {
    asked.push(url ?? "");
    response.end();
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
  context.after(() => front.close());
  const address = front.address();
  assert.ok(address !== null && typeof address === "object");
  const client = new ApiClient({
    url: new URL(`https://127.0.0.1:${address.port}`),
    namespace: "default",
    ca: readFileSync(authority.caFile, "utf8"),
    tokens: { token: () => "secret", renew: () => undefined },
    certificates: null,
  });
  const registry = registryOver(client, { skipped: () => undefined, log: { write: () => undefined } });
  context.after(() => registry.close());
  const result = await call<null>((done) => registry.renewLease(nodeName("a"), incarnation(1), 1_000, done));
  assert.ok(!result.ok && result.error.retryable);
  assert.match(`${result.error.code}: ${result.error.message}`, /REGISTRY_UNREACHABLE: .*certificate has expired/);
  assert.deepEqual(asked, []);
});
