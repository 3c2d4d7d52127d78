/** The two numbers of the fence against the state itself, over random histories. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makePrng, type Prng } from "../../../core/prng.js";
import { isCaughtUp, type Fence } from "./fence.js";

interface Write {
  readonly revision: number;
  readonly key: number;
  readonly kind: "put" | "delete";
}

type State = ReadonlyMap<number, number>;

const keys = 4;
const histories = 4_000;

test("etcd fence: a watch is caught up no earlier than it shows the state, and then at the latest", (context) => {
  const seed = Number(process.env["SPINDLE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  context.diagnostic(`seed ${seed}`);
  const prng = makePrng(seed);
  let early = 0;
  for (let run = 0; run < histories; run++) early += checkHistory(prng);
  assert.ok(early > histories, "histories have moments before the end");
});

/** Returns in how many moments the watch was still behind. */
function checkHistory(prng: Prng): number {
  const before = apply(new Map(), writesFrom(prng, new Map(), 1, prng.below(6)));
  const from = 6;
  const missed = writesFrom(prng, before, from + 1, prng.below(10));
  const state = apply(before, missed);
  // Other prefixes are written, too: the store has gone further than this one.
  const revision = from + missed.length + 1 + prng.below(3);
  const newest = Math.max(0, ...state.values());
  const fence: Fence = { revision, newest, delta: state.size - before.size };
  let behind = 0;
  for (let told = 0; told <= missed.length; told++) {
    const shown = apply(before, missed.slice(0, told));
    const seen = missed[told - 1]?.revision ?? from;
    const caughtUp = isCaughtUp(fence, seen, shown.size - before.size);
    const shows = isSame(shown, state);
    assert.ok(!caughtUp || shows, `${JSON.stringify({ fence, missed, told })}`);
    if (told === missed.length) assert.ok(caughtUp, "at its end");
    if (!caughtUp) behind += 1;
  }
  return behind;
}

function writesFrom(prng: Prng, state: State, first: number, count: number): readonly Write[] {
  const writes: Write[] = [];
  const present = new Set(state.keys());
  for (let revision = first; writes.length < count; revision++) {
    const key = prng.below(keys);
    const kind = present.has(key) && prng.below(2) === 0 ? "delete" : "put";
    if (kind === "delete") present.delete(key);
    else present.add(key);
    writes.push({ revision, key, kind });
  }
  return writes;
}

/** Which keys are there, and when each was last written. */
function apply(state: State, writes: readonly Write[]): State {
  const next = new Map(state);
  for (const { kind, key, revision } of writes) {
    if (kind === "delete") next.delete(key);
    else next.set(key, revision);
  }
  return next;
}

function isSame(one: State, other: State): boolean {
  return one.size === other.size && [...one].every(([key, at]) => other.get(key) === at);
}
