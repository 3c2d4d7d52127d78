/** The failure of the field, reproduced and cured, by the commands that the documentation names. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabReport } from "../../src/lab/report.js";
import { runLabCommand, runSpindle, summaryOf, type LabResult } from "../support/lab.js";

/** Issue, "How good": from the new key in the file to the old one retired. */
const durationMsMax = 4_000;
const writesPerNodeMax = 8;
const compareMsMax = 60_000;

function assertHitless(result: LabResult): void {
  const { report, code } = result;
  assert.equal(code, 0, summaryOf(result));
  assert.ok(report.ok);
  assert.deepEqual(report.packets.lostByReason, {});
  assert.equal(report.packets.lost, 0);
  assert.equal(report.packets.sent, report.packets.received);
  assert.ok(report.packets.sent > 0);
  assert.deepEqual(report.validity.problems, []);
  assert.ok(report.rotations.every(({ forcedRetires }) => forcedRetires === 0));
}

function assertQuick({ rotations, nodes }: LabReport): void {
  for (const { keyId, stagedMs, switchedMs, retiredMs, durationMs, registry } of rotations) {
    assert.ok(
      stagedMs !== null && switchedMs !== null && retiredMs !== null && durationMs !== null,
    );
    assert.ok(stagedMs <= switchedMs && switchedMs <= retiredMs && retiredMs <= durationMs);
    assert.ok(durationMs < durationMsMax, `key ${keyId} took ${durationMs} ms`);
    const perNode = registry.writes / nodes;
    assert.ok(perNode <= writesPerNodeMax, `${perNode} registry writes per node`);
  }
}

test("lab: today's order with one slow node loses packets for lack of an inbound SA", async () => {
  const words = ["--coordination", "pairwise", "--order", "advertise-first", "--slow-node", "2s"];
  const result = await runLabCommand(...words, "--rotations", "1");
  const { report, code } = result;
  assert.equal(code, 1, summaryOf(result));
  assert.equal(report.ok, false);
  assert.ok(report.packets.lost > 0);
  assert.deepEqual(report.packets.lostByReason, { "inbound no_state": report.packets.lost });
  assert.deepEqual(report.validity.problems, [], "the run counts, so the losses are real");
  const [place] = report.losses;
  assert.equal(place?.node, report.slowNode, "the slow node dropped them");
  assert.match(
    place.cause ?? "",
    /advertised key 2 at \+0\.\d\d s and could receive it only at \+2\./,
  );
  const dropped = report.counters[report.slowNode ?? ""]?.XfrmInNoStates;
  assert.equal(dropped, report.packets.lost, "the dataplane's counter says the same");
});

test("lab: stage first, pairwise with the same slow node, loses nothing", async () => {
  const words = ["--coordination", "pairwise", "--order", "stage-first", "--slow-node", "2s"];
  const result = await runLabCommand(...words, "--rotations", "1");
  assertHitless(result);
  assert.ok((result.report.rotations[0]?.stagedMs ?? 0) >= 2_000, "the node was slow");
});

for (const coordination of ["barrier", "pairwise"]) {
  test(`lab: ${coordination}: from the new key to the end of the old in under 4 s`, async () => {
    const result = await runLabCommand("--coordination", coordination, "--rotations", "2");
    assertHitless(result);
    assertQuick(result.report);
    assert.deepEqual(
      result.report.rotations.map(({ keyId }) => keyId),
      [2, 3],
    );
  });
}

interface Comparison {
  readonly schemaVersion: number;
  readonly runs: readonly LabReport[];
  readonly ok: boolean;
}

test("lab --compare: today's order loses and ours does not, in under a minute", async () => {
  const startedMs = performance.now();
  const result = await runSpindle("lab", "--compare", "--json");
  const tookMs = performance.now() - startedMs;
  assert.equal(result.code, 0, summaryOf(result));
  const comparison = JSON.parse(result.stdout) as Comparison;
  const [today, ours] = comparison.runs;
  assert.equal(comparison.schemaVersion, 1);
  assert.ok(comparison.ok);
  assert.ok(today !== undefined && ours !== undefined);
  assert.deepEqual(Object.keys(today.packets.lostByReason), ["inbound no_state"]);
  assert.equal(ours.packets.lost, 0);
  assert.equal(ours.rotations.length, 3);
  assert.equal(today.slowNode, ours.slowNode);
  assert.ok(tookMs < compareMsMax, `took ${Math.round(tookMs)} ms`);
});
