import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey, testRotation, testSnapshot } from "../../../test/support/fleet-snapshot.js";
import type { Report } from "../report.js";
import type { FleetRecord, RotationRecord } from "./record.js";
import { summarizeFleet, type FleetSummary } from "./summary.js";

const [seven, eight, nine] = [testKey(7), testKey(8), testKey(9)];

/** What a node reports at each step of a rotation from 7 to 8. */
const at = {
  staging: { available: [seven, eight], holds: [seven] },
  waiting: { available: [seven, eight], holds: [seven], waitingFor: eight, waitingMs: 1_000 },
  staged: { available: [seven, eight], holds: [seven, eight] },
  switched: sendingEight([seven, eight]),
  retired: sendingEight([eight]),
} satisfies Record<string, Partial<Report>>;

function sendingEight(holds: Report["holds"]): Partial<Report> {
  return {
    available: [seven, eight],
    holds,
    sendingOldest: eight.keyId,
    sendingNewest: eight.keyId,
  };
}

type Step = keyof typeof at;

/** A fleet whose nodes are at these steps, in order. */
function rotating(
  steps: readonly Step[],
  fleet: Partial<FleetRecord>,
  rotation: RotationRecord | null = null,
): FleetSummary {
  return summarizeFleet(
    testSnapshot({
      nodes: steps.length,
      current: seven,
      report: (index) => at[steps[index - 1] ?? "staged"],
      fleet: { target: eight, ...fleet },
      rest: { rotation },
    }),
  );
}

function whyOf(summary: FleetSummary): readonly string[] {
  return summary.exceptions.map(({ node, why }) => `${node}: ${why}`);
}

test("summary: a steady fleet has no exceptions and nothing left to do", () => {
  const summary = summarizeFleet(testSnapshot({ nodes: 3, current: seven }));
  assert.equal(summary.phase, "steady");
  assert.deepEqual(summary.current, seven);
  assert.equal(summary.target, null);
  assert.equal(summary.timeLeftMs, null);
  assert.deepEqual(summary.exceptions, []);
  assert.equal(summary.offered, null);
  assert.deepEqual([summary.nodes, summary.counted, summary.steps.retired], [3, 3, 3]);
});

test("summary: a fleet that nobody wrote a record for has no key, and says who offers one", () => {
  const report = (): Partial<Report> => ({ holds: [], sendingOldest: null, sendingNewest: null });
  const summary = summarizeFleet(
    testSnapshot({ nodes: 2, current: seven, report, rest: { fleet: null } }),
  );
  assert.equal(summary.current, null);
  assert.deepEqual(summary.offered, { key: seven, nodes: 2 });
  assert.deepEqual(
    summary.rows.map(({ step }) => step),
    ["joining", "joining"],
  );
});

test("summary: nodes are counted at least as far as they have come", () => {
  const summary = rotating(["waiting", "staging", "staged", "switched", "retired"], {
    phase: "staged",
  });
  const { waiting, staged, switched, retired } = summary.steps;
  assert.deepEqual(
    { waiting, staged, switched, retired },
    { waiting: 1, staged: 3, switched: 2, retired: 1 },
  );
  assert.deepEqual(
    summary.rows.map(({ step }) => step),
    ["waiting", "staging", "staged", "switched", "retired"],
  );
});

test("summary: a fleet of one has switched as soon as it has staged: it sends to nobody", () => {
  const summary = summarizeFleet(
    testSnapshot({
      nodes: 1,
      current: seven,
      report: () => ({ holds: [seven, eight], sendingOldest: null, sendingNewest: null }),
      fleet: { phase: "staged", target: eight },
    }),
  );
  assert.equal(summary.steps.switched, 1);
});

test("summary: who is behind is an exception once most are not, since the phase began", () => {
  const running = testRotation(3, seven, eight);
  const most = rotating(["staged", "staged", "staging"], { phase: "staging" }, running);
  assert.deepEqual(most.exceptions, [{ node: "node-3", why: "stages", forMs: 2_000 }]);
  const few = rotating(["staged", "staging", "staging"], { phase: "staging" }, running);
  assert.deepEqual(few.exceptions, []);
});

test("summary: in a rotation that takes too long, everybody who is behind is late", () => {
  const running = { ...testRotation(3, seven, eight), startedAt: "-9000" };
  const summary = rotating(["staged", "staging", "staging"], { phase: "staging" }, running);
  assert.equal(summary.timeLeftMs, 0);
  assert.deepEqual(whyOf(summary), ["node-2: stages", "node-3: stages"]);
});

test("summary: a jitter wait is no delay", () => {
  const summary = rotating(["staged", "staged", "waiting"], { phase: "staging" });
  assert.deepEqual(summary.exceptions, []);
  assert.equal(summary.steps.waiting, 1);
});

test("summary: time left is the estimate less the time gone; none while aborting", () => {
  const running = testRotation(3, seven, eight);
  assert.equal(rotating(["staged"], { phase: "staging" }, running).timeLeftMs, 3_000);
  assert.equal(rotating(["staged"], { phase: "aborting" }, running).timeLeftMs, null);
  const other = testRotation(2, seven, eight);
  assert.equal(rotating(["staged"], { phase: "staging" }, other).timeLeftMs, null);
});

test("summary: a clock that makes no sense gives no times", () => {
  const running = { ...testRotation(3, seven, eight), startedAt: "yesterday" };
  assert.equal(rotating(["staged"], { phase: "staging" }, running).timeLeftMs, null);
});

const faults: readonly (readonly [string, Partial<Report> | null, RegExp])[] = [
  ["no report", null, /has not reported/],
  [
    "a report of an older incarnation",
    { incarnationId: "b".repeat(32) as never },
    /has not reported/,
  ],
  [
    "other bytes under the key id",
    { available: [testKey(7, "x")] },
    /key id 7 of node node-2 has other bytes/,
  ],
  ["a key file without the key", { available: [testKey(6)] }, /its key file does not offer key 7/],
  ["no SAs yet", { holds: [] }, /joins: does not hold key 7 yet/],
  ["nothing sent yet", { sendingOldest: null, sendingNewest: null }, /sends to no peer yet/],
];

for (const [name, change, expected] of faults) {
  test(`summary: in a steady fleet, ${name} is an exception`, () => {
    const report = (index: number): Partial<Report> | null => (index === 2 ? change : {});
    const { exceptions } = summarizeFleet(testSnapshot({ nodes: 3, current: seven, report }));
    assert.equal(exceptions.length, 1);
    assert.equal(exceptions[0]?.node, "node-2");
    assert.match(exceptions[0]?.why ?? "", expected);
  });
}

test("summary: an ended lease is an exception; leases that could not be read are not", () => {
  const snapshot = testSnapshot({ nodes: 2, current: seven });
  const leases = new Map([...(snapshot.leases ?? [])].slice(0, 1));
  assert.deepEqual(whyOf(summarizeFleet({ ...snapshot, leases })), [
    "node-2: no sign of life: its lease ended",
  ]);
  const unread = summarizeFleet({ ...snapshot, leases: null });
  assert.deepEqual(unread.exceptions, []);
  assert.deepEqual(
    unread.rows.map(({ lease }) => lease),
    ["unknown", "unknown"],
  );
});

test("summary: an excluded node is named and does not count", () => {
  const snapshot = testSnapshot({ nodes: 3, current: seven });
  const { name, incarnationId } =
    [...snapshot.roster.entries.values()][2] ?? assert.fail("three nodes");
  const fleet = {
    ...(snapshot.fleet ?? assert.fail("a record")),
    excluded: [{ name, incarnationId }],
  };
  const summary = summarizeFleet({ ...snapshot, fleet });
  assert.deepEqual([summary.nodes, summary.counted], [3, 2]);
  assert.match(whyOf(summary).join(), /^node-3: excluded/);
  assert.equal(summary.rows[2]?.step, "excluded");
});

test("summary: one exception for a node, the one that must be mended first", () => {
  const report = (index: number): Partial<Report> =>
    index === 2 ? { available: [testKey(7, "x")], holds: [] } : {};
  const snapshot = testSnapshot({ nodes: 3, current: seven, report });
  assert.match(whyOf(summarizeFleet({ ...snapshot, leases: new Map() })).join("\n"), /other bytes/);
  assert.equal(summarizeFleet(snapshot).exceptions.length, 1);
});

test("summary: a newer key that files offer is named, unless it was refused", () => {
  const report = (index: number): Partial<Report> =>
    index === 1 ? {} : { available: [seven, eight] };
  const offering = testSnapshot({ nodes: 3, current: seven, report });
  assert.deepEqual(summarizeFleet(offering).offered, { key: eight, nodes: 2 });
  const refused = testSnapshot({ nodes: 3, current: seven, report, fleet: { refused: [eight] } });
  assert.equal(summarizeFleet(refused).offered, null);
});

test("summary: an abort counts who refused the key and who is back", () => {
  const steps: readonly Partial<Report>[] = [
    { holds: [seven, eight] },
    { holds: [seven, eight], refused: [eight] },
    { holds: [seven], refused: [eight] },
  ];
  const report = (index: number): Partial<Report> => steps[index - 1] ?? {};
  const fleet = { phase: "aborting", target: eight } as const;
  const summary = summarizeFleet(testSnapshot({ nodes: 3, current: seven, report, fleet }));
  assert.deepEqual([summary.steps.refused, summary.steps.reverted], [2, 1]);
  assert.deepEqual(whyOf(summary), ["node-1: has not gone back to the old key"]);
});

test("summary: the last rotation says how it went", () => {
  const record = { ...testRotation(3, seven, eight), endedAt: "-500", outcome: "done" } as const;
  const summary = summarizeFleet(
    testSnapshot({ nodes: 2, current: eight, rest: { rotation: record } }),
  );
  assert.equal(summary.lastRotation?.endedForMs, 500);
  assert.equal(summary.lastRotation?.durationMs, 1_500);
});

test("summary: losses of the last retirement come from the nodes' own reports", () => {
  const report = (index: number): Partial<Report> => ({
    retired: { key: seven, forced: index === 1, errors: 2 },
  });
  const summary = summarizeFleet(testSnapshot({ nodes: 3, current: eight, report }));
  assert.deepEqual(summary.lastRetire, { forcedRetires: 1, errors: 6 });
});

const pairwise: readonly (readonly [string, readonly Step[], FleetRecord["phase"]])[] = [
  ["somebody stages", ["staged", "staging"], "staging"],
  ["somebody waits", ["waiting", "waiting"], "staging"],
  ["somebody still sends with the old key", ["staged", "switched"], "staged"],
  ["everybody sends only with the new key", ["switched", "switched"], "draining"],
  ["somebody has retired the old key", ["switched", "retired"], "draining"],
];

for (const [name, steps, phase] of pairwise) {
  test(`summary: pairwise, the phase is ${phase} while ${name}`, () => {
    const report = (index: number): Partial<Report> => at[steps[index - 1] ?? "staged"];
    const rest = { coordination: "pairwise", fleet: null } as const;
    const summary = summarizeFleet(testSnapshot({ nodes: 2, current: seven, report, rest }));
    assert.equal(summary.phase, phase);
    assert.deepEqual([summary.current, summary.target, summary.rotation], [seven, eight, null]);
  });
}

function pairwiseOf(report: (index: number) => Partial<Report> | null, nodes = 2): FleetSummary {
  const rest = { coordination: "pairwise", fleet: null } as const;
  return summarizeFleet(testSnapshot({ nodes, current: seven, report, rest }));
}

test("summary: pairwise, a rotation is over when nobody holds the old key", () => {
  const summary = pairwiseOf(() => at.retired);
  assert.deepEqual([summary.phase, summary.current, summary.target], ["steady", eight, null]);
  assert.deepEqual(summary.exceptions, []);
});

test("summary: pairwise, a node that joins a steady fleet is an exception and no rotation", () => {
  const joining = { holds: [], sendingOldest: null, sendingNewest: null };
  const summary = pairwiseOf((index) => (index === 3 ? joining : {}), 3);
  assert.deepEqual([summary.phase, summary.current, summary.target], ["steady", seven, null]);
  assert.deepEqual(whyOf(summary), ["node-3: joins: does not hold key 7 yet"]);
});

test("summary: pairwise, the first key of a fleet is taken up from none", () => {
  const fresh = { holds: [], sendingOldest: null, sendingNewest: null };
  const summary = pairwiseOf(() => fresh);
  assert.deepEqual([summary.phase, summary.current, summary.target], ["staging", null, seven]);
});

test("summary: pairwise, a refused key is on its way out as long as somebody holds it", () => {
  const refusing = { ...at.staged, refused: [eight] };
  const out = pairwiseOf((index) => (index === 1 ? refusing : at.staged));
  assert.deepEqual([out.phase, out.current, out.target], ["aborting", seven, eight]);
  const gone = { available: [seven, eight], holds: [seven], refused: [eight] };
  const back = pairwiseOf(() => gone);
  assert.deepEqual([back.phase, back.current, back.target], ["steady", seven, null]);
});

test("summary: pairwise, of two newer keys the newest is the target", () => {
  const ahead = { available: [seven, nine], holds: [seven, nine] };
  const summary = pairwiseOf((index) => (index === 3 ? ahead : at.staged), 4);
  assert.deepEqual([summary.current, summary.target], [seven, nine]);
});

test("summary: pairwise, the ring wraps: key 1 comes after 255", () => {
  const [last, first] = [testKey(255), testKey(1)];
  const report = (): Partial<Report> => ({
    available: [last, first],
    holds: [last, first],
    sendingOldest: last.keyId,
  });
  const rest = { coordination: "pairwise", fleet: null } as const;
  const summary = summarizeFleet(testSnapshot({ nodes: 2, current: last, report, rest }));
  assert.deepEqual([summary.current, summary.target], [last, first]);
});

/** Three nodes in a fleet that goes from prefer to require; the second is still at accept. */
function closing(askedAt: string, changes: Partial<FleetRecord> = {}): FleetSummary {
  const asked = { by: "somebody", at: askedAt, reason: "audit" };
  const levels = { level: "prefer", wanted: "require", applied: false, asked } as const;
  const report = (index: number): Partial<Report> => ({
    level: { applied: index === 2 ? "accept" : "prefer", sendsPlain: false },
  });
  return summarizeFleet(testSnapshot({ nodes: 3, current: seven, report, fleet: { levels, ...changes } }));
}

test("summary: a level that moves, who has applied it, and who has not", () => {
  const summary = closing("-2000");
  assert.deepEqual(summary.level, {
    level: "prefer",
    wanted: "require",
    appliedBy: 2,
    isSettled: false,
    why: null,
    asked: { by: "somebody", reason: "audit", forMs: 2_000 },
  });
  assert.deepEqual(whyOf(summary), ["node-2: has not applied level prefer"]);
  assert.deepEqual(summary.rows.map(({ level }) => level), ["prefer", "accept", "prefer"]);
});

test("summary: right after a step everybody is behind, and nobody late", () => {
  assert.deepEqual(whyOf(closing("-2000", { exclusionEpoch: 1 })), []);
  assert.equal(whyOf(closing("-20000", { exclusionEpoch: 1 })).length, 3);
});

test("summary: a level waits for a rotation, and for a first key", () => {
  assert.equal(closing("-2000", { phase: "staging", target: eight }).level?.why, "a rotation runs");
  const asked = { by: "somebody", at: "-1", reason: "" };
  const levels = { level: "accept", wanted: "require", applied: false, asked } as const;
  const report = (): Partial<Report> => ({ level: { applied: "accept", sendsPlain: false } });
  const keyless = summarizeFleet(testSnapshot({ nodes: 2, current: seven, report, fleet: { current: null, levels } }));
  assert.match(keyless.level?.why ?? "", /key file/);
});

test("summary: a fleet that nobody asked for a level has none", () => {
  assert.equal(summarizeFleet(testSnapshot({ nodes: 1, current: seven })).level, null);
});
