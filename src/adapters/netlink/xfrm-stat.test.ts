import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { limits } from "../../core/limits.js";
import { xfrmCounters } from "../../core/xfrm-counters.js";
import { PortError } from "../port-error.js";
import { parseXfrmStat, openXfrmStat } from "./xfrm-stat.js";

test("xfrm_stat: every counter is read, one of a newer kernel too", () => {
  const names = [...Object.keys(xfrmCounters), "XfrmInOfTheFuture"];
  const text = names.map((name, index) => `${name.padEnd(24)}\t${index + 1}\n`).join("");
  assert.deepEqual(parseXfrmStat(text), Object.fromEntries(names.map((name, index) => [name, index + 1])));
});

test("xfrm_stat: what is no counter is left out", () => {
  assert.deepEqual(parseXfrmStat("XfrmInError\nXfrmInNoStates x\ntoString 1\nXfrmOut__proto__ 1\n\n"), {});
});

test("xfrm_stat: a list without end becomes no metric without end", () => {
  const text = Array.from({ length: 1_000 }, (_, index) => `XfrmIn${index}\t1\n`).join("");
  assert.equal(Object.keys(parseXfrmStat(text)).length, limits.xfrmCountersMax);
});

test("xfrm_stat: a kernel without it is told", () => {
  assert.throws(
    () => openXfrmStat("/no/such/file"),
    (error) => error instanceof PortError && error.code === "XFRM_STAT_UNREADABLE",
  );
});

test("xfrm_stat: each reading begins at the beginning", () => {
  const folder = mkdtempSync(join(tmpdir(), "xfrm-stat-"));
  const path = join(folder, "xfrm_stat");
  writeFileSync(path, "XfrmInNoStates 1\n");
  const stat = openXfrmStat(path);
  assert.deepEqual(stat.read(), { XfrmInNoStates: 1 });
  writeFileSync(path, "XfrmInNoStates 2\n");
  assert.deepEqual(stat.read(), { XfrmInNoStates: 2 });
  stat.close();
  rmSync(folder, { recursive: true });
});
