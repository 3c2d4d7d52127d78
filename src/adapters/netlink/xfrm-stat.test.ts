import assert from "node:assert/strict";
import { test } from "node:test";
import { xfrmCounters } from "../../core/xfrm-counters.js";
import { PortError } from "../port-error.js";
import { parseXfrmStat, readXfrmStat } from "./xfrm-stat.js";

test("xfrm_stat: every counter is read, and one of a newer kernel is left out", () => {
  const names = [...Object.keys(xfrmCounters), "XfrmInOfTheFuture"];
  const text = names.map((name, index) => `${name.padEnd(24)}\t${index + 1}\n`).join("");
  const expected = Object.keys(xfrmCounters).map((name, index) => [name, index + 1]);
  assert.deepEqual(parseXfrmStat(text), Object.fromEntries(expected));
});

test("xfrm_stat: what is no counter is left out", () => {
  assert.deepEqual(parseXfrmStat("XfrmInError\nXfrmInNoStates x\ntoString 1\n\n"), {});
});

test("xfrm_stat: a kernel without it is told", async () => {
  await assert.rejects(
    readXfrmStat("/no/such/file"),
    (error) => error instanceof PortError && error.code === "XFRM_STAT_UNREADABLE",
  );
});
