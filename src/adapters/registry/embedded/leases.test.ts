import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../../core/limits.js";
import { afterRestart, bid, holds, Leases, type Leadership } from "./leases.js";

function namesAt(leases: Leases, nowMs: number): readonly string[] {
  return leases.list(nowMs).map(({ name }) => name);
}

test("leases: one ends at its time and not before, and each renewal counts anew", () => {
  const leases = new Leases();
  leases.renew("a", "x", 100, 1_000);
  leases.renew("b", "y", 100, 1_050);
  assert.deepEqual(namesAt(leases, 1_099), ["a", "b"]);
  assert.deepEqual(namesAt(leases, 1_100), ["b"]);
  leases.renew("b", "y", 100, 1_149);
  assert.deepEqual(namesAt(leases, 1_248), ["b"]);
  assert.deepEqual(namesAt(leases, 1_249), []);
});

test("leases: a beat is never that of before a restart", () => {
  const beats = [new Leases(), new Leases()].map((leases) => {
    leases.renew("a", "x", 100, 0);
    return leases.list(0)[0]?.beat;
  });
  assert.notEqual(beats[0], beats[1]);
});

test("leases: a full table refuses newcomers, renews the known and forgets the ended", () => {
  const leases = new Leases();
  for (let i = 0; i < limits.registryLeasesMax; i++) leases.renew(`node-${i}`, "x", 100, 0);
  assert.throws(() => leases.renew("one-more", "x", 100, 50), { code: "REGISTRY_BUSY" });
  leases.renew("node-0", "x", 100, 50);
  leases.renew("one-more", "x", 100, 100);
  assert.deepEqual(namesAt(leases, 100), ["node-0", "one-more"]);
});

const one = { name: "one", session: "1" };
const oneAgain = { name: "one", session: "2" };
const two = { name: "two", session: "3" };
const led: Leadership = { ...one, leaseMs: 100, untilMs: 1_100 };
const restarted = afterRestart({ name: "one", leaseMs: 100 }, 1_000);

const bids = [
  { name: "nobody leads", present: null, candidate: two, nowMs: 0, granted: true },
  { name: "another leads", present: led, candidate: two, nowMs: 1_099, granted: false },
  { name: "another's term has ended", present: led, candidate: two, nowMs: 1_100, granted: true },
  { name: "it leads itself", present: led, candidate: one, nowMs: 1_050, granted: true },
  { name: "its namesake leads", present: led, candidate: oneAgain, nowMs: 1_050, granted: false },
  {
    name: "it led before the store's restart",
    present: restarted,
    candidate: oneAgain,
    nowMs: 1_001,
    granted: true,
  },
  {
    name: "another led before the store's restart",
    present: restarted,
    candidate: two,
    nowMs: 1_099,
    granted: false,
  },
  {
    name: "another's term before the restart has ended",
    present: restarted,
    candidate: two,
    nowMs: 1_100,
    granted: true,
  },
];

for (const { name, present, candidate, nowMs, granted } of bids) {
  test(`leadership: a bid is ${granted ? "granted" : "refused"} when ${name}`, () => {
    const result = bid(present, candidate, 100, nowMs);
    assert.equal(result !== null, granted);
    if (result === null) return;
    assert.equal(result.untilMs, nowMs + 100);
    assert.ok(holds(result, candidate));
  });
}
