import assert from "node:assert/strict";
import { test } from "node:test";
import { countErrors, labelsOf, xfrmCounters } from "./xfrm-counters.js";

test("xfrm counters: 28 as the kernel has, each with labels of its own", () => {
  const labels = Object.values(xfrmCounters).map((pair) => pair.join());
  assert.equal(labels.length, 28);
  assert.equal(new Set(labels).size, 28);
});

test("xfrm counters: the sample of 1 to 28 sums up, absent ones count nothing", () => {
  const sample = Object.fromEntries(Object.keys(xfrmCounters).map((name, i) => [name, i + 1]));
  assert.equal(countErrors(sample), (28 * 29) / 2);
  assert.equal(countErrors({ XfrmInNoStates: 3 }), 3);
  assert.equal(countErrors({ XfrmInNoStates: 3, XfrmInOfTheFuture: 4 }), 7);
  assert.equal(countErrors({}), 0);
});

test("xfrm counters: one of a newer kernel is labelled by its name", () => {
  assert.deepEqual(labelsOf("XfrmInNoStates"), ["inbound", "no_state"]);
  assert.deepEqual(labelsOf("XfrmOutStateDirError"), ["outbound", "state_dir_error"]);
  assert.deepEqual(labelsOf("XfrmInIptfsError"), ["inbound", "iptfs_error"]);
  assert.deepEqual(labelsOf("XfrmSomething"), ["inbound", "something"]);
});
