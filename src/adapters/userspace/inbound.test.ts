import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import { sealEsp, splitSequence } from "./esp.js";
import { makeNode, policySpec, saSpec, spiOf } from "./fixtures.js";
import { receiveDatagram, type InboundVerdict } from "./inbound.js";
import { payloadProtocol, sealPayload, type Databases } from "./outbound.js";
import { PolicyDatabase } from "./policy-database.js";
import { subspace } from "./replay-window.js";
import { SaDatabase, type InboundSa, type OutboundSa } from "./sa-database.js";

const sender = makeNode(1, "127.0.0.1", 4500);
const receiver = makeNode(2, "127.0.0.2", 4500);
const stranger = makeNode(3, "127.0.0.3", 4500);
const spi = spiOf(3, sender.end);
const key = Buffer.alloc(36, 3);
const payload = Buffer.from("ping");

interface Pair {
  readonly out: Databases;
  readonly in: Databases;
  readonly outSa: OutboundSa;
  readonly inSa: InboundSa;
  seal(): Buffer;
  receive(datagram: Buffer): InboundVerdict;
}

function makePair(replayWindow = 1_024): Pair {
  const [out, inbound] = [0, 1].map((): Databases => ({
    family: "ipv4",
    sas: new SaDatabase(replayWindow),
    policies: new PolicyDatabase(),
  })) as [Databases, Databases];
  out.sas.install({ ...saSpec("out", 3, sender, receiver), mode: "transport" }, key);
  inbound.sas.install({ ...saSpec("in", 3, sender, receiver), mode: "transport" }, key);
  out.policies.set(policySpec("out", receiver, { kind: "block" }), { kind: "protect", spi });
  inbound.policies.set(policySpec("in", sender, { kind: "accept" }), { kind: "accept" });
  return {
    out,
    in: inbound,
    outSa: out.sas.outbound(spi, receiver.endpoint)!,
    inSa: inbound.sas.inbound(spi)!,
    seal() {
      const verdict = sealPayload(out, receiver.endpoint, payload);
      assert.equal(verdict.kind, "sealed");
      return verdict.kind === "sealed" ? verdict.packet : Buffer.alloc(0);
    },
    receive: (datagram) => receiveDatagram(inbound, datagram, sender.endpoint),
  };
}

const delivered: InboundVerdict = { kind: "delivered", spi, payload };

/** The counter of a verdict, or its kind. */
function counterOf(verdict: InboundVerdict): string {
  return verdict.kind === "dropped" ? verdict.counter : verdict.kind;
}

test("inbound: what was sealed is delivered, once, and counted", () => {
  const pair = makePair();
  const packet = pair.seal();
  assert.deepEqual(pair.receive(packet), delivered);
  assert.deepEqual(pair.receive(packet), {
    kind: "dropped",
    counter: "XfrmInStateSeqError",
    spi,
    sequence: 1,
  });
  assert.equal(pair.inSa.packets, 1);
  assert.equal(pair.inSa.window.highest, 1);
  assert.equal(pair.outSa.packets, 1);
});

/** Ways to lose a packet, and what they must count. */
const losses: readonly [string, XfrmCounterName, (pair: Pair) => InboundVerdict][] = [
  ["seven bytes", "XfrmInHdrError", ({ receive }) => receive(Buffer.alloc(7, 1))],
  [
    "too short for a trailer",
    "XfrmInHdrError",
    (pair) => pair.receive(pair.seal().subarray(0, 35)),
  ],
  ["cut by one byte", "XfrmInHdrError", (pair) => pair.receive(pair.seal().subarray(0, -1))],
  ["cut by one word", "XfrmInStateProtoError", (pair) => pair.receive(pair.seal().subarray(0, -4))],
  [
    "the SA is gone",
    "XfrmInNoStates",
    (pair) => {
      pair.in.sas.remove(pair.inSa.slot);
      return pair.receive(pair.seal());
    },
  ],
  [
    "other key bytes under the same SPI",
    "XfrmInStateProtoError",
    (pair) => {
      pair.in.sas.remove(pair.inSa.slot);
      pair.in.sas.install(
        { ...saSpec("in", 3, sender, receiver), mode: "transport" },
        Buffer.alloc(36, 4),
      );
      return pair.receive(pair.seal());
    },
  ],
  [
    "no policy",
    "XfrmInNoPols",
    (pair) => {
      pair.in.policies.clear();
      return pair.receive(pair.seal());
    },
  ],
  [
    "a blocking policy",
    "XfrmInPolBlock",
    (pair) => {
      pair.in.policies.set(policySpec("in", sender, { kind: "block" }), { kind: "block" });
      return pair.receive(pair.seal());
    },
  ],
  [
    "an SA used by another node than its peer",
    "XfrmInStateMismatch",
    (pair) => receiveDatagram(pair.in, pair.seal(), stranger.endpoint),
  ],
  [
    "a payload protocol that nobody reads",
    "XfrmInError",
    ({ receive }) =>
      receive(sealEsp(key, { spi, sequence: { high: 0, low: 1 }, nextHeader: 59, payload })),
  ],
  [
    "a first packet from before the beginning",
    "XfrmInStateSeqError",
    ({ receive }) => receive(sealAt(subspace - 1)),
  ],
];
for (const [name, counter, lose] of losses) {
  test(`inbound: ${name} is ${counter}`, () => assert.equal(counterOf(lose(makePair())), counter));
}

function sealAt(sequence: number): Buffer {
  return sealEsp(key, {
    spi,
    sequence: splitSequence(sequence),
    nextHeader: payloadProtocol,
    payload,
  });
}

test("inbound: a drop names SPI and sequence number as on the wire, or null", () => {
  const pair = makePair();
  pair.outSa.sequence = 5 * subspace + 6;
  pair.in.sas.remove(pair.inSa.slot);
  const dropped = { kind: "dropped", counter: "XfrmInNoStates", spi, sequence: 7 };
  assert.deepEqual(pair.receive(pair.seal()), dropped);
  const short = { kind: "dropped", counter: "XfrmInHdrError", spi: null, sequence: null };
  assert.deepEqual(pair.receive(Buffer.alloc(3)), short);
});

test("inbound: what RFC 3948 says is not ESP is no error", () => {
  const { receive } = makePair();
  for (const datagram of [Buffer.from([0xff]), Buffer.alloc(4), Buffer.alloc(60)]) {
    assert.deepEqual(receive(datagram), { kind: "ignored" });
  }
  assert.equal(counterOf(receive(Buffer.from([0xfe]))), "XfrmInHdrError");
  assert.equal(counterOf(receive(Buffer.alloc(0))), "XfrmInHdrError");
});

test("inbound: a forged packet far ahead does not move the window", () => {
  const pair = makePair();
  const first = pair.seal();
  const forged = sealAt(1_000_000);
  forged[forged.length - 1]! ^= 1;
  assert.equal(counterOf(pair.receive(forged)), "XfrmInStateProtoError");
  assert.equal(pair.inSa.window.highest, 0);
  assert.equal(pair.inSa.packets, 0);
  assert.deepEqual(pair.receive(first), delivered);
});

test("inbound: a packet older than the window is a sequence error, a forged one is not", () => {
  for (const sequence of [100, 3 * subspace + 200]) {
    const pair = makePair(64);
    pair.inSa.window.record(sequence - 1);
    assert.deepEqual(pair.receive(sealAt(sequence)), delivered);
    const old = sealAt(sequence - 64);
    assert.equal(counterOf(pair.receive(old)), "XfrmInStateSeqError");
    old[20]! ^= 1;
    assert.equal(counterOf(pair.receive(old)), "XfrmInStateProtoError");
    assert.deepEqual(pair.receive(sealAt(sequence - 63)), delivered);
    assert.equal(pair.inSa.window.highest, sequence);
  }
});

test("inbound: the sequence number goes on through 2^32 without a loss", () => {
  const pair = makePair();
  pair.outSa.sequence = subspace - 3;
  pair.inSa.window.record(subspace - 3);
  const packets = Array.from({ length: 6 }, () => pair.seal());
  assert.deepEqual(
    packets.map((packet) => packet.readUInt32BE(4)),
    [subspace - 2, subspace - 1, 0, 1, 2, 3],
  );
  for (const packet of packets.reverse()) assert.deepEqual(pair.receive(packet), delivered);
  assert.equal(pair.inSa.window.highest, subspace + 3);
});

test("inbound: any order within the window delivers every packet exactly once", () => {
  const order = fc.shuffledSubarray(
    Array.from({ length: 64 }, (_, index) => index),
    { minLength: 64 },
  );
  fc.assert(
    fc.property(order, (indices) => {
      const pair = makePair(64);
      const packets = indices.map(() => pair.seal());
      for (const index of indices)
        assert.equal(counterOf(pair.receive(packets[index]!)), "delivered");
      for (const index of indices)
        assert.equal(counterOf(pair.receive(packets[index]!)), "XfrmInStateSeqError");
    }),
    { numRuns: 20 },
  );
});

test("outbound: nothing passes without a protecting policy, its SA and a sequence number", () => {
  const pair = makePair();
  const send = (): unknown => sealPayload(pair.out, receiver.endpoint, payload);
  const blocked = (counter: XfrmCounterName): unknown => ({ kind: "blocked", counter });
  pair.outSa.sequence = Number.MAX_SAFE_INTEGER;
  assert.deepEqual(send(), blocked("XfrmOutStateSeqError"));
  pair.out.sas.remove(pair.outSa.slot);
  assert.deepEqual(send(), blocked("XfrmOutNoStates"));
  const slot = policySpec("out", receiver, { kind: "block" });
  pair.out.policies.set(slot, { kind: "block" });
  assert.deepEqual(send(), blocked("XfrmOutPolBlock"));
  pair.out.policies.remove(slot);
  assert.deepEqual(send(), blocked("XfrmOutPolBlock"));
});

test("outbound: every packet has its own sequence number and IV", () => {
  const pair = makePair();
  const packets = Array.from({ length: 50 }, () => pair.seal());
  assert.deepEqual(
    packets.map((packet) => packet.readUInt32BE(4)),
    packets.map((_, index) => index + 1),
  );
  assert.equal(
    new Set(packets.map((packet) => packet.toString("hex", 8, 16))).size,
    packets.length,
  );
});
