import assert from "node:assert/strict";
import { test } from "node:test";
import { makePrng } from "../../core/prng.js";
import { VirtualTime } from "./virtual-time.js";

interface Entry {
  readonly atMs: number;
  readonly id: number;
  isCancelled: boolean;
}

/** What must run, in order, by the slow obvious way. */
function sorted(entries: readonly Entry[]): readonly number[] {
  const kept = entries.filter((entry) => !entry.isCancelled);
  return kept.sort((one, other) => one.atMs - other.atMs || one.id - other.id).map(({ id }) => id);
}

test("virtual time: runs by time, then by scheduling, without the cancelled, as sorting does", () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const prng = makePrng(seed);
    const time = new VirtualTime();
    const entries: Entry[] = [];
    const ran: number[] = [];
    for (let id = 0; id < 5_000; id += 1) {
      const entry = { atMs: prng.below(500), id, isCancelled: false };
      entries.push(entry);
      const cancel = time.at(entry.atMs, () => ran.push(id));
      entry.isCancelled = prng.below(4) < seed % 4;
      if (entry.isCancelled) cancel();
    }
    time.runUntil(1_000);
    assert.deepEqual(ran, sorted(entries), `seed ${seed}`);
    assert.equal(time.pending, 0, `seed ${seed}`);
  }
});

test("virtual time: an event scheduled now by an event runs after those that already waited for now", () => {
  const time = new VirtualTime();
  const ran: string[] = [];
  time.post(5, () => {
    ran.push("first");
    time.post(0, () => ran.push("scheduled by the first"));
  });
  time.post(5, () => ran.push("second"));
  time.runUntil(5);
  assert.deepEqual(ran, ["first", "second", "scheduled by the first"]);
  assert.equal(time.nowMs, 5);
});

test("virtual time: cancelling what has run does not cancel what uses its place now", () => {
  const time = new VirtualTime();
  const ran: string[] = [];
  const cancel = time.at(1, () => ran.push("first"));
  time.runUntil(1);
  time.post(2, () => ran.push("second"));
  cancel();
  time.runUntil(2);
  assert.deepEqual(ran, ["first", "second"]);
});

test("virtual time: an event can cancel one that waits for the same moment", () => {
  const time = new VirtualTime();
  const ran: string[] = [];
  let cancel = (): void => undefined;
  time.post(1, () => cancel());
  cancel = time.at(1, () => ran.push("cancelled"));
  time.runUntil(1);
  assert.deepEqual(ran, []);
});

test("virtual time: timers that are set anew again and again leave nothing behind", () => {
  const time = new VirtualTime();
  let cancel = (): void => undefined;
  for (let i = 0; i < 10_000; i += 1) {
    cancel();
    cancel = time.at(1_000_000 + i, () => undefined);
  }
  assert.equal(time.pending, 1);
  time.runUntil(2_000_000);
  assert.equal(time.events, 1);
});

test("virtual time: a clock with its own zero and rate rings no timer before it shows its time", () => {
  const prng = makePrng(1);
  for (let i = 0; i < 2_000; i += 1) {
    const time = new VirtualTime();
    time.runUntil(prng.share() * 1e6);
    const clock = time.clock(time.nowMs - prng.share() * 1e9, 1 + (prng.share() - 0.5) * 2e-4);
    const dueMs = clock.nowMs() + prng.share() * 1e5;
    const shownMs: number[] = [];
    clock.setTimer(dueMs, () => shownMs.push(clock.nowMs()));
    time.runUntil(time.nowMs + 2e5);
    assert.equal(shownMs.length, 1);
    const lateMs = (shownMs[0] ?? 0) - dueMs;
    assert.ok(lateMs >= 0 && lateMs < 0.001, `${lateMs} ms late`);
  }
});
