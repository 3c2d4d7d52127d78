/**
 * Two dataplanes on loopback, each with its control socket and client: real datagrams, real unix
 * sockets.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { limits } from "../../core/limits.js";
import { countErrors, type XfrmCounters } from "../../core/xfrm-counters.js";
import { sealEsp, splitSequence } from "./esp.js";
import { holdKey, meshKeys, protect, send, setPolicy, startMesh } from "./fixture-mesh.js";
import { applied, dumped, startClient, until, type RunningNode } from "./fixture-node.js";
import { keyRef, makeNode, policySpec, recogniser, spiOf } from "./fixtures.js";
import { payloadProtocol } from "./outbound.js";

const timeout = 20_000;

const errorsOf = ({ dataplane }: RunningNode): number => countErrors(dataplane.counters());
const textsOf = ({ delivered }: RunningNode): string[] =>
  delivered.map(({ payload }) => payload.toString());

test(
  "dataplane: packets flow both ways, and a switch of SPI under traffic loses none",
  { timeout },
  async (t) => {
    const { a, b, clientA, clientB } = await startMesh(t, 3);
    const total = 3_000;
    const used = new Set<number>();
    const rotation = (async () => {
      for (const keyId of [4, 5, 6]) {
        await applied(clientB, [holdKey(keyId, b, a)]);
        await applied(clientA, [holdKey(keyId, a, b), [protect(keyId, a, b)]]);
      }
    })();
    for (let number = 0; number < total || used.size < 4; number += 1) {
      used.add(send(a, b, number).spi);
      send(b, a, number);
      if (number % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await rotation;
    const sent = b.dataplane.findSa({
      direction: "out",
      spi: spiOf(3, b.node.end),
      remote: a.node.endpoint,
    });
    await until(() => a.delivered.length === sent?.packets && b.delivered.length === sent.packets);
    assert.deepEqual(
      textsOf(b),
      Array.from({ length: b.delivered.length }, (_, index) => `packet ${index}`),
    );
    assert.deepEqual(
      [...used],
      [3, 4, 5, 6].map((keyId) => spiOf(keyId, a.node.end)),
    );
    assert.deepEqual(b.delivered[0]?.remote, a.node.endpoint);
    assert.equal(errorsOf(a) + errorsOf(b), 0);
  },
);

test(
  "dataplane: an inbound SA that went too early costs XfrmInNoStates, named by SPI and sequence",
  { timeout },
  async (t) => {
    const { a, b, clientB } = await startMesh(t, 3);
    const spi = spiOf(3, a.node.end);
    await applied(clientB, [
      [{ kind: "delete-sa", slot: { direction: "in", spi, remote: a.node.endpoint } }],
    ]);
    const sent = send(a, b, 1);
    await until(() => b.dropped.length === 1);
    const { atMs, ...drop } = b.dropped[0]!;
    assert.deepEqual(drop, { counter: "XfrmInNoStates", ...sent, remote: a.node.endpoint });
    assert.ok(atMs > 0 && atMs <= performance.now());
    assert.equal((await dumped(clientB)).counters.XfrmInNoStates, 1);
    assert.equal(b.delivered.length, 0);
  },
);

/** Sends datagrams to `to` from the address and port of `from`, whose dataplane is closed first. */
async function sendRaw(
  t: TestContext,
  from: RunningNode,
  to: RunningNode,
  datagrams: Buffer[],
): Promise<void> {
  await from.dataplane.close();
  const socket = createSocket("udp4").bind(from.node.endpoint.udpPort, from.node.endpoint.address);
  t.after(() => void socket.close());
  await once(socket, "listening");
  for (const datagram of datagrams)
    socket.send(datagram, to.node.endpoint.udpPort, to.node.endpoint.address);
}

test(
  "dataplane: tampered, replayed, cut and foreign datagrams are dropped and counted",
  { timeout },
  async (t) => {
    const { a, b } = await startMesh(t, 3);
    const key = meshKeys.bytesOf(keyRef(3, a.node, b.node));
    const seal = (sequence: number): Buffer => {
      const packet = {
        spi: spiOf(3, a.node.end),
        sequence: splitSequence(sequence),
        nextHeader: payloadProtocol,
      };
      return sealEsp(key, { ...packet, payload: Buffer.from("raw") });
    };
    const tampered = seal(2);
    tampered[18]! ^= 1;
    const ignored = Buffer.alloc(40);
    await sendRaw(t, a, b, [seal(1), tampered, seal(1), ignored, Buffer.alloc(5, 1), seal(3)]);
    await until(() => b.delivered.length === 2 && b.dropped.length === 3);
    const expected: XfrmCounters = {
      XfrmInStateProtoError: 1,
      XfrmInStateSeqError: 1,
      XfrmInHdrError: 1,
    };
    const counters = b.dataplane.counters();
    assert.deepEqual(
      Object.fromEntries(Object.entries(counters).filter(([, count]) => count > 0)),
      expected,
    );
    assert.deepEqual(
      b.dropped.map(({ counter, sequence }) => [counter, sequence]),
      [
        ["XfrmInStateProtoError", 2],
        ["XfrmInStateSeqError", 1],
        ["XfrmInHdrError", null],
      ],
    );
  },
);

test(
  "dataplane: nothing leaves without a policy, and blocked packets are counted",
  { timeout },
  async (t) => {
    const { a, b, clientA } = await startMesh(t, 3);
    const payload = Buffer.from("x");
    await applied(clientA, [[protect(9, a, b)]]);
    assert.deepEqual(a.dataplane.send(b.node.endpoint, payload), {
      kind: "blocked",
      counter: "XfrmOutNoStates",
    });
    await applied(clientA, [[setPolicy(policySpec("out", b.node, { kind: "block" }))]]);
    assert.deepEqual(a.dataplane.send(b.node.endpoint, payload), {
      kind: "blocked",
      counter: "XfrmOutPolBlock",
    });
    const unknown = makeNode(9, "127.0.0.9", 4_500).endpoint;
    assert.deepEqual(a.dataplane.send(unknown, payload), {
      kind: "blocked",
      counter: "XfrmOutPolBlock",
    });
    const oversized = Buffer.alloc(limits.espPayloadBytesMax + 1);
    assert.deepEqual(a.dataplane.send(b.node.endpoint, oversized), {
      kind: "blocked",
      counter: "XfrmOutError",
    });
    const { XfrmOutNoStates, XfrmOutPolBlock, XfrmOutError } = (await dumped(clientA)).counters;
    assert.deepEqual(
      { XfrmOutNoStates, XfrmOutPolBlock, XfrmOutError },
      {
        XfrmOutNoStates: 1,
        XfrmOutPolBlock: 2,
        XfrmOutError: 1,
      },
    );
  },
);

test(
  "dataplane: a restarted agent finds everything as it was, and sequence numbers go on",
  { timeout },
  async (t) => {
    const { a, b, clientA } = await startMesh(t, 3);
    for (let number = 0; number < 5; number += 1) send(a, b, number);
    const before = await dumped(clientA, recogniser(a.node, b.node, [3]));
    clientA.close();
    for (let number = 5; number < 8; number += 1) send(a, b, number);
    const restarted = await startClient(t, a.socketPath, meshKeys);
    const after = await dumped(restarted, recogniser(a.node, b.node, [3]));
    assert.deepEqual(after.identity, before.identity);
    assert.deepEqual(after.policies, before.policies);
    assert.deepEqual(
      after.sas.map(({ slot, bytes }) => [slot.direction, bytes]),
      [
        ["in", "match"],
        ["out", "match"],
      ],
    );
    assert.deepEqual(
      after.sas.map(({ sequence, packets }) => [sequence, packets]),
      [
        [0, 0],
        [8, 8],
      ],
    );
    const again = await applied(restarted, [holdKey(3, a, b)], recogniser(a.node, b.node, [3]));
    assert.deepEqual(again, { sas: after.sas, policies: [], failed: [] });
    assert.equal(send(a, b, 8).sequence, 9);
    await until(() => b.delivered.length === 9);
    assert.equal(errorsOf(b), 0);
  },
);
