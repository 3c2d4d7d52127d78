import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeyId } from "../core/key-id.js";
import type { Direction } from "../core/sa.js";
import type { KeyFigure } from "./key-figures.js";
import { SequenceWatch } from "./sequence-watch.js";

function figure(keyId: number, sequenceShare: number, direction: Direction = "out"): KeyFigure {
  const counts = { sas: 1, packets: 0, octets: 0, usedAtMs: null };
  return { keyId: keyId as KeyId, direction, ...counts, sequence: sequenceShare * 2 ** 32, sequenceShare };
}

function warnings(...dumps: readonly (readonly KeyFigure[])[]): readonly unknown[] {
  const written: unknown[] = [];
  const watch = new SequenceWatch();
  for (const figures of dumps) watch.look(figures, { write: (...line) => void written.push(line) });
  return written;
}

function warning(keyId: number, usedPercent: number): unknown {
  return ["warn", "sequence numbers run out, rotate now", { keyId, usedPercent, sequence: (usedPercent / 100) * 2 ** 32 }];
}

test("sequence watch: an outbound key is warned of from three quarters on, and once", () => {
  assert.deepEqual(warnings([figure(7, 0.74)]), []);
  assert.deepEqual(warnings([figure(7, 0.75)]), [warning(7, 75)]);
  assert.deepEqual(warnings([figure(7, 0.75)], [figure(7, 0.75)], [figure(7, 1)]), [warning(7, 75)]);
});

test("sequence watch: each key is warned of, and one that comes again after it was gone", () => {
  assert.deepEqual(warnings([figure(7, 0.75)], [figure(7, 0.75), figure(8, 0.75)]), [warning(7, 75), warning(8, 75)]);
  assert.deepEqual(warnings([figure(7, 0.75)], [figure(8, 0)], [figure(7, 0.75)]), [warning(7, 75), warning(7, 75)]);
});

test("sequence watch: what peers send with is their own to warn of", () => {
  assert.deepEqual(warnings([figure(7, 0.9, "in")]), []);
});
