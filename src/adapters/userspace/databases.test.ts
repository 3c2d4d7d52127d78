import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyAction } from "../../core/sa.js";
import { makeNode, saSpec } from "./fixtures.js";
import { PolicyDatabase } from "./policy-database.js";
import { SaDatabase, type OutboundSa, type SaRequest } from "./sa-database.js";

const local = makeNode(1, "127.0.0.1", 4500);
const peer = makeNode(2, "127.0.0.2", 4500);
const other = makeNode(3, "127.0.0.3", 4500);
const keyBytes = Buffer.alloc(20, 1);
const otherBytes = Buffer.alloc(20, 2);

function request(direction: "in" | "out", keyId = 3): SaRequest {
  const [from, to] = direction === "out" ? [local, peer] : [peer, local];
  return { ...saSpec(direction, keyId, from, to), mode: "transport" };
}

function outboundOf(database: SaDatabase): OutboundSa {
  const sa = database.outbound(request("out").spi, peer.endpoint);
  assert.ok(sa !== undefined);
  return sa;
}

test("sa database: installing the equal SA changes nothing and keeps its sequence number", () => {
  const database = new SaDatabase(1_024);
  assert.deepEqual(database.install(request("out"), keyBytes), { ok: true, value: "installed" });
  outboundOf(database).sequence = 77;
  assert.deepEqual(database.install(request("out"), Buffer.from(keyBytes)), {
    ok: true,
    value: "unchanged",
  });
  assert.equal(outboundOf(database).sequence, 77);
  assert.equal(database.size, 1);
});

const sameSpi = { ...request("in"), source: other.endpoint };
const conflicts: readonly [string, SaRequest, SaRequest, Buffer][] = [
  ["other key bytes", request("out"), request("out"), otherBytes],
  ["a longer key", request("out"), request("out"), Buffer.alloc(36, 1)],
  ["another source", request("out"), { ...request("out"), source: other.endpoint }, keyBytes],
  ["an inbound SPI of another peer", request("in"), sameSpi, keyBytes],
];
for (const [name, first, second, bytes] of conflicts) {
  test(`sa database: a taken slot refuses ${name}`, () => {
    const database = new SaDatabase(1_024);
    database.install(first, keyBytes);
    const outcome = database.install(second, bytes);
    assert.equal(outcome.ok === false && outcome.error.code, "EEXIST");
    assert.equal(database.size, 1);
    assert.deepEqual(database.list()[0]?.key.reveal(), keyBytes);
  });
}

test("sa database: an SA keeps its own copy of the key, which removing it wipes", () => {
  const database = new SaDatabase(1_024);
  const handed = Buffer.from(keyBytes);
  database.install(request("in"), handed);
  handed.fill(9);
  const sa = database.inbound(request("in").spi);
  assert.ok(sa !== undefined);
  const held = sa.key.reveal();
  assert.deepEqual(held, keyBytes);
  assert.equal(database.remove(sa.slot), true);
  assert.ok(sa.key.isWiped);
  assert.deepEqual(held, Buffer.alloc(20));
  assert.equal(database.remove(sa.slot), false);
  assert.equal(database.inbound(sa.slot.spi), undefined);
});

test("sa database: both directions of one SPI are two SAs", () => {
  const database = new SaDatabase(1_024);
  const inbound = {
    ...request("out"),
    direction: "in" as const,
    source: peer.endpoint,
    destination: local.endpoint,
  };
  database.install(request("out"), keyBytes);
  database.install(inbound, keyBytes);
  assert.equal(database.size, 2);
  database.remove({ direction: "out", spi: request("out").spi, remote: peer.endpoint });
  assert.ok(database.inbound(inbound.spi) !== undefined);
  assert.equal(database.outbound(inbound.spi, peer.endpoint), undefined);
});

test("sa database: keys of other lengths are refused, and none is installed", () => {
  const database = new SaDatabase(1_024);
  for (const bytes of [0, 16, 28, 32, 64]) {
    const outcome = database.install(request("out"), Buffer.alloc(bytes));
    assert.equal(outcome.ok === false && outcome.error.code, "KEY_LENGTH_UNSUPPORTED");
  }
  assert.equal(database.size, 0);
});

test("sa database: a replay window outside the limits is refused at once", () => {
  for (const size of [0, 31, 4_097, 64.5]) assert.throws(() => new SaDatabase(size), /bug/);
  assert.doesNotThrow(() => new SaDatabase(4_096));
});

test("sa database: clearing wipes every key", () => {
  const database = new SaDatabase(1_024);
  database.install(request("out"), keyBytes);
  database.install(request("in"), otherBytes);
  const keys = database.list().map((sa) => sa.key);
  database.clear();
  assert.ok(keys.length === 2 && keys.every((key) => key.isWiped));
  assert.equal(database.size, 0);
});

const outSlot = { direction: "out", family: "ipv4", remote: peer.endpoint } as const;
const inSlot = { ...outSlot, direction: "in" } as const;
const protect: PolicyAction = { kind: "protect", spi: request("out").spi };

test("policy database: a set replaces, an equal set and a second delete change nothing", () => {
  const database = new PolicyDatabase();
  assert.deepEqual(database.set(outSlot, { kind: "block" }), { ok: true, value: "set" });
  assert.deepEqual(database.set(outSlot, protect), { ok: true, value: "set" });
  assert.deepEqual(database.set(outSlot, { ...protect }), { ok: true, value: "unchanged" });
  assert.deepEqual(database.list(), [{ slot: outSlot, action: protect }]);
  assert.equal(database.remove(outSlot), true);
  assert.equal(database.remove(outSlot), false);
});

test("policy database: nothing may leave in the clear, and no inbound policy is pinned", () => {
  const database = new PolicyDatabase();
  for (const [slot, action] of [
    [outSlot, { kind: "accept" }],
    [inSlot, protect],
  ] as const) {
    const outcome = database.set(slot, action);
    assert.equal(outcome.ok === false && outcome.error.code, "DATAPLANE_UNSUPPORTED");
  }
  assert.deepEqual(database.set(inSlot, { kind: "accept" }), { ok: true, value: "set" });
  assert.equal(database.list().length, 1);
});
