import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey, testRotation, testSnapshot } from "../../../test/support/fleet-snapshot.js";
import { ManualClock } from "../../../test/support/manual-clock.js";
import { captureTerminal } from "../../../test/support/terminal.js";
import { summarizeFleet, type FleetSummary } from "../../core/fleet/summary.js";
import type { Report } from "../../core/report.js";
import { drawBar, progressLines } from "./progress-text.js";
import { makeAges } from "./seen-since.js";
import { formatSeconds, formatSummary, summaryJson } from "./summary-text.js";

const [seven, eight] = [testKey(7), testKey(8)];

/** Three nodes in the second second of rotation 3; the last has not staged. */
function staging(): FleetSummary {
  const report = (index: number): Partial<Report> => ({
    available: [seven, eight],
    holds: index < 3 ? [seven, eight] : [seven],
  });
  const fleet = { phase: "staging", target: eight } as const;
  const rest = { rotation: testRotation(3, seven, eight) };
  return summarizeFleet(testSnapshot({ nodes: 3, current: seven, report, fleet, rest }));
}

function steady(changes: Partial<FleetSummary> = {}): FleetSummary {
  const record = {
    ...testRotation(3, testKey(6), seven),
    outcome: "done",
    endedAt: "-500",
  } as const;
  const snapshot = testSnapshot({ nodes: 3, current: seven, rest: { rotation: record } });
  return { ...summarizeFleet(snapshot), ...changes };
}

function text(summary: FleetSummary, all = false, wide = false): string {
  return formatSummary(summary, { stream: captureTerminal(), all, wide });
}

test("status: a fleet that is well is one line", () => {
  assert.equal(text(steady()), "steady on key 7 · 3 nodes · rotation 3 done 1s ago, took 1.5s");
});

test("status: a rotation is one line with the time left, then who holds it up", () => {
  assert.equal(
    text(staging()),
    [
      "staging key 7 → 8 · 2 of 3 nodes staged · rotation 3 · about 3s left",
      "",
      "NODE    WHY     FOR",
      "node-3  stages  2s",
    ].join("\n"),
  );
});

test("status: --all adds every node, -o wide the rest of what is known of it", () => {
  const [table, wide] = [text(staging(), true), text(staging(), true, true)];
  assert.equal(
    table.split("\n\n").at(-1),
    [
      "NODE    STEP     HOLDS  SENDS WITH  LEASE",
      "node-1  staged   7 8    7           alive",
      "node-2  staged   7 8    7           alive",
      "node-3  staging  7      7           alive",
    ].join("\n"),
  );
  assert.match(wide, /LEASE +INDEX +INCARNATION +LEVEL +THROUGH\n/);
});

test("status: how long is shown where it is known", () => {
  const [straggler = assert.fail()] = staging().exceptions;
  const untimed = { ...straggler, forMs: null };
  assert.match(text(steady({ exceptions: [untimed] })), /\n\nNODE +WHY\nnode-3 +stages$/);
  assert.match(
    text(steady({ exceptions: [straggler] })),
    /\n\nNODE +WHY +FOR\nnode-3 +stages +2s$/,
  );
});

test("status: who keeps watching knows how long an exception is there at least", () => {
  const clock = new ManualClock();
  const fillAges = makeAges(clock);
  const [straggler = assert.fail()] = staging().exceptions;
  const summary = steady({ exceptions: [straggler, { ...straggler, why: "other", forMs: null }] });
  const ages = (): readonly (number | null)[] =>
    fillAges(summary).exceptions.map(({ forMs }) => forMs);
  assert.deepEqual(ages(), [2_000, 0]);
  clock.advance(3_000);
  assert.deepEqual(ages(), [2_000, 3_000]);
  fillAges(steady());
  clock.advance(1_000);
  assert.deepEqual(ages(), [2_000, 0]);
});

const notes: readonly (readonly [string, Partial<FleetSummary>, RegExp])[] = [
  [
    "an offered key",
    { offered: { key: eight, nodes: 2 } },
    /\n\nkey 8 is offered by 2 of 3 nodes; no rotation has started$/,
  ],
  [
    "a rotation that waits for its key",
    { awaited: { by: "ann@host", reason: "quarterly", keyId: eight.keyId, problem: null, forMs: 1 }, offered: { key: eight, nodes: 2 } },
    /\n\nrotation by ann@host \(quarterly\) waits for its key: key 8 is written; 2 of 3 nodes offer it$/,
  ],
  [
    "what keeps a key from being written",
    { awaited: { by: "ann@host", reason: "quarterly", keyId: null, problem: { code: "SECRET_IMMUTABLE", why: "no" }, forMs: 1 } },
    /waits for its key: the controller could not write the next key, and tries again: SECRET_IMMUTABLE: no$/,
  ],
  [
    "a request",
    { request: { kind: "abort", by: "ann@host", reason: "wrong key" } },
    /\n\nrequest to abort by ann@host: wrong key$/,
  ],
  [
    "forced retires",
    { lastRetire: { forcedRetires: 2, errors: 5 } },
    /\n\nthe last key went with 2 forced retires and 5 packet errors$/,
  ],
  ["an emergency", { emergency: true }, /^emergency: steady on key 7/],
  ["excluded nodes", { counted: 2 }, /^steady on key 7 · 2 nodes, 1 excluded/],
  ["a late rotation", { timeLeftMs: 0 }, / · longer than estimated$/],
  ["a fleet without a key", { current: null, lastRotation: null }, /^no key yet · 3 nodes/],
];

for (const [name, changes, expected] of notes) {
  test(`status: ${name} is told`, () => assert.match(text(steady(changes)), expected));
}

test("status: a long list of exceptions is cut, and says so; --all shows it whole", () => {
  const exceptions = Array.from({ length: 25 }, (_, index) => {
    return { ...(staging().exceptions[0] ?? assert.fail()), why: `reason ${index}` };
  });
  assert.match(text(steady({ exceptions })), /reason 19 .*\nand 5 more \(--all shows them\)$/);
  assert.match(text(steady({ exceptions }), true), /reason 24/);
});

test("status: JSON has the rows only where they were asked for", () => {
  const [short, long] = [summaryJson(staging(), false), summaryJson(staging(), true)];
  assert.equal("rows" in short, false);
  assert.equal("rows" in long, true);
  const names =
    "schemaVersion,coordination,phase,phaseForMs,rotation,emergency,current,target,nodes,counted,";
  const rest = "steps,offered,awaited,timeLeftMs,level,exceptions,request,lastRotation,lastRetire";
  assert.equal(Object.keys(short).join(), names + rest);
});

test("progress: a terminal sees a bar for each step and the stragglers by name", () => {
  const lines = progressLines(staging(), captureTerminal(true)).map(plain);
  assert.deepEqual(lines, [
    "staging key 7 → 8 · rotation 3 · about 3s left",
    "  staged    ████████████████░░░░░░░░ 2/3",
    "  switched  ░░░░░░░░░░░░░░░░░░░░░░░░ 0/3",
    "  retired   ░░░░░░░░░░░░░░░░░░░░░░░░ 0/3",
    "  node-3 stages, for 2s",
  ]);
});

/** Without colours, whatever the environment of the test says about them. */
function plain(line: string): string {
  return line.replaceAll(/\u001b\[\d+m/g, "");
}

test("progress: without a terminal, words instead of bars, and five stragglers at most", () => {
  const [straggler = assert.fail()] = staging().exceptions;
  const summary = { ...staging(), exceptions: Array.from({ length: 7 }, () => straggler) };
  const lines = progressLines(summary, captureTerminal(false));
  assert.match(lines[0] ?? "", /2 of 3 nodes staged/);
  assert.equal(lines.length, 1 + 5 + 1);
  assert.equal(lines.at(-1), "  and 2 more");
});

test("progress: an abort shows who refused the key and who is back", () => {
  const steps = { ...staging().steps, refused: 3, reverted: 1 };
  const lines = progressLines(
    { ...staging(), phase: "aborting", steps },
    captureTerminal(true),
  ).map(plain);
  assert.match(lines[0] ?? "", /^aborting back to key 7/);
  assert.deepEqual(lines.slice(1, 3), [
    "  refused   ████████████████████████ 3/3",
    "  back      ████████░░░░░░░░░░░░░░░░ 1/3",
  ]);
});

test("progress: a bar is full only when everybody is there", () => {
  assert.equal(drawBar(0), "░".repeat(24));
  assert.equal(drawBar(0.999), `${"█".repeat(23)}░`);
  assert.equal(drawBar(1), "█".repeat(24));
});

test("status: times are whole seconds, at least one", () => {
  assert.deepEqual([0, 499, 1_499, 1_500, 90_400].map(formatSeconds), [
    "1s",
    "1s",
    "1s",
    "2s",
    "1m 30s",
  ]);
});

test("status: a level that moves is in the line, and what it waits for besides nodes below it", () => {
  const asked = { by: "me", reason: "audit", forMs: 1_000 };
  const moving = { level: "prefer", wanted: "require", appliedBy: 2, isSettled: false, why: null, asked } as const;
  assert.match(text(steady({ level: moving })), /3 nodes · level prefer → require, prefer at 2 of 3 · rotation 3/);
  assert.match(text(steady({ level: { ...moving, why: "a rotation runs" } })), /\n\nlevel prefer → require waits: a rotation runs$/);
  const settled = { ...moving, level: "require", appliedBy: 3, isSettled: true } as const;
  assert.match(text(steady({ level: settled })), /3 nodes · level require · rotation 3/);
});

test("progress: a level that moves is one bar", () => {
  const asked = { by: "me", reason: "audit", forMs: 1_000 };
  const level = { level: "prefer", wanted: "require", appliedBy: 2, isSettled: false, why: null, asked } as const;
  const lines = progressLines(steady({ level }), captureTerminal(true));
  assert.match(lines[1] ?? "", /^ {2}prefer .*2\/3$/);
});
