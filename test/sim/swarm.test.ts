/** The swarm: many seeds of faults. `SWARM_FROM` and `SWARM_TO` choose the seeds, `SWARM_LOG=1` prints the logs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { faults, type FaultName } from "../../src/sim/swarm/faults.js";
import { explainSwarmSeed, runSwarmSeed, type SwarmSeedResult } from "../../src/sim/swarm/swarm-seed.js";

const from = Number(process.env["SWARM_FROM"] ?? 1);
const to = Number(process.env["SWARM_TO"] ?? from + 249);
const isDefault = process.env["SWARM_FROM"] === undefined;

const totals = { seeds: 0, failed: 0, sent: 0, excused: 0 };
const counts = new Map<string, number>();

function note({ violations, sent, excused, counts: ofSeed }: SwarmSeedResult): void {
  totals.seeds += 1;
  totals.failed += violations.length > 0 ? 1 : 0;
  totals.sent += sent;
  totals.excused += excused;
  for (const [name, count] of Object.entries(ofSeed)) counts.set(name, (counts.get(name) ?? 0) + count);
}

function printLog({ fleet }: SwarmSeedResult): void {
  for (const { atMs, who, level, message, fields } of fleet.logs) {
    console.log(`${atMs.toFixed(1)} ${who} ${level} ${message} ${JSON.stringify(fields)}`);
  }
}

test(`swarm: seeds ${from} to ${to} keep S1 to S6 and come to rest (L1)`, () => {
  const failures: string[] = [];
  for (let seed = from; seed <= to; seed += 1) {
    const run = runSwarmSeed(seed);
    note(run);
    if (process.env["SWARM_LOG"] === "1") printLog(run);
    if (run.violations.length > 0) failures.push(explainSwarmSeed(run));
  }
  console.log(`swarm: ${JSON.stringify({ ...totals, ...Object.fromEntries(counts) })}`);
  assert.ok(failures.length === 0, `${totals.failed} of ${totals.seeds} seeds failed\n${failures.slice(0, 5).join("\n")}`);
});

test("swarm: every fault has happened", { skip: isDefault ? false : "only with the default seeds" }, () => {
  for (const name of Object.keys(faults) as FaultName[]) assert.ok((counts.get(name) ?? 0) >= 10, name);
});

test("swarm: a seed replays byte for byte", () => {
  for (const seed of [from, from + 1]) {
    assert.deepEqual(runSwarmSeed(seed).fleet.logs, runSwarmSeed(seed).fleet.logs);
  }
});
