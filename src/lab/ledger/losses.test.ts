import assert from "node:assert/strict";
import { test } from "node:test";
import type { DroppedRecord, SentRecord } from "../traffic/journal-format.js";
import { CountedDrops } from "./counted-drops.js";
import { makeLedger, sentPacket, spiOf } from "./fixtures.js";
import type { Ledger } from "./ledger.js";
import { explainLosses, peerDown, unaccounted, type LossContext, type Outage } from "./losses.js";

const lateMs = 1_000_000;

function contextOf(ledger: Ledger, changes: Partial<LossContext> = {}): LossContext {
  const counted = new CountedDrops();
  return { ledger, outages: [], stagingDelayMs: () => 0, bufferDrops: new Map(), counted, ...changes };
}

function reasonsOf(context: LossContext): readonly string[] {
  return explainLosses(context, lateMs).map(({ reason, at }) => `${reason} at ${at}`);
}

function dropOf(packet: SentRecord, changes: Partial<DroppedRecord> = {}): DroppedRecord {
  const { spi, espSequence, sentMs } = packet;
  return {
    counter: "XfrmInNoStates",
    remotePort: 4500,
    spi,
    espSequence,
    atMs: sentMs,
    ...changes,
  };
}

/**
 * Node-2's dataplane, run 2, died at 2,000 ms; run 5 follows; the roster has its new life at 2,800
 * ms.
 */
function outage(changes: Partial<Outage> = {}): Outage {
  return { node: 1, instance: 2, fromMs: 2_000, admittedMs: 2_800, nextInstance: 5, ...changes };
}

const causes: readonly {
  readonly name: string;
  readonly packet?: Partial<SentRecord>;
  readonly drops?: readonly { readonly instance: number; readonly drop: Partial<DroppedRecord> }[];
  readonly bufferDrops?: ReadonlyMap<number, number>;
  readonly reason: string;
}[] = [
  {
    name: "the receiver dropped it for lack of an SA",
    drops: [{ instance: 2, drop: {} }],
    reason: "inbound no_state at 1",
  },
  {
    name: "the receiver could not open it",
    drops: [{ instance: 2, drop: { counter: "XfrmInStateProtoError" } }],
    reason: "inbound state_protocol at 1",
  },
  {
    name: "the sender's system refused it",
    drops: [{ instance: 1, drop: { counter: "XfrmOutError" } }],
    reason: "outbound other at 0",
  },
  {
    name: "the sender's policy kept it back",
    packet: { blocked: "XfrmOutPolBlock", spi: 0, espSequence: 0 },
    reason: "outbound policy_blocked at 0",
  },
  {
    name: "the sender had a policy and no SA",
    packet: { blocked: "XfrmOutNoStates", spi: 0, espSequence: 0 },
    reason: "outbound no_state at 0",
  },
  {
    name: "the receiver's socket buffer was full",
    bufferDrops: new Map([[1, 1]]),
    reason: "inbound no_buffer at 1",
  },
  { name: "nothing explains it", reason: `${unaccounted} at 1` },
  {
    name: "another packet with the same numbers was dropped before it was sent",
    drops: [{ instance: 2, drop: { atMs: 10 } }],
    reason: `${unaccounted} at 1`,
  },
  {
    name: "a third node dropped something with the same numbers",
    drops: [{ instance: 3, drop: {} }],
    reason: `${unaccounted} at 1`,
  },
];

for (const { name, packet, drops = [], bufferDrops = new Map(), reason } of causes) {
  test(`losses: ${name}`, () => {
    const ledger = makeLedger();
    const sent = sentPacket(0, packet);
    ledger.sent(1, sent);
    for (const { instance, drop } of drops) ledger.dropped(instance, dropOf(sent, drop));
    assert.deepEqual(reasonsOf(contextOf(ledger, { bufferDrops })), [reason]);
  });
}

test("losses: a full buffer explains as many packets as it dropped, and no more", () => {
  const ledger = makeLedger();
  for (let sequence = 0; sequence < 3; sequence += 1) ledger.sent(1, sentPacket(sequence));
  const reasons = reasonsOf(contextOf(ledger, { bufferDrops: new Map([[1, 2]]) }));
  assert.deepEqual(reasons, [
    "inbound no_buffer at 1",
    "inbound no_buffer at 1",
    `${unaccounted} at 1`,
  ]);
});

test("losses: a kernel's count of the moment explains a packet, the receiver's first", () => {
  const ledger = makeLedger();
  for (let sequence = 0; sequence < 3; sequence += 1) ledger.sent(1, sentPacket(sequence));
  const counted = new CountedDrops();
  for (const node of [0, 1]) counted.read(node, {}, 0);
  counted.read(1, { XfrmInNoStates: 1 }, 1_500);
  counted.read(0, { XfrmOutNoStates: 1 }, 1_500);
  assert.deepEqual(reasonsOf(contextOf(ledger, { counted })), [
    "inbound no_state at 1",
    "outbound no_state at 0",
    `${unaccounted} at 1`,
  ]);
});

/** Packets to a node that died at 2,000 ms, and what becomes of them. */
const excuses: readonly {
  readonly name: string;
  readonly packet: Partial<SentRecord>;
  readonly outage?: Partial<Outage>;
  readonly isExcused: boolean;
}[] = [
  { name: "sent while it was down", packet: { sentMs: 2_100 }, isExcused: true },
  {
    name: "sent with the old SA after it came back",
    packet: { sentMs: 2_900 },
    isExcused: true,
  },
  {
    name: "kept back because it is not covered yet",
    packet: { sentMs: 2_900, blocked: "XfrmOutPolBlock", spi: 0 },
    isExcused: true,
  },
  {
    name: "sent before, and not read by the dying process",
    packet: { sentMs: 1_950 },
    isExcused: true,
  },
  { name: "sent long before", packet: { sentMs: 900 }, isExcused: false },
  {
    name: "sent to another node",
    packet: { sentMs: 2_100 },
    outage: { node: 2, instance: 3 },
    isExcused: false,
  },
  {
    name: "kept back before anything happened",
    packet: { sentMs: 1_950, blocked: "XfrmOutPolBlock", spi: 0 },
    isExcused: false,
  },
  {
    name: "kept back for ever",
    packet: { sentMs: 13_000, blocked: "XfrmOutPolBlock", spi: 0 },
    isExcused: false,
  },
  {
    name: "sent while it has not come back at all",
    packet: { sentMs: 9_000 },
    outage: { admittedMs: null, nextInstance: null },
    isExcused: true,
  },
];

for (const { name, packet, outage: changes, isExcused } of excuses) {
  test(`losses: ${isExcused ? "excused" : "not excused"} is what was ${name}`, () => {
    const ledger = makeLedger();
    ledger.sent(1, sentPacket(0, packet));
    const [reason] = reasonsOf(contextOf(ledger, { outages: [outage(changes)] }));
    assert.equal(reason?.startsWith(peerDown), isExcused);
  });
}

test("losses: a packet that a later one overtook was read, so its loss is not excused", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0, { sentMs: 1_950 }));
  ledger.sent(1, sentPacket(1, { sentMs: 1_970 }));
  ledger.received(2, { instance: 1, receiver: 1, sequence: 1 });
  assert.deepEqual(reasonsOf(contextOf(ledger, { outages: [outage()] })), [`${unaccounted} at 1`]);
});

test("losses: with an SA of the new life nothing is excused any more", () => {
  const ledger = makeLedger();
  const old = sentPacket(0, { sentMs: 2_100, espSequence: 41 });
  const opened = sentPacket(1, { sentMs: 3_000, espSequence: 1 });
  const lost = sentPacket(2, { sentMs: 3_020, espSequence: 2 });
  const kept = sentPacket(3, { sentMs: 3_040, blocked: "XfrmOutPolBlock", spi: 0 });
  for (const packet of [old, opened, lost, kept]) ledger.sent(1, packet);
  ledger.open({ node: 1, instance: 5 });
  ledger.received(5, { instance: 1, receiver: 1, sequence: 1 });
  ledger.dropped(5, dropOf(lost));
  assert.deepEqual(reasonsOf(contextOf(ledger, { outages: [outage()] })), [
    `${peerDown} at 1`,
    "inbound no_state at 1",
    "outbound policy_blocked at 0",
  ]);
});

test("losses: what was sent long after the new life was known is not excused", () => {
  const ledger = makeLedger();
  ledger.sent(1, sentPacket(0, { sentMs: 4_500, spi: spiOf(2) }));
  const late = contextOf(ledger, { outages: [outage()] });
  assert.deepEqual(reasonsOf(late), [`${unaccounted} at 1`]);
  const slow = { ...late, stagingDelayMs: () => 2_000 };
  assert.deepEqual(reasonsOf(slow), [`${peerDown} at 1`], "a slow sender learns later");
});
