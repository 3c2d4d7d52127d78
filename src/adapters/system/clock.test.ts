import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { systemClock } from "./clock.js";

test("clock: time counts from boot, so a restart of the program does not reset it", () => {
  const uptimeMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  // /proc/uptime counts the time asleep as well, and has a resolution of 10 ms.
  assert.ok(systemClock.nowMs() <= uptimeMs + 20);
  assert.ok(systemClock.nowMs() > process.uptime() * 1000);
});

test("clock: time never goes backwards", () => {
  let beforeMs = systemClock.nowMs();
  for (let turn = 0; turn < 10_000; turn++) {
    const nowMs = systemClock.nowMs();
    assert.ok(nowMs >= beforeMs);
    beforeMs = nowMs;
  }
});

test("clock: a timer fires at its time, not before, and once", async () => {
  const atMs = systemClock.nowMs() + 15;
  let calls = 0;
  const firedMs = await new Promise<number>((resolve) => {
    systemClock.setTimer(atMs, () => {
      calls += 1;
      resolve(systemClock.nowMs());
    });
  });
  assert.ok(firedMs >= atMs, `fired ${atMs - firedMs} ms early`);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, 1);
});

test("clock: a timer in the past fires soon, and not inside the call", async () => {
  let inside = true;
  const firedInside = await new Promise<boolean>((resolve) => {
    systemClock.setTimer(systemClock.nowMs() - 1000, () => resolve(inside));
    inside = false;
  });
  assert.equal(firedInside, false);
});

test("clock: a cancelled timer never fires", async () => {
  const cancel = systemClock.setTimer(systemClock.nowMs(), () => assert.fail("fired"));
  cancel();
  cancel();
  await new Promise((resolve) =>
    systemClock.setTimer(systemClock.nowMs() + 2, () => resolve(null)),
  );
});

test("clock: a timer beyond the range of setTimeout does not fire at once", async () => {
  const cancel = systemClock.setTimer(systemClock.nowMs() + 2 ** 32, () => assert.fail("fired"));
  await new Promise((resolve) =>
    systemClock.setTimer(systemClock.nowMs() + 5, () => resolve(null)),
  );
  cancel();
});

test("clock: deferred callbacks run after the current turn, in order", async () => {
  const order: string[] = [];
  systemClock.defer(() => order.push("first"));
  systemClock.defer(() => order.push("second"));
  order.push("turn");
  await new Promise((resolve) => systemClock.defer(() => resolve(null)));
  assert.deepEqual(order, ["turn", "first", "second"]);
});

test("clock: wall time is ISO 8601 and only shown", () => {
  assert.match(systemClock.wallAt(), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});
