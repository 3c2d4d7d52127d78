/** What the client makes of an API server's bad days. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PortError } from "../../src/adapters/port-error.js";
import { listObjects } from "../../src/adapters/registry/kubernetes/list-objects.js";
import { NodeLeases } from "../../src/adapters/registry/kubernetes/node-leases.js";
import { ObjectReader } from "../../src/adapters/registry/kubernetes/object-reader.js";
import type { KvEvent } from "../../src/adapters/registry/kv.js";
import { reportPrefix, rosterPrefix } from "../../src/adapters/registry/keys.js";
import { Recorder } from "../contract/recorder.js";
import {
  answer,
  listOf,
  ScriptedApiServer,
  status,
  watchAnswer,
  type Answer,
} from "../support/scripted-api-server.js";
import { codeOf } from "../support/port-code.js";

const timeout = 20_000;
const path = "/api/v1/namespaces/fleet/configmaps";
const get = { method: "GET", path: `${path}/one` } as const;

function object(name: string, version: number): unknown {
  return { metadata: { name, resourceVersion: String(version) } };
}

function bookmark(version: number): unknown {
  return { type: "BOOKMARK", object: { metadata: { resourceVersion: String(version) } } };
}

test("kubernetes client: too many requests waits as long as the server says", {
  timeout,
}, async (context) => {
  const busy = answer(429, status(429), { "retry-after": "1" });
  const script = [busy, answer(200, object("one", 7))];
  const { server, client } = await ScriptedApiServer.start(context, script);
  assert.equal((await client.send(get)).kind, "object");
  const [first, second] = server.asked;
  assert.ok(first !== undefined && second !== undefined);
  assert.ok(second.atMs - first.atMs >= 1_000, "not before its time");
});

test("kubernetes client: a pause longer than the request's time is a failure at once", {
  timeout,
}, async (context) => {
  const script = [answer(429, status(429, "slow down"), { "retry-after": "3600" })];
  const { server, client } = await ScriptedApiServer.start(context, script);
  assert.equal(await codeOf(client.send(get)), "REGISTRY_UNREACHABLE");
  assert.equal(server.asked.length, 1);
});

test("kubernetes client: a token that is no longer accepted is read again, once", {
  timeout,
}, async (context) => {
  const script = [answer(401, status(401)), answer(200, object("one", 7))];
  const tokens = ["old", "new"];
  const { server, client } = await ScriptedApiServer.start(context, script, tokens);
  assert.equal((await client.send(get)).kind, "object");
  assert.deepEqual(server.asked.map(({ token }) => token), tokens);
  const refusing = await ScriptedApiServer.start(context, [answer(401, status(401))], tokens);
  assert.equal(await codeOf(refusing.client.send(get)), "REGISTRY_FORBIDDEN");
  assert.equal(refusing.server.asked.length, 2);
});

test("kubernetes client: refusals have codes, and none shows the token", {
  timeout,
}, async (context) => {
  const table = [
    [403, "REGISTRY_FORBIDDEN"],
    [413, "REGISTRY_RECORD_TOO_LARGE"],
    [422, "REGISTRY_RECORD_INVALID"],
    [500, "REGISTRY_UNREACHABLE"],
  ] as const;
  for (const [code, expected] of table) {
    const { client } = await ScriptedApiServer.start(context, [answer(code, status(code, "why"))]);
    const failure = await client.send(get).catch((cause: unknown) => cause);
    assert.ok(failure instanceof PortError);
    assert.equal(failure.code, expected);
    assert.match(failure.message, /why/);
    assert.doesNotMatch(failure.message, /token/);
  }
});

test("kubernetes client: what answers and is no API server is told from one", {
  timeout,
}, async (context) => {
  const page: Parameters<typeof ScriptedApiServer.start>[1] = [
    (response) => response.end("<html>"),
    answer(200, { hello: "there" }),
  ];
  const { client } = await ScriptedApiServer.start(context, page);
  assert.equal(await codeOf(client.send(get)), "REGISTRY_UNREACHABLE");
  assert.equal(await codeOf(client.send(get)), "REGISTRY_PROTOCOL");
});

test("kubernetes list: pages are put together, and an expired one begins the listing anew", {
  timeout,
}, async (context) => {
  const script = [
    answer(200, listOf(5, [object("a", 1)], "more")),
    answer(410, status(410)),
    answer(200, listOf(9, [object("b", 2)], "more")),
    answer(200, listOf(9, [object("c", 3)])),
  ];
  const { server, client } = await ScriptedApiServer.start(context, script);
  const { version, objects } = await listObjects(client, path);
  assert.equal(version, "9");
  assert.deepEqual(objects.map(({ metadata }) => metadata.name), ["b", "c"]);
  const pages = server.asked.map(({ url }) => url.searchParams.get("continue"));
  assert.deepEqual(pages, [null, "more", null, "more"]);
});

test("kubernetes watch: one that the server ends goes on at its last bookmark, after a pause", {
  timeout,
}, async (context) => {
  const script = [watchAnswer([bookmark(12)], "ends"), watchAnswer([], "stays")];
  const { server, client } = await ScriptedApiServer.start(context, script);
  const events = new Recorder<KvEvent>();
  const stop = new ObjectReader(client).watch(rosterPrefix, 5, events.listener);
  await eventuallyAsked(server, 2);
  stop();
  const [first, second] = server.asked;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(first.url.searchParams.get("resourceVersion"), "5");
  assert.equal(second.url.searchParams.get("resourceVersion"), "12");
  assert.ok(second.atMs - first.atMs >= 500, "a server that closes every watch is not overrun");
  assert.deepEqual(events.events, [], "nothing happened");
});

test("kubernetes watch: a history that is gone is a gap, in both ways of saying so", {
  timeout,
}, async (context) => {
  const inside = watchAnswer([{ type: "ERROR", object: status(410) }], "stays");
  for (const gone of [answer(410, status(410)), inside]) {
    const { client } = await ScriptedApiServer.start(context, [gone]);
    const events = new Recorder<KvEvent>();
    new ObjectReader(client).watch(rosterPrefix, 5, events.listener);
    await events.first(({ kind }) => kind === "compacted");
    assert.equal(events.events.length, 1);
  }
});

test("kubernetes watch: a failure is told, and then a gap, so that everything is read again", {
  timeout,
}, async (context) => {
  const failing = [
    watchAnswer([], "breaks"),
    answer(500, status(500)),
    watchAnswer([{ type: "ERROR", object: status(500) }], "stays"),
    watchAnswer(["no event"], "stays"),
  ];
  for (const fault of failing) {
    const { client } = await ScriptedApiServer.start(context, [fault]);
    const events = new Recorder<KvEvent>();
    new ObjectReader(client).watch(rosterPrefix, 5, events.listener);
    await events.first(({ kind }) => kind === "compacted");
    assert.deepEqual(events.events.map(({ kind }) => kind), ["disconnected", "compacted"]);
  }
});

test("kubernetes watch: one that falls silent is given up", { timeout }, async (context) => {
  const script = [watchAnswer([bookmark(6)], "stays")];
  const { client } = await ScriptedApiServer.start(context, script);
  const events = new Recorder<KvEvent>();
  new ObjectReader(client, 200).watch(rosterPrefix, 5, events.listener);
  await events.first(({ kind }) => kind === "compacted");
  assert.equal(events.events[0]?.kind, "disconnected");
});

test("kubernetes watch: a stopped one and a closed client tell nothing", {
  timeout,
}, async (context) => {
  const { server, client } = await ScriptedApiServer.start(context, [watchAnswer([], "stays")]);
  const events = new Recorder<KvEvent>();
  const reader = new ObjectReader(client);
  reader.watch(rosterPrefix, 5, events.listener)();
  reader.watch(rosterPrefix, 5, events.listener);
  await eventuallyAsked(server, 1);
  client.close();
  assert.equal(await codeOf(client.send(get)), "REGISTRY_CLOSED");
  assert.deepEqual(events.events, []);
});

test("kubernetes watch: one that broke goes on where it was, and says nothing of it", { timeout }, async (context) => {
  const script = [watchAnswer([bookmark(12)], "breaks"), watchAnswer([], "stays")];
  const { server, client } = await ScriptedApiServer.start(context, script);
  const events = new Recorder<KvEvent>();
  new ObjectReader(client).watch(reportPrefix, 5, events.listener);
  await eventuallyAsked(server, 2);
  assert.equal(server.asked[1]?.url.searchParams.get("resourceVersion"), "12");
  assert.deepEqual(events.events, []);
});

test("kubernetes client: a request without an answer is no stall while others are answered", { timeout }, async (context) => {
  const never: Answer = () => undefined;
  const { server, client } = await ScriptedApiServer.start(context, [never, answer(200, object("one", 7)), never]);
  let stalls = 0;
  client.onStall(() => (stalls += 1));
  const slow = client.fetch(get, 400);
  await eventuallyAsked(server, 1);
  await client.send(get);
  assert.equal(await codeOf(slow), "REGISTRY_UNREACHABLE");
  assert.equal(stalls, 0);
  assert.equal(await codeOf(client.fetch(get, 400)), "REGISTRY_UNREACHABLE");
  assert.equal(stalls, 1);
});

async function eventuallyAsked(server: ScriptedApiServer, count: number): Promise<void> {
  const untilMs = performance.now() + 10_000;
  while (server.asked.length < count) {
    assert.ok(performance.now() < untilMs, "asked in time");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("kubernetes client: a lease whose renewal waits for its answer is not renewed once more", { timeout }, async (context) => {
  const answers: (() => void)[] = [];
  const late: Answer = (response, request) => answers.push(() => answer(200, object("lease", 7))(response, request));
  const { server, client } = await ScriptedApiServer.start(context, [late]);
  const leases = new NodeLeases(client);
  const renewals = [1, 2, 3].map(() => leases.renewLease("node-1", "life", 10_000));
  while (answers.length === 0) await new Promise(setImmediate);
  answers[0]?.();
  await Promise.all(renewals);
  assert.equal(server.asked.length, 1);
  // One that was answered is over.
  const next = leases.renewLease("node-1", "life", 10_000);
  while (answers.length === 1) await new Promise(setImmediate);
  answers[1]?.();
  await next;
  assert.equal(server.asked.length, 2);
});
