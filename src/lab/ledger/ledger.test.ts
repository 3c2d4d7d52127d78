import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeLedger, sentPacket, spiOf } from "./fixtures.js";
import type { Ledger } from "./ledger.js";

const lateMs = 1_000_000;

/** Node-1's only run is 1, node-2's is 2. */
function arrives(ledger: Ledger, sequence: number, instance = 2): void {
  ledger.received(instance, { instance: 1, receiver: 1, sequence });
}

test("ledger: what was sent and did not arrive is lost, whoever tells first", () => {
  const runs = fc.record({
    count: fc.integer({ min: 1, max: 60 }),
    lost: fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { maxLength: 20 }),
    seed: fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
  });
  fc.assert(
    fc.property(runs, ({ count, lost, seed }) => {
      const ledger = makeLedger();
      const isLost = new Set(lost.filter((sequence) => sequence < count));
      const early = Array.from({ length: count }, (_, index) => index).filter((i) => seed[i]);
      for (const sequence of early) if (!isLost.has(sequence)) arrives(ledger, sequence);
      for (let sequence = 0; sequence < count; sequence += 1) {
        ledger.sent(1, sentPacket(sequence));
        if (!seed[sequence] && !isLost.has(sequence)) arrives(ledger, sequence);
      }
      const found = ledger.lost(lateMs).map(({ packet }) => packet.sequence);
      assert.deepEqual(
        found,
        [...isLost].sort((one, other) => one - other),
      );
      assert.equal(ledger.totals(lateMs).delivered, count - isLost.size);
    }),
  );
});

test("ledger: a packet that may still arrive is not lost yet", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0, { sentMs: 5_000 }));
  assert.equal(ledger.lost(5_100).length, 0);
  assert.equal(ledger.totals(5_100).missing, 0);
  assert.equal(ledger.lost(5_500).length, 1);
  assert.equal(ledger.totals(5_500).missing, 1);
});

test("ledger: what a slow receiver has not told of yet is not lost; of a dead one it is", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0, { sentMs: 5_000 }));
  ledger.toldUpTo(2, 5_100);
  assert.equal(ledger.lost(9_000).length, 0);
  ledger.toldUpTo(2, 5_500);
  assert.equal(ledger.lost(9_000).length, 1);
  ledger.toldUpTo(2, 5_100);
  ledger.closeRun(2, 5_100, true);
  assert.equal(ledger.lost(9_000).length, 1);
});

test("ledger: a packet delivered twice is counted as that, and delivered once", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0));
  arrives(ledger, 0);
  arrives(ledger, 0);
  const stream = ledger.stream(1, 1);
  assert.equal(stream?.delivered, 1);
  assert.equal(stream.duplicates, 1);
});

test("ledger: what arrived from a dataplane that died before it told of it was sent", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0));
  arrives(ledger, 0);
  arrives(ledger, 1);
  ledger.closeRun(1, 1_050, true);
  arrives(ledger, 2);
  const stream = ledger.stream(1, 1);
  assert.equal(stream?.attempted, 3);
  assert.equal(stream.delivered, 3);
  assert.equal(stream.closedMs, 1_050);
  assert.equal(ledger.lost(lateMs).length, 0);
});

test("ledger: packets of a run that this lab never started are nobody's", () => {
  const ledger = makeLedger();
  ledger.received(2, { instance: 99, receiver: 1, sequence: 0 });
  assert.equal([...ledger.streams].length, 0);
});

test("ledger: periods are told apart by when a packet was sent", () => {
  const ledger = makeLedger();
  ledger.beginPeriod(1_050);
  ledger.beginPeriod(1_100);
  for (let sequence = 0; sequence < 8; sequence += 1) ledger.sent(1, sentPacket(sequence));
  arrives(ledger, 0);
  arrives(ledger, 7);
  // Sent at 1000, 1020, 1040 | 1060, 1080 | 1100, 1120, 1140.
  assert.deepEqual(ledger.stream(1, 1)?.periods, [
    { attempted: 3, delivered: 1 },
    { attempted: 2, delivered: 0 },
    { attempted: 3, delivered: 1 },
  ]);
});

test("ledger: uses of an outbound SA are told apart by SPI and by numbers that begin again", () => {
  const ledger = makeLedger();
  const packets = [
    sentPacket(0),
    sentPacket(1),
    sentPacket(2, { blocked: "XfrmOutPolBlock", spi: 0, espSequence: 0 }),
    sentPacket(3, { espSequence: 1 }),
    sentPacket(4, { spi: spiOf(2), espSequence: 2 }),
  ];
  for (const packet of packets) ledger.sent(1, packet);
  arrives(ledger, 4);
  const uses = ledger.stream(1, 1)?.uses ?? [];
  const seen = uses.map(({ keyId, sent, delivered }) => ({ keyId, sent, delivered }));
  assert.deepEqual(seen, [
    { keyId: 1, sent: 2, delivered: 0 },
    { keyId: 1, sent: 1, delivered: 0 },
    { keyId: 2, sent: 1, delivered: 1 },
  ]);
  assert.deepEqual([...(uses[2]?.openedBy ?? [])], [2]);
});

test("ledger: a pair is alive when it delivered something that was sent since", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0, { sentMs: 1_000 }));
  ledger.sent(1, sentPacket(1, { sentMs: 2_000 }));
  arrives(ledger, 0);
  assert.equal(ledger.pairsAlive(1_500), 0);
  arrives(ledger, 1);
  assert.equal(ledger.pairsAlive(1_500), 1);
});
