import assert from "node:assert/strict";
import { test } from "node:test";
import { CountedDrops } from "./counted-drops.js";

/** Node 1 counted two packets between 1,000 and 1,040 ms. */
function twoDropped(): CountedDrops {
  const drops = new CountedDrops();
  drops.read(1, { XfrmInNoStates: 5, XfrmOutPolBlock: 9 }, 1_000);
  drops.read(1, { XfrmInNoStates: 7, XfrmOutPolBlock: 9 }, 1_040);
  return drops;
}

test("counted drops: the first reading of a kernel is no drop", () => {
  const drops = new CountedDrops();
  drops.read(1, { XfrmInNoStates: 5 }, 1_000);
  assert.equal(drops.countSince(0), 0);
});

test("counted drops: each count explains one packet, by every explanation anew", () => {
  const drops = twoDropped();
  for (let round = 0; round < 2; round += 1) {
    const spare = drops.spend();
    const taken = [1, 2, 3].map(() => spare.take(1, "inbound", 1_020));
    assert.deepEqual(taken, ["XfrmInNoStates", "XfrmInNoStates", null]);
  }
});

const unexplained = [
  { name: "another node", node: 2, type: "inbound", sentMs: 1_020 },
  { name: "the other direction", node: 1, type: "outbound", sentMs: 1_020 },
  { name: "a packet sent later", node: 1, type: "inbound", sentMs: 1_041 },
  { name: "a packet sent long before", node: 1, type: "inbound", sentMs: 400 },
] as const;

for (const { name, node, type, sentMs } of unexplained) {
  test(`counted drops: ${name} is not explained`, () => {
    assert.equal(twoDropped().spend().take(node, type, sentMs), null);
  });
}

test("counted drops: a fresh kernel begins at zero without a drop", () => {
  const drops = twoDropped();
  drops.forget(1);
  drops.read(1, { XfrmInNoStates: 0 }, 2_000);
  drops.read(1, { XfrmInNoStates: 3 }, 2_040);
  assert.equal(drops.countSince(2_000), 3);
  assert.equal(drops.countSince(0), 5);
});

test("counted drops: a counter of a newer kernel explains packets of its direction", () => {
  const drops = new CountedDrops();
  drops.read(1, { XfrmOutOfTheFuture: 0 }, 1_000);
  drops.read(1, { XfrmOutOfTheFuture: 1 }, 1_040);
  const spare = drops.spend();
  assert.equal(spare.take(1, "inbound", 1_020), null);
  assert.equal(spare.take(1, "outbound", 1_020), "XfrmOutOfTheFuture");
});
