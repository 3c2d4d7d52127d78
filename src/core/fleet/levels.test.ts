/** One step of the fleet's level: who is waited for, what it takes, and what it leaves behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testEntry, testKey } from "../../../test/support/fleet-snapshot.js";
import type { PolicyLevel } from "../policy-level.js";
import type { ReportedLevel } from "../report.js";
import type { CountedNode } from "./barrier.js";
import type { ControllerOptions, LevelSeen } from "./controller-state.js";
import { askLevel, decideLevel, seeLevel, whyBehindLevel } from "./levels.js";
import { newFleet, type FleetLevels, type FleetRecord, type OperatorRequest } from "./record.js";

const options = { drainMs: 500, stageDeadlineMs: 10_000 } as ControllerOptions;
const asked = { by: "somebody", at: "", reason: "test" };
const epoch = 4;

function recordAt(level: PolicyLevel | null, wanted: PolicyLevel, changes: Partial<FleetRecord> = {}): FleetRecord {
  const levels: FleetLevels = { level, wanted, applied: false, asked };
  return { ...newFleet, current: testKey(1), exclusionEpoch: epoch, levels, ...changes };
}

/** Two nodes that report these levels of that epoch. */
function nodesAt(...levels: readonly (ReportedLevel | PolicyLevel | undefined)[]): readonly CountedNode[] {
  return levels.map((level, i) => ({
    entry: testEntry(i + 1),
    report: {
      ...steadyReport(i + 1, testKey(1)),
      exclusionEpoch: epoch,
      level: typeof level === "string" ? { applied: level, sendsPlain: false } : level,
    },
  }));
}

function seenAt(record: FleetRecord, nodes: readonly CountedNode[]): LevelSeen | null {
  return seeLevel(null, record, nodes, 0);
}

/** The level after the step that is due at this time. */
function after(record: FleetRecord, nodes: readonly CountedNode[], nowMs = options.drainMs): FleetRecord {
  return decideLevel(record, nodes, seenAt(record, nodes), nowMs, options).record;
}

const plain: ReportedLevel = { applied: "prefer", sendsPlain: true };

interface Case {
  readonly name: string;
  readonly from: readonly [level: PolicyLevel | null, wanted: PolicyLevel];
  readonly nodes: readonly (ReportedLevel | PolicyLevel | undefined)[];
  readonly changes?: Partial<FleetRecord>;
  readonly level: PolicyLevel | null;
}

const cases: readonly Case[] = [
  { name: "up, one at a time", from: ["off", "require"], nodes: ["off", "off"], level: "accept" },
  { name: "down, one at a time", from: ["prefer", "off"], nodes: ["prefer", "prefer"], level: "accept" },
  { name: "a node that has not applied it holds it up", from: ["accept", "prefer"], nodes: ["accept", undefined], level: "accept" },
  { name: "so does one that is a level behind", from: ["prefer", "require"], nodes: ["prefer", "accept"], level: "prefer" },
  { name: "one that is at the next level already does not", from: ["prefer", "require"], nodes: ["prefer", "require"], level: "require" },
  { name: "nor does it count for another one", from: ["prefer", "accept"], nodes: ["prefer", "require"], level: "prefer" },
  { name: "one that sends plain packets does, before require", from: ["prefer", "require"], nodes: ["prefer", plain], level: "prefer" },
  { name: "on the way down it does not", from: ["prefer", "accept"], nodes: ["prefer", plain], level: "accept" },
  { name: "from require nobody is waited for", from: ["require", "off"], nodes: ["prefer", undefined], level: "prefer" },
  { name: "prefer waits for a key", from: ["accept", "prefer"], nodes: ["accept", "accept"], changes: { current: null }, level: "accept" },
  { name: "a rotation comes first", from: ["accept", "prefer"], nodes: ["accept", "accept"], changes: { phase: "staging" }, level: "accept" },
  { name: "configurations that agree are adopted", from: [null, "require"], nodes: ["accept", "accept"], level: "accept" },
  { name: "of neighbours the lower one", from: [null, "require"], nodes: ["require", "prefer"], level: "prefer" },
  { name: "but not off, where SAs would go", from: [null, "require"], nodes: ["off", "accept"], level: "accept" },
  { name: "others are not guessed at", from: [null, "require"], nodes: ["accept", "require"], level: null },
  { name: "nor is a node that says nothing", from: [null, "require"], nodes: ["accept", undefined], level: null },
];

for (const { name, from, nodes, changes, level } of cases) {
  test(`fleet level: ${name}`, () => {
    const record = recordAt(...from, changes);
    const next = after(record, nodesAt(...nodes));
    assert.equal(next.levels?.level, level);
    assert.equal(next === record, level === from[0], "a record without a step is the same");
    if (next !== record) assert.equal(next.exclusionEpoch, epoch + 1, "reports from before do not count");
  });
}

test("fleet level: a report that was made with an earlier record does not count", () => {
  const record = recordAt("accept", "prefer", { exclusionEpoch: epoch + 1 });
  assert.equal(after(record, nodesAt("accept", "accept")), record);
});

test("fleet level: a step is taken a drain after everybody has applied the one before", () => {
  const record = recordAt("accept", "prefer");
  const nodes = nodesAt("accept", "accept");
  assert.equal(after(record, nodes, options.drainMs - 1), record);
  assert.notEqual(after(record, nodes), record);
});

test("fleet level: the drain counts anew when somebody falls back", () => {
  const record = recordAt("accept", "prefer");
  const [all, some] = [nodesAt("accept", "accept"), nodesAt("accept", undefined)];
  const fallen = seeLevel(seeLevel(null, record, all, 0), record, some, 400);
  assert.equal(fallen?.appliedMs, null);
  assert.equal(seeLevel(fallen, record, all, 500)?.appliedMs, 500);
  assert.equal(fallen.sinceMs, 0, "the deadline does not");
});

test("fleet level: what is wanted and applied is said once", () => {
  const record = recordAt("require", "require");
  const nodes = nodesAt("require", "require");
  const done = after(record, nodes, 0);
  assert.equal(done.levels?.applied, true);
  assert.equal(after(done, nodes, 0), done);
});

test("fleet level: at off there is no key, and no mark of one", () => {
  const through = [{ key: testKey(1), revision: testEntry(2).revision }];
  const { current, through: left } = after(recordAt("accept", "off", { through }), nodesAt("accept", "accept"));
  assert.deepEqual([current, left], [null, []]);
});

test("fleet level: who is late is named after the stage deadline", () => {
  const record = recordAt("accept", "prefer");
  const nodes = nodesAt("accept", undefined);
  const conditionsAt = (nowMs: number) => decideLevel(record, nodes, seenAt(record, nodes), nowMs, options).conditions;
  assert.deepEqual(conditionsAt(options.stageDeadlineMs - 1), []);
  const [late] = conditionsAt(options.stageDeadlineMs);
  assert.deepEqual([late?.code, late?.node], ["LEVEL_LATE", "node-2"]);
});

test("fleet level: in a fleet that has reached its level nobody is late, whoever joins", () => {
  const reached = recordAt("require", "require");
  const record = { ...reached, levels: { level: "require", wanted: "require", applied: true, asked } as const };
  const nodes = nodesAt("require", undefined);
  assert.deepEqual(decideLevel(record, nodes, seenAt(record, nodes), options.stageDeadlineMs, options), { record, conditions: [] });
});

test("fleet level: levels that are too far apart are a condition", () => {
  const record = recordAt(null, "require");
  const nodes = nodesAt("accept", "require");
  assert.equal(decideLevel(record, nodes, seenAt(record, nodes), 0, options).conditions[0]?.code, "LEVELS_DIFFER");
});

const request: OperatorRequest = {
  schemaVersion: 1,
  id: "request-1",
  kind: "level",
  reason: "why",
  by: "me",
  at: "now",
  compromised: null,
  abort: null,
  level: "require",
};

test("fleet level: who asks first has the nodes say where they are; without a key that is off", () => {
  const { level } = askLevel({ ...newFleet, current: testKey(1) }, request).levels ?? {};
  assert.equal(level, null);
  assert.equal(askLevel(newFleet, request).levels?.level, "off");
});

test("fleet level: asking keeps the level, and for what is wanted already changes nothing", () => {
  const before = recordAt("prefer", "accept");
  const record = askLevel(before, request);
  assert.deepEqual(record.levels, { level: "prefer", wanted: "require", applied: false, asked: { by: "me", at: "now", reason: "why" } });
  assert.equal(record.exclusionEpoch, epoch + 1);
  const again = askLevel(record, { ...request, id: "request-2" });
  assert.equal(again.levels, record.levels);
  assert.equal(again.answer?.accepted, true);
});

test("fleet level: why a node is behind, in words", () => {
  const why = (level: ReportedLevel | PolicyLevel | undefined): string | null =>
    whyBehindLevel(recordAt("prefer", "require"), nodesAt(level)[0]?.report);
  assert.equal(why("prefer"), null);
  assert.match(why("accept") ?? "", /not applied level prefer/);
  assert.match(why(plain) ?? "", /plain packets/);
});
