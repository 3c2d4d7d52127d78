/** The embedded registry as a program: socket, restarts, slow and broken clients, statistics. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { EmbeddedClient } from "../../src/adapters/registry/embedded/client.js";
import { encodeFrame, FrameReader } from "../../src/adapters/registry/embedded/frames.js";
import {
  connectEmbedded,
  startEmbedded,
  type EmbeddedConnection,
  type EmbeddedHost,
} from "../../src/adapters/registry/embedded/open.js";
import type { RegistryStatistics } from "../../src/adapters/registry/embedded/statistics.js";
import type { KvEvent } from "../../src/adapters/registry/kv.js";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import { limits } from "../../src/core/limits.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../src/ports/registry.js";
import type { ServiceAddress } from "../../src/ports/service-address.js";
import { failsWith, Recorder, succeeds } from "./recorder.js";
import { admission, fleetRecord, nodeName, reportOf } from "./registry-records.js";

function clause(name: string, body: (context: TestContext) => Promise<void>): void {
  void test(`embedded server: ${name}`, body);
}

function stateDirFor(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "spindle-host-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function startFor(
  context: TestContext,
  stateDir: string,
  listen?: ServiceAddress,
): Promise<EmbeddedHost> {
  const host = await startEmbedded(listen === undefined ? { stateDir } : { stateDir, listen });
  context.after(() => host.close());
  return host;
}

function connectFor(context: TestContext, address: ServiceAddress): EmbeddedConnection {
  const connection = connectEmbedded({ address });
  context.after(() => connection.registry.close());
  return connection;
}

function admit(registry: RegistryPort, name: string, serial = 1): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name, serial), done));
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}

clause("the socket is for its owner alone, in a directory for its owner alone", async (context) => {
  const stateDir = stateDirFor(context);
  const host = await startFor(context, stateDir);
  assert.ok(host.address.kind === "unix");
  assert.equal(modeOf(host.address.path), 0o600);
  assert.equal(modeOf(join(stateDir, "registry")), 0o700);
});

const refused = ["0.0.0.0", "::", "192.0.2.1", "localhost", "2001:db8::1", "::ffff:192.0.2.1", ""];
for (const host of refused) {
  clause(`TCP on "${host}" is refused at both ends`, async (context) => {
    const listen = { kind: "tcp", host, port: 0 } as const;
    const start = startEmbedded({ stateDir: stateDirFor(context), listen });
    await assert.rejects(start, { code: "REGISTRY_LISTEN_REFUSED", retryable: false });
    assert.throws(() => connectEmbedded({ address: listen }), { code: "REGISTRY_ADDRESS_REFUSED" });
  });
}

clause("loopback is allowed, and the system chooses port 0", async (context) => {
  const listen = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const host = await startFor(context, stateDirFor(context), listen);
  assert.ok(host.address.kind === "tcp" && host.address.port > 0);
  await admit(connectFor(context, host.address).registry, "a");
});

clause("a socket path that is too long, or of something else, is refused", async (context) => {
  const stateDir = stateDirFor(context);
  const long = { kind: "unix", path: join(stateDir, "x".repeat(108)) } as const;
  const refusal = { code: "REGISTRY_LISTEN_REFUSED" };
  await assert.rejects(startEmbedded({ stateDir, listen: long }), refusal);
  const path = join(stateDir, "file");
  writeFileSync(path, "precious");
  const file = { kind: "unix", path } as const;
  const failure = { code: "REGISTRY_LISTEN_FAILED" };
  await assert.rejects(startEmbedded({ stateDir, listen: file }), failure);
  assert.equal(statSync(path).size, "precious".length);
  await startFor(context, stateDir); // The failures left the store free.
});

clause("a second one on the same store or socket is refused, not the first", async (context) => {
  const stateDir = stateDirFor(context);
  const host = await startFor(context, stateDir);
  await assert.rejects(startEmbedded({ stateDir }), { code: "REGISTRY_STORE_IN_USE" });
  const elsewhere = startEmbedded({ stateDir: stateDirFor(context), listen: host.address });
  await assert.rejects(elsewhere, { code: "REGISTRY_LISTEN_FAILED" });
  await admit(connectFor(context, host.address).registry, "a");
});

clause("after a restart clients resume and get what they missed once", async (context) => {
  const stateDir = stateDirFor(context);
  const host = await startEmbedded({ stateDir });
  const { registry } = connectFor(context, host.address);
  await admit(registry, "a", 1);
  const watch = new Recorder<WatchEvent<RosterEntry>>();
  registry.watchRoster(watch.listener);
  await watch.first((event) => event.kind === "listing");
  await host.close();
  await watch.first((event) => event.kind === "disconnected");
  // Written while the client is away: the second start listens elsewhere.
  const hidden = await startEmbedded({
    stateDir,
    listen: { kind: "unix", path: join(stateDir, "hidden.sock") },
  });
  await admit(hidden.registry, "b", 2);
  await succeeds<number>((done) => hidden.registry.remove(nodeName("a"), done));
  await hidden.close();
  const again = await startFor(context, stateDir);
  await watch.until(() => watch.events.filter(({ kind }) => kind === "listing").length === 2);
  await admit(registry, "c", 3);
  await watch.first((event) => event.kind === "put" && event.item.name === "c");
  assert.deepEqual(
    watch.events.map(({ kind }) => kind),
    ["listing", "disconnected", "put", "removed", "listing", "put"],
  );
  assert.equal(again.server.statistics().listedItems, 0, "nothing was listed again by the server");
});

clause("a client that comes before the server waits for it", async (context) => {
  const stateDir = stateDirFor(context);
  const address = { kind: "unix", path: join(stateDir, "later.sock") } as const;
  const { registry } = connectFor(context, address);
  const joined = admit(registry, "a");
  await startFor(context, stateDir, address);
  assert.equal((await joined).name, "a");
});

clause("what was sent when the connection broke fails as unknown", async (context) => {
  const stateDir = stateDirFor(context);
  const path = join(stateDir, "deaf.sock");
  const server = createServer((socket) => greetThenHangUp(socket));
  server.listen(path);
  await once(server, "listening");
  context.after(() => server.close());
  const { registry } = connectFor(context, { kind: "unix", path });
  const listen = (done: Parameters<RegistryPort["listRotations"]>[0]): void =>
    registry.listRotations(done);
  assert.equal(await failsWith(listen), "REGISTRY_UNREACHABLE");
});

function greetThenHangUp(socket: Socket): void {
  const reader = new FrameReader();
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    for (const message of reader.read(chunk)) {
      const isHello = (message as { kind: string }).kind === "hello";
      const welcome = { kind: "welcome", protocol: 1, storeId: "x" };
      if (isHello) socket.write(encodeFrame(JSON.stringify(welcome)));
      else socket.destroy();
    }
  });
}

const nonsense: readonly { readonly name: string; readonly bytes: Buffer }[] = [
  { name: "a web request", bytes: Buffer.from("GET / HTTP/1.1\r\n\r\n") },
  { name: "no JSON", bytes: encodeFrame("hello") },
  { name: "an unknown message", bytes: encodeFrame('{"kind":"drop-everything"}') },
  { name: "a request before the greeting", bytes: encodeFrame('{"kind":"leases","id":1}') },
  { name: "another version", bytes: encodeFrame('{"kind":"hello","protocol":2}') },
];
for (const { name, bytes } of nonsense) {
  clause(`${name} ends that connection with a goodbye, and no other`, async (context) => {
    const host = await startFor(context, stateDirFor(context));
    assert.ok(host.address.kind === "unix");
    const socket = connect(host.address.path);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.write(bytes);
    await once(socket, "close");
    const [message] = new FrameReader().read(Buffer.concat(chunks));
    const { kind, code } = message as { readonly kind: string; readonly code: string };
    assert.deepEqual([kind, code], ["goodbye", "REGISTRY_PROTOCOL"]);
    await admit(connectFor(context, host.address).registry, "a");
  });
}

clause("a request out of bounds is refused and the connection goes on", async (context) => {
  const host = await startFor(context, stateDirFor(context));
  const client = new EmbeddedClient(host.address);
  context.after(() => client.close());
  const put = (key: string, value: string): Promise<unknown> =>
    client.transaction([], [{ kind: "put", key, value }]);
  await assert.rejects(put("Key With Spaces", "1"), { code: "REGISTRY_REQUEST_INVALID" });
  const large = "x".repeat(limits.recordBytesMax + 1);
  await assert.rejects(put("fleet", large), { code: "REGISTRY_RECORD_TOO_LARGE" });
  await put("fleet", "\u0001".repeat(limits.recordBytesMax));
  const { items } = await client.range("fleet");
  assert.equal(items[0]?.value.length, limits.recordBytesMax, "the largest record of all passes");
});

clause("a listing larger than any message arrives whole, as of one revision", async (context) => {
  const host = await startFor(context, stateDirFor(context));
  const client = new EmbeddedClient(host.address);
  context.after(() => client.close());
  const value = "x".repeat(100_000);
  const count = Math.ceil((1.5 * limits.registryFrameBytesMax) / value.length);
  for (let number = 0; number < count; number++) {
    await client.transaction([], [{ kind: "put", key: `k/${number}`, value }]);
  }
  const { revision, items } = await client.range("k/");
  assert.deepEqual([revision, items.length], [count, count]);
  assert.ok(items.every((item) => item.value === value));
});

clause("a watch that does not keep up is told to list again", async (context) => {
  const host = await startFor(context, stateDirFor(context));
  assert.ok(host.address.kind === "unix");
  const socket = connect(host.address.path);
  context.after(() => socket.destroy());
  const send = (message: object): boolean => socket.write(encodeFrame(JSON.stringify(message)));
  send({ kind: "hello", protocol: 1 });
  send({ kind: "watch", id: 1, prefix: "k/", after: 0 });
  await once(socket, "readable"); // Nothing is read from here on: the kernel's buffers fill.
  const writer = new EmbeddedClient(host.address);
  context.after(() => writer.close());
  const value = "x".repeat(limits.recordBytesMax / 2);
  const count = Math.ceil((2 * limits.registryBacklogBytesMax) / value.length);
  for (let number = 0; number < count; number++) {
    await writer.transaction([], [{ kind: "put", key: "k/1", value }]);
  }
  const told = new Recorder<{ readonly kind: string; readonly revision?: number }>();
  const reader = new FrameReader();
  socket.on("data", (chunk: Buffer) => {
    for (const message of reader.read(chunk)) told.listener(message as { kind: string });
  });
  await told.first(({ kind }) => kind === "compacted");
  const changes = told.events.filter(({ kind }) => kind === "changes");
  assert.ok(changes.length < count, "some were not told");
  for (const [number, { revision }] of changes.entries()) {
    assert.equal(revision, number + 1, "none in the middle is missing");
  }
  assert.equal(told.events.at(-1)?.kind, "compacted");
});

clause("a client notices that the store was replaced, and lists again", async (context) => {
  const path = join(stateDirFor(context), "registry.sock");
  const address = { kind: "unix", path } as const;
  const first = await startEmbedded({ stateDir: stateDirFor(context), listen: address });
  const client = new EmbeddedClient(address);
  context.after(() => client.close());
  await client.transaction([], [{ kind: "put", key: "fleet", value: "1" }]);
  const watch = new Recorder<KvEvent>();
  client.watch("fleet", 1, watch.listener);
  await client.statistics();
  await first.close();
  await startFor(context, stateDirFor(context), address);
  await watch.first(({ kind }) => kind === "compacted");
  assert.deepEqual(watch.events.map(({ kind }) => kind), ["disconnected", "compacted"]);
});

clause("the host's own registry and its clients see one store", async (context) => {
  const host = await startFor(context, stateDirFor(context));
  const { registry } = connectFor(context, host.address);
  const watch = new Recorder<SingleEvent<FleetRecord>>();
  host.registry.watchFleet(watch.listener);
  await watch.first(() => true);
  const version = await succeeds<number>((done) => registry.writeFleet(fleetRecord(1), 0, done));
  await watch.until(() => watch.events.length === 2);
  const object = { version, value: fleetRecord(1) };
  assert.deepEqual(watch.events[1], { kind: "value", object });
});

clause("it counts writes and events by class, and lease renewals apart", async (context) => {
  const host = await startFor(context, stateDirFor(context));
  const { registry, statistics } = connectFor(context, host.address);
  const watch = new Recorder<WatchEvent<RosterEntry>>();
  for (let number = 0; number < 3; number++) registry.watchRoster(watch.listener);
  await watch.until(() => watch.events.length === 3);
  const entry = await admit(registry, "a");
  await admit(registry, "a");
  await succeeds<null>((done) => registry.publishReport(reportOf(entry, 1, 1), done));
  await succeeds<number>((done) => registry.writeFleet(fleetRecord(1), 0, done));
  assert.equal(
    await failsWith<number>((done) => registry.writeFleet(fleetRecord(1), 0, done)),
    "REGISTRY_CONFLICT",
  );
  await succeeds<null>((done) => registry.renewLease(entry.name, entry.incarnationId, 1_000, done));
  const counted = await succeeds<RegistryStatistics>(statistics);
  const none = { roster: 0, reports: 0, fleet: 0, request: 0, rotations: 0, other: 0 };
  assert.deepEqual(counted.writes, { ...none, roster: 1, reports: 1, fleet: 1 });
  assert.deepEqual(counted.watchEvents, { ...none, roster: 3 });
  assert.deepEqual([counted.leaseRenewals, counted.watches], [1, 3]);
  assert.equal(counted.peakEventsPerSecond, 3);
  assert.deepEqual(counted, host.server.statistics());
});
