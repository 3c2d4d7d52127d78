import assert from "node:assert/strict";
import { test } from "node:test";
import { peer, viewsOf } from "../../test/support/peer-states.js";
import { testEntry, testKey } from "../../test/support/fleet-snapshot.js";
import type { RosterEntry } from "../core/node.js";
import type { SaUse, SaView } from "../core/sa.js";
import { KernelPeers, type Owners } from "./kernel-peers.js";
import type { KeyFigure } from "./key-figures.js";

const owners: Owners = { nameAt: () => peer.name, isRecorded: () => true };
const third = testEntry(3);

interface Used {
  readonly packets: number;
  readonly sequence?: number;
  readonly idleMs?: number | null;
  readonly esn?: boolean;
}

function used(direction: "in" | "out", keyId: number, { packets, sequence = packets, idleMs = null, esn = true }: Used, entry: RosterEntry = peer): SaView {
  const [view] = viewsOf(direction, testKey(keyId), entry, packets);
  assert.ok(view !== undefined);
  const use: SaUse = { octets: 100 * packets, idleMs, esn };
  return { ...view, sequence, use };
}

/** One dump each 1,000 ms. */
function afterDumps(...dumps: readonly (readonly SaView[])[]): readonly KeyFigure[] {
  const peers = new KernelPeers();
  dumps.forEach((sas, index) => peers.replaceAll({ sas, policies: [] }, owners, 1_000 * index));
  return peers.figures;
}

test("key figures: one for each key and direction, however many peers there are", () => {
  const dump = [peer, third].flatMap((entry) => [
    used("in", 1, { packets: 5 }, entry),
    used("out", 1, { packets: 7, sequence: entry === peer ? 70 : 7 }, entry),
    used("out", 2, { packets: 0 }, entry),
  ]);
  const figures = afterDumps(dump).map(({ keyId, direction, sas, sequence }) => [keyId, direction, sas, sequence]);
  assert.deepEqual(figures, [[1, "in", 2, 5], [1, "out", 2, 70], [2, "out", 2, 0]]);
});

test("key figures: counts grow with the SAs, from what the first dump showed, and not back when one goes", () => {
  const [both, one] = [[peer, third], [third]].map((entries) => (packets: number) =>
    entries.map((entry) => used("out", 1, { packets }, entry)));
  assert.ok(both !== undefined && one !== undefined);
  const counts = (...dumps: readonly (readonly SaView[])[]): unknown => {
    const [figure] = afterDumps(...dumps);
    return [figure?.sas, figure?.packets, figure?.octets];
  };
  assert.deepEqual(counts(both(50)), [2, 0, 0]);
  assert.deepEqual(counts(both(50), both(53)), [2, 6, 600]);
  assert.deepEqual(counts(both(50), both(53), both(53)), [2, 6, 600]);
  assert.deepEqual(counts(both(50), both(53), one(53)), [1, 6, 600]);
  assert.deepEqual(counts(both(50), both(53), one(54)), [1, 7, 700]);
  assert.deepEqual(counts(both(50), both(3)), [2, 0, 0], "another SA in the same place");
});

test("key figures: a key whose SAs are gone has none, and begins at zero when it comes again", () => {
  const dump = (packets: number): readonly SaView[] => [used("in", 1, { packets })];
  assert.deepEqual(afterDumps(dump(0), dump(9), []), []);
  assert.equal(afterDumps(dump(0), dump(9), [], dump(0), dump(2))[0]?.packets, 2);
});

test("key figures: the last use is the dataplane's word, else the dump that saw a packet more", () => {
  const usedAtMs = (...all: readonly Used[]): number | null | undefined =>
    afterDumps(...all.map((one) => [used("in", 1, one)]))[0]?.usedAtMs;
  assert.equal(usedAtMs({ packets: 1, idleMs: 400 }), -400);
  assert.equal(usedAtMs({ packets: 1, idleMs: 400 }, { packets: 2, idleMs: 300 }), 700);
  assert.equal(usedAtMs({ packets: 1, idleMs: 400 }, { packets: 1, idleMs: 1_400 }), -400);
  assert.equal(usedAtMs({ packets: 1 }), null, "not known when");
  assert.equal(usedAtMs({ packets: 1 }, { packets: 2 }), 1_000);
  assert.equal(usedAtMs({ packets: 1 }, { packets: 2 }, { packets: 2 }, { packets: 2 }), 1_000);
  const [latest] = afterDumps([used("in", 1, { packets: 1, idleMs: 90 }), used("in", 1, { packets: 1, idleMs: 50 }, third)]);
  assert.equal(latest?.usedAtMs, -50);
});

test("key figures: the share of sequence numbers is that of the SA that is nearest to its own end", () => {
  const [figure] = afterDumps([
    used("out", 1, { packets: 1, sequence: 2 ** 40 }),
    used("out", 1, { packets: 1, sequence: 2 ** 31, esn: false }, third),
  ]);
  assert.deepEqual([figure?.sequence, figure?.sequenceShare], [2 ** 40, 0.5]);
});

test("key figures: there are none of a dataplane that does not count the use of its SAs", () => {
  assert.deepEqual(afterDumps(viewsOf("in", testKey(1), peer, 4)), []);
});

test("key figures: an SA that lost ESN is seen although nothing passed it", () => {
  const [figure] = afterDumps([used("out", 1, { packets: 8 })], [used("out", 1, { packets: 8, esn: false })]);
  assert.equal(figure?.sequenceShare, 8 / 2 ** 32);
});

test("key figures: a copy goes its own way from the same counts", () => {
  const [peers, copy] = [new KernelPeers(), new KernelPeers()];
  const dump = (packets: number): { readonly sas: readonly SaView[]; readonly policies: [] } => ({ sas: [used("in", 1, { packets })], policies: [] });
  for (const packets of [0, 4]) peers.replaceAll(dump(packets), owners, 0);
  peers.copyTo(copy);
  copy.replaceAll(dump(6), owners, 0);
  assert.deepEqual([peers, copy].map(({ figures }) => figures[0]?.packets), [4, 6]);
});

