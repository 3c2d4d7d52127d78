/** The limits of a dataplane's socket: sizes, buffers, address families and its end. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { limits } from "../../core/limits.js";
import { Dataplane } from "./dataplane.js";
import { startMesh } from "./fixture-mesh.js";
import { until } from "./fixture-node.js";
import { makeNode, spiOf } from "./fixtures.js";

const timeout = 20_000;

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
