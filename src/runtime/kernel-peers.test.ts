import assert from "node:assert/strict";
import { test } from "node:test";
import { peer, viewsOf } from "../../test/support/peer-states.js";
import { testEntry, testKey } from "../../test/support/fleet-snapshot.js";
import type { NodeName } from "../core/node.js";
import { endsOf } from "../core/node-ends.js";
import type { Operation, PolicyView } from "../core/sa.js";
import { KernelPeers, type Owners } from "./kernel-peers.js";

const remote = { address: peer.addresses.ipv4 ?? "", udpPort: peer.addresses.udpPort };
const accepting: PolicyView = { slot: { direction: "in", family: "ipv4", remote }, action: { kind: "accept" } };
const other = "other" as NodeName;

function owners(nameAt: NodeName, isRecorded = true): Owners {
  return { nameAt: () => nameAt, isRecorded: () => isRecorded };
}

const setPolicy: Operation = {
  kind: "set-policy",
  policy: { ...accepting.slot, peer: peer.name, action: accepting.action },
};

test("kernel peers: of two live nodes with one address, neither's list grows from plan to plan", () => {
  const peers = new KernelPeers();
  for (let plan = 0; plan < 5; plan += 1) {
    const outcome = { sas: viewsOf("in", testKey(1)), policies: [accepting], failed: [] };
    const view = outcome.sas[0];
    assert.ok(view !== undefined);
    const operations: readonly Operation[] = [{ kind: "delete-sa", slot: view.slot }, setPolicy];
    const touched = peers.replaceTouched([peer.name], operations, outcome, owners(other), 0);
    assert.deepEqual([...touched], [peer.name, other]);
  }
  assert.equal(peers.all.get(other)?.policies.length, 1);
  assert.equal(peers.all.get(peer.name)?.sas.length, 1);
});

test("kernel peers: what is at an address is shared, and so are the ends that the port told", () => {
  const peers = new KernelPeers();
  peers.replaceAll({ sas: [...viewsOf("in", testKey(1)), ...viewsOf("out", testKey(1))], policies: [accepting] }, owners(peer.name), 0);
  const { sas, policies } = peers.all.get(peer.name) ?? { sas: [], policies: [] };
  assert.deepEqual([sas.length, policies.length], [2, 1]);
  for (const held of [...sas, ...policies]) assert.equal(held.remote, sas[0]?.remote);
  assert.equal(sas[0]?.from, endsOf(peer).key);
  assert.equal(sas[1]?.to, endsOf(peer).key);
});

const views = [...viewsOf("in", testKey(1)), ...viewsOf("out", testKey(1))];
const outbound: PolicyView = { slot: { ...accepting.slot, direction: "out" }, action: { kind: "block" } };
const whole = { sas: views, policies: [accepting, outbound] };

const dumps: readonly (readonly [string, typeof whole, boolean])[] = [
  ["all as it was", whole, false],
  ["more packets", { ...whole, sas: views.map((view) => ({ ...view, packets: 7, sequence: 9 })) }, false],
  ["an SA gone", { ...whole, sas: views.slice(1) }, true],
  ["an SA more", { ...whole, sas: [...views, ...viewsOf("in", testKey(2))] }, true],
  ["other bytes in one", { ...whole, sas: views.map((view) => ({ ...view, bytes: "mismatch" as const })) }, true],
  ["another action", { ...whole, policies: [accepting, { ...outbound, action: { kind: "pass" } }] }, true],
  ["nothing left", { sas: [], policies: [] }, true],
];

for (const [name, dump, isOther] of dumps) {
  test(`kernel peers: a dump names who has other SAs or policies: ${name}`, () => {
    const peers = new KernelPeers();
    assert.deepEqual(peers.replaceAll(whole, owners(peer.name), 0), [peer.name]);
    const before = peers.all.get(peer.name);
    assert.deepEqual(peers.replaceAll(dump, owners(peer.name), 0), isOther ? [peer.name] : []);
    if (dump === whole) assert.equal(peers.all.get(peer.name), before, "it is kept as it is");
    assert.deepEqual(peers.all.get(peer.name)?.sas.map(({ packets }) => packets) ?? [], dump.sas.map(({ packets }) => packets));
    const inbound = dump.sas.filter(({ slot }) => slot.direction === "in").length;
    assert.equal(peers.counts.sasIn, inbound);
    assert.equal(peers.counts.sasOut, dump.sas.length - inbound);
    assert.equal(peers.counts.policiesIn + peers.counts.policiesOut, dump.policies.length);
  });
}

test("kernel peers: policies at an address are told apart by the name under which they stand", () => {
  const peers = new KernelPeers();
  const at = [`${remote.address}#${String(remote.udpPort)}`];
  assert.equal(peers.isHeldByAnother(at, peer.name), false, "nothing is there");
  peers.replaceAll({ sas: [], policies: [accepting] }, owners(other), 0);
  assert.equal(peers.isHeldByAnother(at, peer.name), true);
  assert.equal(peers.isHeldByAnother(at, other), false);
  const gone: Operation = { kind: "delete-policy", policy: accepting.slot };
  peers.replaceTouched([other], [gone], { sas: [], policies: [], failed: [] }, owners(other), 0);
  assert.equal(peers.isHeldByAnother(at, peer.name), false, "it is gone");
  assert.equal(peers.all.size, 0);
});

test("kernel peers: bytes that are not the slot's key's are not intact, and an end of another life stays itself", () => {
  const peers = new KernelPeers();
  const [view] = viewsOf("in", testKey(1));
  assert.ok(view?.key);
  const stranger = testEntry(9);
  const read = [
    { ...view, bytes: "mismatch" as const },
    { ...view, key: { ...view.key, keyId: testKey(2).keyId } },
    { ...view, bytes: "unverifiable" as const, key: { ...view.key, to: stranger } },
  ];
  peers.replaceAll({ sas: read, policies: [] }, owners(peer.name), 0);
  const sas = peers.all.get(peer.name)?.sas ?? [];
  assert.deepEqual(sas.map(({ isIntact }) => isIntact), [false, false, true]);
  assert.equal(sas[2]?.to, stranger);
});

const believed = [
  { name: "outbound, to a life on record", direction: "out", isRecorded: true, isIntact: true },
  { name: "outbound, to a life that is not", direction: "out", isRecorded: false, isIntact: false },
  { name: "inbound", direction: "in", isRecorded: false, isIntact: true },
] as const;

for (const { name, direction, isRecorded, isIntact } of believed) {
  test(`kernel peers: an SA whose key is not at hand is believed or not: ${name}`, () => {
    const peers = new KernelPeers();
    const sas = viewsOf(direction, testKey(1)).map((view) => ({ ...view, bytes: "unverifiable" as const }));
    peers.replaceAll({ sas, policies: [] }, owners(peer.name, isRecorded), 0);
    assert.deepEqual(peers.all.get(peer.name)?.sas.map((sa) => sa.isIntact), [isIntact]);
  });
}
