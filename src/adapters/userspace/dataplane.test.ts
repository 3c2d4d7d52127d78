/**
 * Two dataplanes on loopback, each with its control socket and client: real datagrams, real unix
 * sockets.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { test, type TestContext } from "node:test";
import { limits } from "../../core/limits.js";
import type { Operation, PolicyAction } from "../../core/sa.js";
import type { XfrmCounters } from "../../core/xfrm-counters.js";
import { countErrors } from "../../core/xfrm-counters.js";
import { UserspaceKernel } from "./control-client.js";
import { Dataplane } from "./dataplane.js";
import { splitSequence, sealEsp } from "./esp.js";
import {
  applied,
  dumped,
  startClient,
  startNode,
  until,
  type RunningNode,
} from "./fixture-node.js";
import {
  FakeKeySource,
  keyRef,
  makeNode,
  policySpec,
  recogniser,
  saSpec,
  spiOf,
} from "./fixtures.js";
import { payloadProtocol } from "./outbound.js";

const timeout = 20_000;
const keySource = new FakeKeySource(36);

interface Mesh {
  readonly a: RunningNode;
  readonly b: RunningNode;
  readonly clientA: UserspaceKernel;
  readonly clientB: UserspaceKernel;
}

const install = (sa: ReturnType<typeof saSpec>): Operation => ({ kind: "install-sa", sa });
const setPolicy = (policy: ReturnType<typeof policySpec>): Operation => ({
  kind: "set-policy",
  policy,
});

function protect(keyId: number, local: RunningNode, peer: RunningNode): Operation {
  const action: PolicyAction = { kind: "protect", spi: spiOf(keyId, local.node.end) };
  return setPolicy(policySpec("out", peer.node, action));
}

/** Inbound and outbound SAs of one key, as `local` needs them towards `peer`. */
function holdKey(keyId: number, local: RunningNode, peer: RunningNode): Operation[] {
  return [
    install(saSpec("in", keyId, peer.node, local.node)),
    install(saSpec("out", keyId, local.node, peer.node)),
  ];
}

/** Both nodes hold `keyId` and send with it. */
async function startMesh(cleanup: TestContext, keyId: number): Promise<Mesh> {
  const [a, b] = [await startNode(cleanup, 1), await startNode(cleanup, 2)];
  const clientA = await startClient(cleanup, a.socketPath, keySource);
  const clientB = await startClient(cleanup, b.socketPath, keySource);
  for (const [client, local, peer] of [
    [clientA, a, b],
    [clientB, b, a],
  ] as const) {
    const accept = setPolicy(policySpec("in", peer.node, { kind: "accept" }));
    const outcome = await applied(client, [
      [accept],
      holdKey(keyId, local, peer),
      [protect(keyId, local, peer)],
    ]);
    assert.deepEqual(outcome.failed, []);
  }
  return { a, b, clientA, clientB };
}

/** Sends one numbered payload and expects that it leaves. */
function send(
  from: RunningNode,
  to: RunningNode,
  number: number,
): { spi: number; sequence: number } {
  const outcome = from.dataplane.send(to.node.endpoint, Buffer.from(`packet ${number}`));
  assert.equal(outcome.kind, "sent");
  return outcome.kind === "sent" ? { spi: outcome.spi, sequence: outcome.sequence } : assert.fail();
}

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
    const key = keySource.bytesOf(keyRef(3, a.node, b.node));
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

test("dataplane: the largest payload arrives", { timeout }, async (t) => {
  const { a, b } = await startMesh(t, 3);
  const payload = Buffer.alloc(limits.espPayloadBytesMax, 7);
  assert.equal(a.dataplane.send(b.node.endpoint, payload).kind, "sent");
  await until(() => b.delivered.length === 1);
  assert.deepEqual(b.delivered[0]?.payload, payload);
});

test(
  "dataplane: what overflows the receive buffer is counted as XfrmInBufferError",
  { timeout },
  async (t) => {
    if (!existsSync("/proc/net/udp"))
      return t.skip("this system has no /proc/net/udp to count drops in");
    const { a, b } = await startMesh(t, 3);
    // More than the largest buffer, in one turn of the event loop, so that nobody reads meanwhile.
    const payload = Buffer.alloc(60_000);
    const count = 3_000;
    for (let number = 0; number < count; number += 1) a.dataplane.send(b.node.endpoint, payload);
    const lost = (): number => b.dataplane.counters().XfrmInBufferError ?? 0;
    await until(() => b.delivered.length + lost() === count);
    assert.ok(lost() > 0 && b.delivered.length > 0);
    assert.deepEqual(b.dropped, []);
  },
);

test("dataplane: IPv6 works as IPv4 does", { timeout }, async (t) => {
  const hasIpv6 = Object.values(networkInterfaces())
    .flat()
    .some((entry) => entry?.address === "::1");
  if (!hasIpv6) return t.skip("this system has no IPv6 loopback address");
  const received: unknown[] = [];
  const options = {
    local: { address: "::1", udpPort: 0 },
    nowMs: () => 0,
    onDrop: () => assert.fail("no drop"),
  };
  const [one, other] = [
    await Dataplane.open({ ...options, onDeliver: () => assert.fail("nothing comes back") }),
    await Dataplane.open({ ...options, onDeliver: (delivery) => void received.push(delivery) }),
  ];
  t.after(() => Promise.all([one.close(), other.close()]));
  const spi = spiOf(3, makeNode(1, "::1", 1).end);
  const request = { spi, source: one.local, destination: other.local, mode: "transport" } as const;
  assert.ok(one.installSa({ ...request, direction: "out" }, Buffer.alloc(20, 5)).ok);
  assert.ok(other.installSa({ ...request, direction: "in" }, Buffer.alloc(20, 5)).ok);
  assert.ok(
    one.setPolicy(
      { direction: "out", family: "ipv6", remote: other.local },
      { kind: "protect", spi },
    ).ok,
  );
  assert.ok(
    other.setPolicy({ direction: "in", family: "ipv6", remote: one.local }, { kind: "accept" }).ok,
  );
  assert.equal(one.send(other.local, Buffer.from("six")).kind, "sent");
  await until(() => received.length === 1);
  assert.deepEqual(received, [{ remote: one.local, payload: Buffer.from("six"), spi }]);
  assert.equal(other.counters().XfrmInBufferError, 0);
});

test(
  "dataplane: a restarted agent finds everything as it was, and sequence numbers go on",
  { timeout },
  async (t) => {
    const { a, b, clientA } = await startMesh(t, 3);
    for (let number = 0; number < 5; number += 1) send(a, b, number);
    const before = await dumped(clientA, recogniser(a.node, b.node, [3]));
    clientA.close();
    for (let number = 5; number < 8; number += 1) send(a, b, number);
    const restarted = await startClient(t, a.socketPath, keySource);
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

test(
  "dataplane: closing wipes the keys, and a taken address is a coded error",
  { timeout },
  async (t) => {
    const { a } = await startMesh(t, 3);
    const { endpoint } = a.node;
    const silent = { onDeliver: () => undefined, onDrop: () => undefined, nowMs: () => 0 };
    await assert.rejects(Dataplane.open({ local: endpoint, ...silent }), {
      code: "DATAPLANE_BIND_FAILED",
    });
    await assert.rejects(
      Dataplane.open({ local: { address: "0.0.0.0", udpPort: 0 }, ...silent }),
      /bug/,
    );
    const keys = a.dataplane.listSas().map(({ key }) => key);
    await a.dataplane.close();
    assert.ok(keys.length === 2 && keys.every((key) => key.isWiped));
  },
);
