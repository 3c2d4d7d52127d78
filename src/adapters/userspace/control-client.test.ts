import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Operation, PolicyAction } from "../../core/sa.js";
import { FrameReader } from "./control-framing.js";
import { ControlServer } from "./control-server.js";
import { install } from "./fixture-mesh.js";
import {
  applied,
  dumped,
  heard,
  startClient,
  startNode,
  type RunningNode,
} from "./fixture-node.js";
import { FakeKeySource, makeNode, policySpec, recogniser, saSpec } from "./fixtures.js";

const timeout = 20_000;
const peer = makeNode(2, "127.0.0.2", 4500);
const policy = (direction: "in" | "out", action: PolicyAction): Operation => {
  return { kind: "set-policy", policy: policySpec(direction, peer, action) };
};

/** Inbound and outbound SA of one key at `local`. */
function bothWays(keyId: number, { node }: RunningNode): Operation[] {
  return [install(saSpec("in", keyId, peer, node)), install(saSpec("out", keyId, node, peer))];
}

/** Forwards connections and collects the headers of all frames, both ways. */
async function tap(t: TestContext, target: string): Promise<{ path: string; headers: string[] }> {
  const headers: string[] = [];
  const path = join(dirname(target), "tap");
  const server = createServer((downstream) => {
    const upstream = connect(target);
    for (const [from, to] of [
      [downstream, upstream],
      [upstream, downstream],
    ] as const) {
      const reader = new FrameReader(({ header }) => void headers.push(JSON.stringify(header)));
      from.on("data", (chunk: Buffer) => {
        reader.push(Buffer.from(chunk));
        to.write(chunk);
      });
      from.on("close", () => to.destroy());
    }
  }).listen(path);
  await once(server, "listening");
  t.after(() => void server.close());
  return { path, headers };
}

test(
  "client: no header of any frame holds key bytes, and every secret is wiped",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const { path, headers } = await tap(t, running.socketPath);
    const keySource = new FakeKeySource(36);
    const client = await startClient(t, path, keySource);
    const keyIds = [3, 4, 5];
    const recognise = recogniser(running.node, peer, keyIds);
    const stages = [keyIds.flatMap((keyId) => bothWays(keyId, running))];
    const outcome = await applied(client, stages, recognise);
    await dumped(client, recognise);
    assert.deepEqual(
      outcome.sas.map(({ bytes }) => bytes),
      Array(6).fill("match"),
    );
    assert.deepEqual(
      headers.map((text) => (JSON.parse(text) as { kind: string }).kind),
      [...["hello", "welcome", "apply", "applied", "read", "part", "end", "dump", "part", "end"]],
    );
    const said = headers.join("\n");
    for (const { key } of outcome.sas) {
      const bytes = keySource.bytesOf(key!);
      for (const part of [bytes, bytes.subarray(0, 8), bytes.subarray(32)]) {
        for (const encoding of ["hex", "base64", "latin1", "utf8"] as const) {
          assert.ok(!said.includes(part.toString(encoding)), `no ${encoding} of a key`);
        }
        assert.ok(!said.includes([...part].join(",")), "no numbers of a key");
      }
    }
    assert.ok(
      keySource.handedOut.length === 18 && keySource.handedOut.every((secret) => secret.isWiped),
    );
  },
);

test(
  "client: says which keys match, differ, cannot be verified or belong to nobody known",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const keySource = new FakeKeySource();
    const client = await startClient(t, running.socketPath, keySource);
    await applied(client, [
      [3, 4, 5].map((keyId) => install(saSpec("in", keyId, peer, running.node))),
    ]);
    const other = await startClient(t, running.socketPath, new FakeKeySource(20, "other fleet"));
    const sa = saSpec("in", 6, peer, running.node);
    await applied(other, [[install(sa)]]);
    keySource.missing.add(4);
    const { sas } = await dumped(client, recogniser(running.node, peer, [3, 4, 6]));
    assert.deepEqual(
      sas.map(({ key, bytes }) => [key?.keyId ?? null, bytes]),
      [
        [3, "match"],
        [4, "unverifiable"],
        [null, "unverifiable"],
        [6, "mismatch"],
      ],
    );
    const again = await applied(client, [[install(sa)]], recogniser(running.node, peer, [6]));
    assert.deepEqual(
      again.failed.map(({ code }) => code),
      ["EEXIST"],
    );
    assert.deepEqual(
      again.sas.map(({ bytes }) => bytes),
      ["mismatch"],
    );
  },
);

test(
  "client: a stage starts only when the one before it succeeded, and all of the plan is read back",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const keySource = new FakeKeySource();
    keySource.missing.add(9);
    const client = await startClient(t, running.socketPath, keySource);
    const tunnel = saSpec("in", 5, peer, running.node);
    const [missing] = bothWays(9, running) as [Operation, Operation];
    const refused = install({ ...tunnel, key: { ...tunnel.key, mode: "tunnel" } });
    const kept = saSpec("in", 6, peer, running.node);
    const keptSlot = { direction: "in", spi: kept.spi, remote: peer.endpoint } as const;
    await applied(client, [[install(kept)]]);
    const stages: Operation[][] = [
      bothWays(3, running),
      [missing, policy("in", { kind: "accept" }), refused],
      [
        policy("out", { kind: "block" }),
        ...bothWays(4, running),
        { kind: "delete-sa", slot: keptSlot },
      ],
    ];
    const outcome = await applied(client, stages, recogniser(running.node, peer, [3, 4, 6, 9]));
    assert.deepEqual(
      outcome.failed.map(({ operation, code }) => [operation, code]),
      [
        [missing, "KEY_NOT_AVAILABLE"],
        [refused, "DATAPLANE_UNSUPPORTED"],
      ],
    );
    assert.deepEqual(
      outcome.sas.map(({ slot, key }) => [slot.direction, key?.keyId]),
      [
        ["in", 3],
        ["out", 3],
        ["in", 6],
      ],
    );
    const { direction, family, remote } = policySpec("in", peer, { kind: "accept" });
    assert.deepEqual(outcome.policies, [
      { slot: { direction, family, remote }, action: { kind: "accept" } },
    ]);
  },
);

test(
  "client: deleting removes, deleting again succeeds, and what is gone is not read back",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const client = await startClient(t, running.socketPath, new FakeKeySource());
    const accept = policySpec("in", peer, { kind: "accept" });
    const { spi } = saSpec("in", 3, peer, running.node);
    const gone: Operation[] = [
      { kind: "delete-sa", slot: { direction: "in", spi, remote: peer.endpoint } },
      { kind: "delete-policy", policy: { direction: "in", family: "ipv4", remote: accept.remote } },
    ];
    await applied(client, [
      [install(saSpec("in", 3, peer, running.node)), { kind: "set-policy", policy: accept }],
    ]);
    for (let turn = 0; turn < 2; turn += 1) {
      assert.deepEqual(await applied(client, [gone]), { sas: [], policies: [], failed: [] });
    }
    assert.deepEqual(running.dataplane.listSas(), []);
    assert.deepEqual(await applied(client, []), { sas: [], policies: [], failed: [] });
  },
);

test(
  "client: tells when the dataplane goes and comes back, and fails requests in between",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const socketPath = join(dirname(running.socketPath), "second");
    const server = await ControlServer.listen(running.dataplane, socketPath);
    const client = await startClient(t, socketPath, new FakeKeySource());
    const first = await dumped(client);
    const heardAll: string[] = [];
    client.watch((reason) => void heardAll.push(reason));
    const disconnected = heard(client, "disconnected");
    await server.close();
    await disconnected;
    const failure = { code: "DATAPLANE_UNREACHABLE", retryable: true };
    await assert.rejects(dumped(client), failure);
    await assert.rejects(applied(client, [[policy("out", { kind: "block" })]]), failure);
    const other = await startNode(t, 3);
    const connected = heard(client, "connected");
    const second = await ControlServer.listen(other.dataplane, socketPath);
    t.after(() => second.close());
    await connected;
    assert.notEqual((await dumped(client)).identity.instance, first.identity.instance);
    assert.deepEqual(heardAll, ["connected", "disconnected", "connected"]);
  },
);

test(
  "client: a plan that is running when the dataplane goes fails as a whole, once",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const socketPath = join(dirname(running.socketPath), "second");
    const server = await ControlServer.listen(running.dataplane, socketPath);
    const pause = (): Promise<void> => server.close();
    const client = await startClient(t, socketPath, new FakeKeySource(), {
      stagingDelayMs: 1,
      pause,
    });
    await assert.rejects(applied(client, [bothWays(3, running)]), {
      code: "DATAPLANE_UNREACHABLE",
      retryable: true,
    });
    assert.deepEqual(running.dataplane.listSas(), []);
  },
);

test("client: closing ends what is running and is silent", { timeout }, async (t) => {
  const running = await startNode(t, 1);
  const client = await startClient(t, running.socketPath, new FakeKeySource(), {
    stagingDelayMs: 60_000,
  });
  const heardAll: string[] = [];
  client.watch((reason) => void heardAll.push(reason));
  const outcome = applied(client, [bothWays(3, running)]);
  setImmediate(() => client.close());
  await assert.rejects(outcome, { code: "DATAPLANE_UNREACHABLE" });
  await assert.rejects(dumped(client), { code: "DATAPLANE_UNREACHABLE" });
  assert.deepEqual(
    heardAll.filter((reason) => reason !== "connected"),
    [],
  );
});

test(
  "client: hears of changes that another client made, not of its own or of none",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const keySource = new FakeKeySource();
    const [one, other] = [
      await startClient(t, running.socketPath, keySource),
      await startClient(t, running.socketPath, keySource),
    ];
    const heardByOne: string[] = [];
    const heardByOther: string[] = [];
    one.watch((reason) => void heardByOne.push(reason));
    const change = heard(other, "foreign-change");
    other.watch((reason) => void heardByOther.push(reason));
    await applied(one, [bothWays(3, running)]);
    await change;
    await applied(one, [bothWays(3, running)]);
    await Promise.all([dumped(one), dumped(other)]);
    assert.deepEqual(heardByOne, ["connected"]);
    assert.deepEqual(heardByOther, ["connected", "foreign-change"]);
  },
);
