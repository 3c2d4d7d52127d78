import assert from "node:assert/strict";
import test from "node:test";
import type { KeyId } from "../core/key-id.js";
import { PersistentMap } from "../core/persistent-map.js";
import { makeSpi, type IncarnationNumber, type NodeIndex } from "../core/spi.js";
import { textOf } from "./text.js";

const swap = [1, 0, 2];

function spiOf(index: number): number {
  return makeSpi({ keyId: 2 as KeyId, index: index as NodeIndex, number: 1 as IncarnationNumber });
}

test("text: maps and lists that are sets have no order, other lists do", () => {
  assert.equal(textOf(new Map([["b", 1], ["a", 2]])), textOf(PersistentMap.from([["a", 2], ["b", 1]])));
  assert.equal(textOf({ sas: [{ x: 1 }, { x: 2 }] }), textOf({ sas: [{ x: 2 }, { x: 1 }] }));
  assert.notEqual(textOf({ keys: [1, 2] }), textOf({ keys: [2, 1] }));
});

test("text: a renaming changes names, lives, addresses, indexes and SPIs, and nothing else", () => {
  const of = (name: string, position: number): unknown => ({
    name,
    incarnationId: `${name}#3`,
    address: `10.0.0.${position + 1}`,
    index: position + 1,
    spi: spiOf(position + 1),
    revision: 1,
    word: "abort",
    peers: new Map([[name, position === 0 ? "b" : "a"]]),
  });
  assert.equal(textOf(of("a", 0), swap), textOf(of("b", 1)));
  assert.equal(textOf({ name: "c", index: 3 }, swap), textOf({ name: "c", index: 3 }));
});

test("text: renaming twice leads back", () => {
  const value = { items: [{ name: "a", spi: spiOf(1) }, { name: "b", spi: spiOf(2) }] };
  assert.equal(textOf(value, swap), textOf({ items: [{ name: "b", spi: spiOf(2) }, { name: "a", spi: spiOf(1) }] }));
});
