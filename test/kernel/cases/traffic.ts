/**
 * Two namespaces exchange datagrams through SAs that our socket installed.
 *
 *   left                        right
 *   192.0.2.1 ───── veth ───── 192.0.2.2      outer addresses, ends of transport SAs
 *   10.1.0.1 on lo             10.2.0.1 on lo  inner addresses, for tunnel mode
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Family, Mode, XfrmPolicy, XfrmSa } from "../../../src/adapters/netlink/codec/model.js";
import { appendPolicy } from "../../../src/adapters/netlink/codec/policy.js";
import { appendSa } from "../../../src/adapters/netlink/codec/sa.js";
import type { RequestSocket } from "../../../src/adapters/netlink/socket/request-socket.js";
import { openXfrmStat } from "../../../src/adapters/netlink/xfrm-stat.js";
import type { XfrmCounters } from "../../../src/core/xfrm-counters.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { openDatagramSocket, openEncapsulationSocket } from "../../support/netlink/datagrams.js";
import {
  ipBatch,
  makeNamespace,
  openRequestSocketIn,
  type Namespace,
} from "../../support/netlink/namespace.js";
import {
  addresses,
  dumpSas,
  hostSelector,
  keyOf,
  natPorts,
  protectingPolicy,
  saOf,
} from "../../support/netlink/samples.js";

interface Side {
  readonly namespace: Namespace;
  readonly socket: RequestSocket;
  readonly outer: Record<Family, string>;
  readonly inner: Record<Family, string>;
}

interface Shape {
  readonly family: Family;
  readonly mode: Mode;
  readonly isUdp: boolean;
}

const port = 5_000;
const packets = 20;

/** Runs with two linked namespaces, which are gone afterwards. */
async function withTwoSides(run: (left: Side, right: Side) => Promise<void>): Promise<void> {
  const left = await makeSide(0);
  const right = await makeSide(1);
  try {
    ipBatch(["link add left netns left type veth peer name right netns right"]);
    connect(left, right);
    connect(right, left);
    await run(left, right);
  } finally {
    for (const { socket, namespace } of [left, right]) {
      socket.close();
      namespace.close();
    }
  }
}

async function makeSide(number: 0 | 1): Promise<Side> {
  const namespace = makeNamespace(number === 0 ? "left" : "right");
  return {
    namespace,
    socket: await openRequestSocketIn(namespace),
    outer: { ipv4: addresses.ipv4[number], ipv6: addresses.ipv6[number] },
    inner: { ipv4: `10.${number + 1}.0.1`, ipv6: `fd00:${number + 1}::1` },
  };
}

function connect(side: Side, other: Side): void {
  const device = side.namespace.name;
  ipBatch(
    [
      "link set lo up",
      `link set ${device} up`,
      `address add ${side.outer.ipv4}/24 dev ${device}`,
      `address add ${side.outer.ipv6}/64 dev ${device} nodad`,
      `address add ${side.inner.ipv4}/32 dev lo`,
      `address add ${side.inner.ipv6}/128 dev lo nodad`,
      `route add ${other.inner.ipv4}/32 via ${other.outer.ipv4} src ${side.inner.ipv4}`,
      `route add ${other.inner.ipv6}/128 via ${other.outer.ipv6} src ${side.inner.ipv6}`,
    ],
    side.namespace,
  );
}

/** The SA from one side to the other. */
function saBetween({ family, mode, isUdp }: Shape, from: Side, to: Side, spi: number): XfrmSa {
  return saOf(family, mode, {
    source: from.outer[family],
    destination: to.outer[family],
    spi,
    encapsulation: isUdp ? natPorts : null,
  });
}

const spiOf = { left: 0x0300_0010, right: 0x0300_0020 } as const;

/** Installs both SAs and both policies on one side; whatever is not encrypted is then dropped. */
async function protect(shape: Shape, side: Side, other: Side, key: Uint8Array): Promise<void> {
  const isLeft = side.namespace.name === "left";
  const outbound = saBetween(shape, side, other, isLeft ? spiOf.left : spiOf.right);
  const inbound = saBetween(shape, other, side, isLeft ? spiOf.right : spiOf.left);
  const append = (batch: Parameters<typeof appendSa>[0], sa: XfrmSa): void =>
    appendSa(batch, "add", sa, key);
  assert.deepEqual(await side.socket.send([outbound, inbound], append), []);
  const [here, there] = [endOf(shape, side), endOf(shape, other)];
  const policies: XfrmPolicy[] = [
    protectingPolicy("out", outbound, hostSelector(shape.family, here, there)),
    protectingPolicy("in", inbound, hostSelector(shape.family, there, here)),
  ];
  if (shape.isUdp) policies.push(acceptEncapsulated(shape, side, other));
  const set = (batch: Parameters<typeof appendPolicy>[0], policy: XfrmPolicy): void =>
    appendPolicy(batch, "set", policy);
  assert.deepEqual(await side.socket.send(policies, set), []);
}

/**
 * The socket that decapsulates is a UDP socket like any other: its packets meet the policies before
 * their ESP is seen, and in transport mode the peer's policy covers them (net/ipv4/udp.c).
 */
function acceptEncapsulated({ family }: Shape, side: Side, other: Side): XfrmPolicy {
  const selector = hostSelector(family, other.outer[family], side.outer[family]);
  return {
    direction: "in",
    selector: { ...selector, protocol: 17, destinationPort: natPorts.destination },
    ifId: null,
    verdict: "allow",
    priority: 1,
    templates: [],
  };
}

/** Where the datagrams of this shape start and end. */
function endOf({ family, mode }: Shape, side: Side): string {
  return mode === "transport" ? side.outer[family] : side.inner[family];
}

/** Sends datagrams from left to right. @returns those that arrived */
async function exchange(shape: Shape, left: Side, right: Side): Promise<readonly string[]> {
  const open = (side: Side) => () => openDatagramSocket(shape.family, endOf(shape, side), port);
  const sender = left.namespace.within(open(left));
  const receiver = right.namespace.within(open(right));
  const decapsulators = shape.isUdp
    ? [left, right].map(({ namespace }) =>
        namespace.within(() => openEncapsulationSocket(shape.family, natPorts.destination)),
      )
    : [];
  try {
    for (let i = 0; i < packets; i += 1) {
      assert.equal(sender.send(`datagram ${i}`, endOf(shape, right), port), 0);
    }
    return await collect(receiver);
  } finally {
    for (const socket of [sender, receiver, ...decapsulators]) socket.close();
  }
}

/** Until all have come, or nothing more does. */
async function collect(receiver: { receiveAll(): readonly string[] }): Promise<readonly string[]> {
  const texts: string[] = [];
  for (let idleMs = 0; idleMs < 200 && texts.length < packets; idleMs += 10) {
    const more = receiver.receiveAll();
    if (more.length > 0) idleMs = 0;
    texts.push(...more);
    await pause(10);
  }
  return texts;
}

function countersOf({ namespace }: Side): XfrmCounters {
  const stat = namespace.within(() => openXfrmStat());
  const counters = stat.read();
  stat.close();
  return counters;
}

function packetsOf(sas: Awaited<ReturnType<typeof dumpSas>>, spi: number): number | undefined {
  return sas.find((sa) => sa.spi === spi)?.packets;
}

async function packetsPass(shape: Shape): Promise<void> {
  await withTwoSides(async (left, right) => {
    await protect(shape, left, right, keyOf(20));
    await protect(shape, right, left, keyOf(20));
    const arrived = await exchange(shape, left, right);
    assert.deepEqual(arrived, Array.from({ length: packets }, (_, i) => `datagram ${i}`));
    const sas = [await dumpSas(left.socket), await dumpSas(right.socket)];
    assert.deepEqual(sas.map((some) => packetsOf(some, spiOf.left)), [packets, packets]);
    const [sent, received] = sas.map((some) => some.find(({ spi }) => spi === spiOf.left));
    assert.deepEqual([sent?.sentSequence, received?.receivedSequence], [packets, packets]);
    for (const side of [left, right]) assertNoErrors(countersOf(side));
  });
}

function assertNoErrors(counters: XfrmCounters): void {
  assert.ok(Object.keys(counters).length >= 28, "the kernel keeps all counters");
  assert.deepEqual(Object.entries(counters).filter(([, count]) => count > 0), []);
}

const plain: Shape = { family: "ipv4", mode: "transport", isUdp: false };

async function wrongKeyIsCounted(): Promise<void> {
  await withTwoSides(async (left, right) => {
    await protect(plain, left, right, keyOf(20));
    await protect(plain, right, left, keyOf(20).reverse());
    assert.deepEqual(await exchange(plain, left, right), []);
    assert.equal(countersOf(right).XfrmInStateProtoError, packets);
    assert.equal(packetsOf(await dumpSas(right.socket), spiOf.left), 0);
  });
}

async function missingSaIsCounted(): Promise<void> {
  await withTwoSides(async (left, right) => {
    await protect(plain, left, right, keyOf(20));
    assert.deepEqual(await exchange(plain, left, right), []);
    assert.equal(countersOf(right).XfrmInNoStates, packets);
  });
}

async function plaintextIsDropped(): Promise<void> {
  await withTwoSides(async (left, right) => {
    assert.equal((await exchange(plain, left, right)).length, packets);
    await protect(plain, right, left, keyOf(20));
    assert.deepEqual(await exchange(plain, left, right), []);
    assert.equal(countersOf(right).XfrmInNoPols ?? 0, 0);
    assert.equal(countersOf(right).XfrmInTmplMismatch, packets);
  });
}

const shapes: readonly Shape[] = (["ipv4", "ipv6"] as const).flatMap((family) =>
  (["transport", "tunnel"] as const).flatMap((mode) =>
    [false, true].map((isUdp) => ({ family, mode, isUdp })),
  ),
);

export const trafficCases: readonly KernelCase[] = [
  ...shapes.map((shape) => ({
    name: `${shape.family} ${shape.mode} ${shape.isUdp ? "ESP in UDP" : "ESP"} carries every datagram and no counter moves`,
    run: () => packetsPass(shape),
  })),
  { name: "packets under another key are counted as XfrmInStateProtoError", run: wrongKeyIsCounted },
  { name: "packets for an SA that is not there are counted as XfrmInNoStates", run: missingSaIsCounted },
  { name: "plaintext is dropped where a policy needs ESP", run: plaintextIsDropped },
];
