/**
 * The client at its limits: large plans and dumps, a slow node, a dataplane that does not answer.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { KeyRef, Operation } from "../../core/sa.js";
import { reconnectMs, UserspaceKernel } from "./control-client.js";
import { install, setPolicy } from "./fixture-mesh.js";
import { applied, dumped, startClient, startNode, until } from "./fixture-node.js";
import { FakeKeySource, makeNode, policySpec, saSpec } from "./fixtures.js";

const timeout = 20_000;
const peer = makeNode(2, "127.0.0.2", 4500);

test("client: dumps of 10,000 SAs and policies arrive whole", { timeout }, async (t) => {
  const running = await startNode(t, 1);
  const keySource = new FakeKeySource();
  const client = await startClient(t, running.socketPath, keySource);
  const peers = Array.from({ length: 10_000 }, (_, index) => {
    return makeNode(index + 2, `127.1.${index >> 8}.${index & 255}`, 4500);
  });
  const sas = peers.map((node) => install(saSpec("in", 3, node, running.node)));
  const policies = peers.map((node): Operation => {
    return { kind: "set-policy", policy: policySpec("in", node, { kind: "accept" }) };
  });
  const keys = new Map<number, KeyRef>(
    peers.map((node) => {
      const { spi, key } = saSpec("in", 3, node, running.node);
      return [spi, key];
    }),
  );
  const outcome = await applied(client, [sas, policies], ({ spi }) => keys.get(spi) ?? null);
  const dump = await dumped(client, ({ spi }) => keys.get(spi) ?? null);
  for (const reading of [outcome, dump]) {
    assert.equal(new Set(reading.sas.map(({ slot }) => slot.spi)).size, 10_000);
    assert.ok(reading.sas.every(({ bytes }) => bytes === "match"));
    assert.equal(reading.policies.length, 10_000);
  }
  assert.deepEqual(outcome.failed, []);
});

test(
  "client: the lab's staging delay is spread over the inbound SAs of a plan",
  { timeout },
  async (t) => {
    const running = await startNode(t, 1);
    const pauses: number[] = [];
    const held: number[] = [];
    const pause = async (ms: number): Promise<void> => {
      pauses.push(ms);
      held.push(running.dataplane.listSas().length);
    };
    const client = await startClient(t, running.socketPath, new FakeKeySource(), {
      stagingDelayMs: 2_000,
      pause,
    });
    const keyIds = Array.from({ length: 40 }, (_, index) => index + 1);
    const inbound = keyIds.map((keyId) => install(saSpec("in", keyId, peer, running.node)));
    await applied(client, [inbound, [setPolicy(policySpec("in", peer, { kind: "accept" }))]]);
    assert.deepEqual(pauses, Array(20).fill(100));
    assert.deepEqual(
      held,
      Array.from({ length: 20 }, (_, index) => 2 * index),
    );
    await applied(client, [
      [install(saSpec("out", 3, running.node, peer))],
      [setPolicy(policySpec("out", peer, { kind: "block" }))],
    ]);
    assert.equal(pauses.length, 20);
  },
);

test("client: a dataplane that does not answer is given up", { timeout }, async (t) => {
  const { socketPath } = await startNode(t, 1);
  const path = join(dirname(socketPath), "silent");
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => undefined);
    socket.resume();
  }).listen(path);
  await once(server, "listening");
  t.after(() => void server.close());
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const client = new UserspaceKernel({ socketPath: path, keySource: new FakeKeySource() });
  t.after(() => client.close());
  await until(() => connections === 1);
  const failure: { message?: string } = await dumped(client).then(
    () => assert.fail(),
    (error: Error) => error,
  );
  assert.match(failure.message ?? "", /not connected yet/);
  await until(() => {
    t.mock.timers.tick(1_000);
    return connections === 2;
  });
  await assert.rejects(dumped(client), /no answer to hello in 10000 ms/);
});

test("client: waits 50 ms before it connects again, doubled up to a second", () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 6, 60].map(reconnectMs),
    [50, 50, 100, 200, 400, 800, 1_000, 1_000],
  );
});
