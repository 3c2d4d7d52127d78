import assert from "node:assert/strict";
import { test } from "node:test";
import { testEntry, testKey } from "../../../test/support/fleet-snapshot.js";
import { peer, sasOf, self } from "../../../test/support/peer-states.js";
import type { HeldUse } from "../../core/rotation/held.js";
import type { AgentView } from "../../runtime/agent-loop.js";
import { listSas } from "./sa-listing.js";

const gone = testEntry(3);
const use: HeldUse = { octets: 900, usedAtMs: 4_000, esn: false };

function viewOf(): AgentView {
  const held = (entry = peer): unknown => ({ sas: sasOf("out", testKey(1), entry, 7).map((sa) => ({ ...sa, use })), policies: [] });
  const peers = new Map([[peer.name, held()], [gone.name, held(gone)], ["", { sas: sasOf("in", testKey(2)), policies: [] }]]);
  const entries = new Map([self, peer, testEntry(4)].map((entry) => [entry.name, entry]));
  return { world: { roster: { entries }, kernel: { peers, dumpSerial: 1, dumpedAtMs: 9_000 } } } as unknown as AgentView;
}

const list = (asked: readonly string[] | null): ReturnType<typeof listSas> => listSas(viewOf(), self.name, asked, 10_000);

function peersOf(asked: readonly string[] | null): readonly string[] {
  const found = list(asked);
  assert.ok(found !== null && "sas" in found);
  return found.sas.map((one) => one.peer);
}

test("SA listing: an SA with what passed it, and when", () => {
  const found = list([peer.name]);
  assert.ok(found !== null && "sas" in found);
  const [sa] = found.sas;
  assert.deepEqual([found.node, found.dumpedForMs], [self.name, 1_000]);
  const { direction, keyId, packets, bytes, idleMs, sequence, esn, sequenceShare } = sa ?? assert.fail();
  assert.deepEqual([direction, keyId, packets, bytes, idleMs, sequence, esn, sequenceShare], ["out", 1, 7, 900, 6_000, 7, false, 7 / 2 ** 32]);
});

test("SA listing: peers are asked for by name or address, and those that left are there while their SAs are", () => {
  assert.deepEqual(peersOf([peer.addresses.ipv4 ?? ""]), [peer.name]);
  assert.deepEqual(peersOf([gone.name]), [gone.name]);
  assert.deepEqual(peersOf([testEntry(4).name]), [], "on the roster, without an SA yet");
  assert.deepEqual(peersOf(null), ["(unknown)", peer.name, gone.name]);
  for (const stranger of ["nobody", self.name]) assert.deepEqual(list([peer.name, stranger]), { unknown: [stranger] });
});

test("SA listing: what the dataplane does not count is null", () => {
  const found = list(null);
  assert.ok(found !== null && "sas" in found);
  const { bytes, idleMs, esn, sequenceShare } = found.sas[0] ?? assert.fail();
  assert.deepEqual([bytes, idleMs, esn, sequenceShare], [null, null, null, null]);
  assert.equal(listSas(null, self.name, null, 0), null);
});
