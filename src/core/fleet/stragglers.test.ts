/** What an excluded node is told to have yet to do, one reason at a time: the same that keeps it out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testEntry, testKey } from "../../../test/support/fleet-snapshot.js";
import type { RosterRevision } from "../node.js";
import type { Report } from "../report.js";
import { newFleet, type FleetLevels, type FleetRecord } from "./record.js";
import { whyExcluded } from "./stragglers.js";

const [one, two] = [testKey(1), testKey(2)];
const entry = testEntry(1);
const report: Report = { ...steadyReport(1, one), exclusionEpoch: 4, level: { applied: "prefer", sendsPlain: false } };
const record: FleetRecord = { ...newFleet, current: one, exclusionEpoch: 4 };
const asked = { by: "somebody", at: "", reason: "test" };
const levels: FleetLevels = { level: "require", wanted: "require", applied: true, asked };
const newer = (report.through + 1) as RosterRevision;

interface Case {
  readonly name: string;
  readonly record?: Partial<FleetRecord>;
  readonly report: Report | undefined;
  readonly why: RegExp;
}

const cases: readonly Case[] = [
  { name: "it only has to be heard of", report, why: /heard of again/ },
  { name: "no report of this life", report: undefined, why: /since its restart/ },
  { name: "the key in use is not held", report: { ...report, holds: [] }, why: /staged key 1/ },
  { name: "nor is the target", record: { phase: "staged", target: two }, report, why: /staged key 2/ },
  { name: "others joined", record: { through: [{ key: one, revision: newer }] }, report, why: /joined meanwhile/ },
  { name: "another level", record: { levels }, report, why: /has not applied level require/ },
  { name: "no word on the level", record: { levels }, report: { ...report, level: undefined }, why: /has not applied level require/ },
];

for (const { name, record: changes, report: said, why } of cases) {
  test(`stragglers: excluded, as ${name}`, () => {
    assert.match(whyExcluded({ ...record, ...changes }, said, entry), why);
  });
}
