import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testEntry, testKey } from "../../test/support/fleet-snapshot.js";
import type { IncarnationId } from "./node.js";
import { isEvidence, type Report } from "./report.js";

const key = testKey(2);
const entry = testEntry(1);
const report: Report = { ...steadyReport(1, testKey(1)), holds: [testKey(1), key] };

const cases: readonly (readonly [string, Report | undefined, boolean])[] = [
  ["the key held in the present incarnation", report, true],
  ["no report", undefined, false],
  ["an earlier incarnation (reboot-3-steps)", { ...report, incarnationId: "b".repeat(32) as IncarnationId }, false],
  ["a newer key held and not this one (skip-9)", { ...report, holds: [testKey(1), testKey(3)] }, false],
  ["an older key held and not this one (stale-secret-18)", { ...report, holds: [testKey(1)] }, false],
  ["other bytes under the same id", { ...report, holds: [testKey(2, "1")] }, false],
  ["the key held but refused", { ...report, refused: [key] }, false],
  ["another key refused", { ...report, refused: [testKey(3)] }, true],
  ["the key only offered by the file (advertise first, R1)", { ...report, holds: [], available: [key] }, false],
];

for (const [what, given, expected] of cases) {
  test(`evidence: ${what} is ${expected ? "proof" : "no proof"}`, () => {
    assert.equal(isEvidence(given, entry, key), expected);
  });
}
