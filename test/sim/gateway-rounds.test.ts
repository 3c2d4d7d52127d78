/** Rounds of the schedule: canaries, hold, jitter, and at most so many links at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { begunIn, dayMs, hourMs, isRoundDone, linksInWork, peakPerMinute, roundFleet } from "../support/gateway-round.js";

const options = { links: 40, linksAtOnceMax: 3, holdMs: dayMs, intervalMs: 4 * dayMs };

test("gateway rounds: a tenth goes first, the others a day after the last of them, never more than three links at once", () => {
  const fleet = roundFleet(options);
  assert.ok(fleet.bringUp());
  fleet.run(options.intervalMs - fleet.time.nowMs - hourMs);
  assert.deepEqual(begunIn(fleet, 1), []);
  let most = 0;
  const watched = (holds: () => boolean) => (): boolean => {
    most = Math.max(most, linksInWork(fleet));
    return holds();
  };
  const beganMs = fleet.time.nowMs;
  const canariesDone = (): boolean => begunIn(fleet, 1).length === 4 && linksInWork(fleet) === 0;
  assert.ok(fleet.runUntil(watched(canariesDone), 3 * hourMs, 1_000), "four links are done");
  const holdFromMs = fleet.time.nowMs;
  assert.ok(fleet.runUntil(watched(() => begunIn(fleet, 1).length > 4), 2 * dayMs, 1_000));
  assert.ok(Math.abs(fleet.time.nowMs - holdFromMs - dayMs) < hourMs, "held for a day");
  assert.ok(fleet.runUntil(watched(() => isRoundDone(fleet, 1)), 3 * hourMs, 1_000), "the round ends");
  assert.ok(most <= 3, `${most} links at once`);
  // Three links at once, each with one pair in work, and a pair takes four seconds at least.
  assert.ok(peakPerMinute(fleet, beganMs) <= 3 * 15);
  assert.deepEqual(fleet.traffic.lost, []);
  assert.deepEqual(fleet.errors(), []);
});

test("gateway rounds: one error of a canary stops the round, and the hold begins anew when it is mended", () => {
  const fleet = roundFleet(options);
  assert.ok(fleet.bringUp());
  fleet.run(options.intervalMs - fleet.time.nowMs - 1_000);
  assert.ok(fleet.runUntil(() => begunIn(fleet, 1).length === 1, 2 * hourMs, 100));
  fleet.issuer.failsWith = "GATEWAY_ISSUE_FAILED";
  const canary = begunIn(fleet, 1)[0];
  assert.ok(canary !== undefined);
  assert.ok(fleet.runUntil(() => fleet.record(canary)?.rotation?.outcome === "rolled-back", hourMs, 1_000));
  fleet.run(6 * hourMs);
  assert.ok(begunIn(fleet, 1).length <= 3, "at most those that had begun already");
  assert.ok(fleet.logs.some(({ fields }) => fields["code"] === "GATEWAY_ROUND_HELD"));
  fleet.issuer.failsWith = null;
  const mendedMs = fleet.time.nowMs;
  assert.ok(fleet.runUntil(() => begunIn(fleet, 1).length > 4, 3 * dayMs, 10_000));
  assert.ok(fleet.time.nowMs - mendedMs > dayMs, "a whole hold after the error");
  assert.ok(fleet.runUntil(() => isRoundDone(fleet, 1), 4 * hourMs, 10_000));
  assert.deepEqual(fleet.traffic.lost, []);
});
