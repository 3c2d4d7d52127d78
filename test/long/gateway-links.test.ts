/** A round over a thousand links: canaries, hold, then the rest, with bounded issuing. Takes some minutes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { begunIn, dayMs, hourMs, isRoundDone, linksInWork, peakPerMinute, roundFleet } from "../support/gateway-round.js";

const options = { links: 1_000, linksAtOnceMax: 20, holdMs: dayMs, intervalMs: 2 * dayMs };

test("gateways: 1,000 links, a tenth first, a day's hold, twenty at once, no packet lost", () => {
  const fleet = roundFleet(options);
  assert.ok(fleet.bringUp());
  fleet.run(options.intervalMs - fleet.time.nowMs - 1_000);
  const beganMs = fleet.time.nowMs;
  let most = 0;
  const until = (holds: () => boolean, limitMs: number): boolean =>
    fleet.runUntil(() => {
      most = Math.max(most, linksInWork(fleet));
      return holds();
    }, limitMs, 30_000);
  assert.ok(until(() => begunIn(fleet, 1).length === 100 && linksInWork(fleet) === 0, 3 * hourMs), "a hundred links are done");
  const holdFromMs = fleet.time.nowMs;
  assert.ok(until(() => begunIn(fleet, 1).length > 100, 2 * dayMs));
  assert.ok(fleet.time.nowMs - holdFromMs > dayMs - hourMs);
  assert.ok(until(() => isRoundDone(fleet, 1), 6 * hourMs));
  const peak = peakPerMinute(fleet, beganMs);
  const tookHours = (fleet.time.nowMs - beganMs) / hourMs;
  console.log(`${tookHours.toFixed(1)} hours; at most ${most} links at once, ${peak} pairs issued in the busiest minute`);
  assert.ok(most <= 20, `${most} links at once`);
  assert.ok(peak <= 20 * 15, `${peak} pairs in a minute`);
  assert.deepEqual(fleet.traffic.lost, []);
  assert.deepEqual(fleet.errors(), []);
});
