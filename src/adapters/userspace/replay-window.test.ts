import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.js";
import { ReplayWindow, type SequenceVerdict, subspace } from "./replay-window.js";

/** The slow obvious window: remembers everything. */
class RememberingWindow {
  readonly size: number;
  readonly #seen = new Set<number>();
  highest = 0;

  constructor(size: number) {
    this.size = size;
  }

  judge(sequence: number): SequenceVerdict {
    if (sequence <= this.highest - this.size) return "too-old";
    return this.#seen.has(sequence) ? "replayed" : "new";
  }

  record(sequence: number): void {
    this.#seen.add(sequence);
    this.highest = Math.max(this.highest, sequence);
  }

  /**
   * RFC 4303, A2.2, as it is written: Tl and Th are the halves of the top, Bl the low half of the
   * bottom.
   */
  infer(low: number): number | null {
    const topLow = this.highest % subspace;
    const topHigh = (this.highest - topLow) / subspace;
    const spansTwo = topLow < this.size - 1;
    const bottomLow = topLow - this.size + 1 + (spansTwo ? subspace : 0);
    const above = spansTwo ? topHigh : topHigh + 1;
    const sequence = (low >= bottomLow ? above - (spansTwo ? 1 : 1) : above) * subspace + low;
    return sequence >= 1 ? sequence : null;
  }
}

interface Step {
  readonly sequence: number;
  readonly verdict: SequenceVerdict;
}

const tables: { readonly name: string; readonly size: number; readonly steps: readonly Step[] }[] =
  [
    {
      name: "in order, then each again",
      size: 32,
      steps: [
        { sequence: 1, verdict: "new" },
        { sequence: 2, verdict: "new" },
        { sequence: 1, verdict: "replayed" },
        { sequence: 2, verdict: "replayed" },
      ],
    },
    {
      name: "late but inside, once",
      size: 32,
      steps: [
        { sequence: 40, verdict: "new" },
        { sequence: 9, verdict: "new" },
        { sequence: 9, verdict: "replayed" },
        { sequence: 8, verdict: "too-old" },
      ],
    },
    {
      name: "a jump of exactly the window forgets all but the edge",
      size: 32,
      steps: [
        { sequence: 10, verdict: "new" },
        { sequence: 42, verdict: "new" },
        { sequence: 10, verdict: "too-old" },
        { sequence: 11, verdict: "new" },
      ],
    },
    {
      name: "a jump one short of the window keeps the edge",
      size: 32,
      steps: [
        { sequence: 10, verdict: "new" },
        { sequence: 41, verdict: "new" },
        { sequence: 10, verdict: "replayed" },
      ],
    },
    {
      name: "across 2^32",
      size: 64,
      steps: [
        { sequence: subspace - 1, verdict: "new" },
        { sequence: subspace + 1, verdict: "new" },
        { sequence: subspace, verdict: "new" },
        { sequence: subspace - 1, verdict: "replayed" },
      ],
    },
  ];

for (const { name, size, steps } of tables) {
  test(`replay window: ${name}`, () => {
    const window = new ReplayWindow(size);
    for (const { sequence, verdict } of steps) {
      assert.equal(window.judge(sequence), verdict, `sequence ${sequence}`);
      if (verdict === "new") window.record(sequence);
    }
  });
}

const inferences: {
  readonly highest: number;
  readonly low: number;
  readonly expected: number | null;
}[] = [
  { highest: 0, low: 0, expected: null },
  { highest: 0, low: 1, expected: 1 },
  { highest: 0, low: subspace - 1, expected: null },
  { highest: 5_000, low: 5_001, expected: 5_001 },
  { highest: 5_000, low: 3_977, expected: 3_977 },
  { highest: 5_000, low: 3_976, expected: subspace + 3_976 },
  { highest: subspace - 1, low: 0, expected: subspace },
  { highest: subspace + 10, low: subspace - 1, expected: subspace - 1 },
  { highest: subspace + 10, low: 11, expected: subspace + 11 },
  { highest: 7 * subspace + 2_000, low: 976, expected: 8 * subspace + 976 },
  { highest: 7 * subspace + 2_000, low: 977, expected: 7 * subspace + 977 },
  { highest: Number.MAX_SAFE_INTEGER, low: 0, expected: null },
];

test("replay window: the high half is inferred as RFC 4303 appendix A2.2 does", () => {
  for (const { highest, low, expected } of inferences) {
    const window = new ReplayWindow(limits.replayWindowDefault);
    if (highest > 0) window.record(highest);
    assert.equal(window.infer(low), expected, `top ${highest}, low half ${low}`);
  }
});

const arrivals = fc.record({
  size: fc.oneof(fc.constantFrom(32, 64, 1_024, 4_096), fc.integer({ min: 32, max: 300 })),
  start: fc.constantFrom(0, 1_000, subspace - 200, 3 * subspace - 5, 2 ** 52),
  offsets: fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 300 }),
});

test("replay window: equals a window that remembers everything", () => {
  fc.assert(
    fc.property(arrivals, ({ size, start, offsets }) => {
      const window = new ReplayWindow(size);
      const model = new RememberingWindow(size);
      for (const offset of offsets) {
        const sequence = Math.max(1, Math.max(start, model.highest) + offset);
        assert.equal(window.judge(sequence), model.judge(sequence));
        if (model.judge(sequence) !== "new") continue;
        window.record(sequence);
        model.record(sequence);
        assert.equal(window.highest, model.highest);
      }
    }),
  );
});

test("replay window: inference equals RFC 4303 A2.2, and finds every receivable packet", () => {
  const tops = fc.oneof(
    fc.integer({ min: 0, max: 2 ** 21 - 2 }).map((high) => high * subspace + 500),
    fc.integer({ min: 0, max: 2 ** 52 }),
  );
  fc.assert(
    fc.property(
      tops,
      fc.nat(subspace - 1),
      fc.integer({ min: -1_023, max: 100_000 }),
      (top, low, ahead) => {
        const window = new ReplayWindow(1_024);
        const model = new RememberingWindow(1_024);
        if (top > 0) {
          window.record(top);
          model.record(top);
        }
        assert.equal(window.infer(low), model.infer(low));
        const receivable = top + ahead;
        if (receivable >= 1) assert.equal(window.infer(receivable % subspace), receivable);
      },
    ),
  );
});

test("replay window: recording what is not new is a bug, so is a size outside the limits", () => {
  const window = new ReplayWindow(32);
  window.record(1);
  assert.throws(() => window.record(1), /bug/);
  assert.throws(() => new ReplayWindow(limits.replayWindowMax + 1), /bug/);
  assert.throws(() => new ReplayWindow(31), /bug/);
});
