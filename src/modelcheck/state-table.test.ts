import assert from "node:assert/strict";
import test from "node:test";
import { makePrng } from "../core/prng.js";
import { NumberList, StateTable } from "./state-table.js";

test("state table: finds what a map of texts finds, while it grows", () => {
  const prng = makePrng(7);
  const table = new StateTable(4);
  const known = new Map<string, number>();
  for (let i = 0; i < 150_000; i += 1) {
    const row = [prng.below(40), prng.below(40), prng.below(40), prng.below(3) * 1_000_000];
    const text = row.join();
    const before = known.get(text);
    const { index, isNew } = table.add(row);
    assert.equal(isNew, before === undefined);
    assert.equal(index, before ?? known.size);
    if (before === undefined) known.set(text, index);
  }
  assert.equal(table.size, known.size);
  for (const [text, index] of known) assert.equal(table.row(index).join(), text);
});

test("number list: keeps what it was given", () => {
  const list = new NumberList();
  for (let i = 0; i < 10_000; i += 1) list.push(i * 3);
  assert.equal(list.size, 10_000);
  assert.ok([0, 4_095, 4_096, 9_999].every((index) => list.at(index) === index * 3));
});
