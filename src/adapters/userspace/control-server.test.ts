import assert from "node:assert/strict";
import { once } from "node:events";
import { chmod, mkdir, stat, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { spawnSync } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { limits } from "../../core/limits.js";
import { FrameReader, noAttachment, writeFrame } from "./control-framing.js";
import { ControlServer } from "./control-server.js";
import { startNode, until, type RunningNode } from "./fixture-node.js";
import { makeNode, saSpec } from "./fixtures.js";

const timeout = 20_000;
const nonce = Buffer.alloc(32, 1);
const hello = { kind: "hello", protocol: 1 };

interface RawHeader {
  readonly kind: string;
  readonly code?: string;
  readonly message?: string;
  readonly sas?: unknown[];
  readonly policies?: unknown[];
}

interface RawClient {
  readonly socket: Socket;
  readonly headers: RawHeader[];
}

async function connectRaw(t: TestContext, { socketPath }: RunningNode): Promise<RawClient> {
  const socket = connect(socketPath);
  const headers: RawClient["headers"] = [];
  const reader = new FrameReader(({ header }) => void headers.push(header as { kind: string }));
  socket.on("data", (chunk: Buffer) => reader.push(chunk));
  t.after(() => void socket.destroy());
  await once(socket, "connect");
  return { socket, headers };
}

test("server: the socket is for its owner alone", { timeout }, async (t) => {
  const running = await startNode(t, 1);
  const path = join(dirname(running.socketPath), "new", "deep", "control");
  const server = await ControlServer.listen(running.dataplane, path);
  t.after(() => server.close());
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await stat(dirname(path))).mode & 0o777, 0o700);
  await chmod(dirname(path), 0o750);
  const again = ControlServer.listen(running.dataplane, `${path}2`);
  await assert.rejects(again, { code: "CONTROL_DIRECTORY_UNSAFE", retryable: false });
});

test(
  "server: takes over the socket of a dead process, never that of a living one",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    await assert.rejects(ControlServer.listen(running.dataplane, running.socketPath), {
      code: "CONTROL_SOCKET_IN_USE",
    });
    const path = join(dirname(running.socketPath), "stale");
    const dieListening = `() => process.kill(process.pid, "SIGKILL")`;
    const script = `require("net").createServer().listen(process.argv[1], ${dieListening})`;
    spawnSync(process.execPath, ["-e", script, path]);
    assert.ok((await stat(path)).isSocket());
    const server = await ControlServer.listen(running.dataplane, path);
    t.after(() => server.close());
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  },
);

test(
  "server: what is no socket is left alone, and a path too long is a coded error",
  { timeout },
  async (t) => {
    const { dataplane, socketPath } = await startNode(t, 1);
    const file = join(dirname(socketPath), "file");
    await writeFile(file, "keep");
    await mkdir(join(dirname(socketPath), "folder"));
    for (const path of [
      `${file}/control`,
      join(dirname(socketPath), "folder"),
      `${socketPath}${"x".repeat(200)}`,
    ]) {
      await assert.rejects(
        ControlServer.listen(dataplane, path),
        { code: "CONTROL_LISTEN_FAILED" },
        path,
      );
    }
  },
);

const install = { kind: "install-sa", keyBytes: 20, sa: {} };
const breaches: readonly [string, object, Buffer, RegExp][] = [
  ["a request before hello", { kind: "dump", id: 1 }, noAttachment, /before hello/],
  ["another version", { kind: "hello", protocol: 2 }, nonce, /speaks control protocol 1, not 2/],
  ["a short nonce", hello, Buffer.alloc(31), /32 bytes/],
  ["an unknown request", { kind: "flush", id: 1 }, noAttachment, /not a request/],
  [
    "an incomplete operation",
    { kind: "apply", id: 1, operations: [install] },
    noAttachment,
    /not a request/,
  ],
  ["an unknown field", { ...hello, key: "00" }, nonce, /not a request/],
];
for (const [name, header, attachment, message] of breaches) {
  test(`server: ${name} is refused and ends the connection`, { timeout }, async (t) => {
    const client = await connectRaw(t, await startNode(t, 1));
    writeFrame(client.socket, header, attachment);
    await once(client.socket, "close");
    assert.deepEqual(
      client.headers.map(({ kind, code }) => [kind, code]),
      [["refused", "CONTROL_PROTOCOL"]],
    );
    assert.match(client.headers[0]?.message ?? "", message);
  });
}

test(
  "server: keys that do not fill the attachment are refused before anything is installed",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    for (const bytes of [0, 19, 21, 40]) {
      const client = await connectRaw(t, running);
      const { direction, spi, source, destination } = saSpec(
        "in",
        3,
        makeNode(2, "127.0.0.2", 4500),
        running.node,
      );
      const sa = { direction, spi, source, destination, mode: "transport" };
      writeFrame(client.socket, hello, nonce);
      const operations = [{ kind: "install-sa", keyBytes: 20, sa }];
      writeFrame(client.socket, { kind: "apply", id: 1, operations }, Buffer.alloc(bytes, 1));
      await once(client.socket, "close");
      assert.deepEqual(
        client.headers.map(({ kind }) => kind),
        ["welcome", "refused"],
      );
    }
    assert.deepEqual(running.dataplane.listSas(), []);
  },
);

test(
  "server: listings beyond the limit are refused, the others are served",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const sa = {
      ...saSpec("in", 3, makeNode(2, "127.0.0.2", 4500), running.node),
      mode: "transport",
    } as const;
    running.dataplane.installSa(sa, Buffer.alloc(20, 1));
    const client = await connectRaw(t, running);
    writeFrame(client.socket, hello, nonce);
    client.socket.cork();
    for (let id = 1; id <= limits.controlListingsMax + 4; id += 1)
      writeFrame(client.socket, { kind: "dump", id }, noAttachment);
    client.socket.uncork();
    const count = (kind: string): number =>
      client.headers.filter((header) => header.kind === kind).length;
    await until(() => count("end") + count("refused") === limits.controlListingsMax + 4);
    assert.equal(count("end"), limits.controlListingsMax);
    assert.ok(
      client.headers.every(({ kind, code }) => kind !== "refused" || code === "DATAPLANE_BUSY"),
    );
  },
);

test(
  "server: a client that reads slowly gets a large listing all the same",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const peers = Array.from({ length: limits.dataplanePoliciesMax }, (_, index) =>
      makeNode(index + 2, `127.1.${index >> 8}.${index & 255}`, 4500),
    );
    for (const [index, peer] of peers.entries()) {
      const policy = { direction: "in", family: "ipv4", remote: peer.endpoint } as const;
      assert.ok(running.dataplane.setPolicy(policy, { kind: "accept" }).ok);
      const sa = { ...saSpec("in", 3, peer, running.node), mode: "transport" } as const;
      if (index < 5_000) running.dataplane.installSa(sa, Buffer.alloc(20, 1));
    }
    const client = await connectRaw(t, running);
    writeFrame(client.socket, hello, nonce);
    writeFrame(client.socket, { kind: "dump", id: 1 }, noAttachment);
    await until(() => client.headers.some(({ kind }) => kind === "part"));
    client.socket.pause();
    // Turns enough to write the whole listing, were nobody waiting for the reader.
    for (let turn = 0; turn < 500; turn += 1) await nextTurn();
    client.socket.resume();
    await until(() => client.headers.at(-1)?.kind === "end");
    assert.equal(client.headers.flatMap(({ sas }) => sas ?? []).length, 5_000);
    const policies = client.headers.flatMap((header) => header.policies ?? []);
    assert.equal(policies.length, limits.dataplanePoliciesMax);
  },
);

test("server: what is deleted while a listing runs is not in it", { timeout }, async (t) => {
  const running = await startNode(t, 1);
  for (let index = 2; index < 602; index += 1) {
    const peer = makeNode(index, `127.1.${index >> 8}.${index & 255}`, 4500);
    const sa = { ...saSpec("in", 3, peer, running.node), mode: "transport" } as const;
    assert.ok(running.dataplane.installSa(sa, Buffer.alloc(20, 1)).ok);
  }
  const slot = running.dataplane.listSas().at(-1)?.slot;
  const client = await connectRaw(t, running);
  writeFrame(client.socket, hello, nonce);
  await until(() => client.headers.length === 1);
  // Both in one write: the deletion is served between the first part and the last.
  client.socket.cork();
  writeFrame(client.socket, { kind: "dump", id: 1 }, noAttachment);
  const operations = [{ kind: "delete-sa", slot }];
  writeFrame(client.socket, { kind: "apply", id: 2, operations }, noAttachment);
  client.socket.uncork();
  await until(() => client.headers.at(-1)?.kind === "end");
  const kinds = client.headers.map(({ kind }) => kind);
  assert.deepEqual(kinds, ["welcome", "part", "applied", "part", "part", "end"]);
  assert.equal(client.headers.flatMap(({ sas }) => sas ?? []).length, 599);
});

test(
  "server: garbage ends the connection, and other clients do not notice",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const [bad, good] = [await connectRaw(t, running), await connectRaw(t, running)];
    bad.socket.write("GET / HTTP/1.1\r\n\r\n");
    await once(bad.socket, "close");
    writeFrame(good.socket, hello, nonce);
    await until(() => good.headers.length === 1);
    assert.equal(good.headers[0]?.kind, "welcome");
  },
);
