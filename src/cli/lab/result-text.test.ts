import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabReport, PacketReport, RotationReport } from "../../lab/report.js";
import { captureTerminal } from "../../../test/support/terminal.js";
import { comparedRuns, isAsCompared } from "./compare.js";
import { describeComparison, describeReport } from "./result-text.js";
import { labDefaults } from "../../lab/options.js";

const none: PacketReport = { sent: 4_300, received: 4_300, lost: 0, lostByReason: {} };
const lossy: PacketReport = {
  sent: 4_300,
  received: 4_072,
  lost: 228,
  lostByReason: { "inbound no_state": 228 },
};

function rotation(packets: PacketReport): RotationReport {
  const registry = {
    writes: 33,
    watchEvents: 49,
    writesByClass: { reports: 33 },
    leaseRenewals: 2,
  };
  return {
    keyId: 2,
    stagedMs: 2_090,
    switchedMs: 2_120,
    retiredMs: 3_210,
    durationMs: 3_250,
    forcedRetires: 0,
    packets,
    registry,
    stuck: null,
  };
}

function report(changes: Partial<LabReport> = {}, packets = none): LabReport {
  const { registry } = rotation(packets);
  return {
    schemaVersion: 1,
    nodes: 5,
    coordination: "barrier",
    order: "stage-first",
    seed: 7,
    slowNode: "node-3",
    slowNodeMs: 2_000,
    rate: 50,
    directory: null,
    rotations: [rotation(packets)],
    packets,
    registry: { ...registry, peakEventsPerSecond: 33 },
    losses: [],
    counters: {},
    dataplane: "userspace",
    ipv6: false,
    encapsulation: "udp",
    ipsecMode: "transport",
    counted: null,
    bulk: null,
    validity: { sentShare: 0.998, problems: [] },
    ok: packets.lost === 0,
    ...changes,
  };
}

function today(changes: Partial<LabReport> = {}): LabReport {
  const losses = [
    {
      node: "node-3",
      reason: "inbound no_state",
      packets: 228,
      rotationKeyId: 2,
      firstMs: 150,
      lastMs: 2_060,
      worstPair: { from: "node-4", to: "node-3", packets: 97 },
      cause: "node-3 advertised key 2 at +0.09 s",
    },
  ];
  const order = { coordination: "pairwise", order: "advertise-first" } as const;
  return report({ ...order, losses, ...changes }, lossy);
}

test("lab text: a run without loss is one row, the totals, and what to try next", () => {
  const text = describeReport(report(), captureTerminal(), false);
  assert.match(text, /^KEY +STAGED +SWITCHED +RETIRED +SENT +RECEIVED +LOST +WRITES\/NODE/);
  assert.match(text, /\n +2 +2\.09 s +2\.12 s +3\.21 s +4,300 +4,300 +0 +6\.6 +49 +0\n/);
  assert.match(
    text,
    /4,300 packets sent \(99\.8 % of the packets planned\), 4,300 received, 0 lost/,
  );
  assert.match(text, /hitless: nothing was lost/);
  assert.match(text, /spindle lab --seed 7/);
  assert.doesNotMatch(text, /Where, when and why/);
});

test("lab text: losses are named with node, reason, time, worst pair and cause", () => {
  const text = describeReport(today(), captureTerminal(), false);
  assert.match(text, /Where, when and why 228 packets were lost \(today's order\)/);
  assert.match(text, /node-3: 228 inbound no_state, from \+0\.15 s to \+2\.06 s/);
  assert.match(text, /worst pair node-4 to node-3 \(97\)/);
  assert.match(text, /because node-3 advertised key 2 at \+0\.09 s/);
  assert.match(text, /not hitless/);
});

test("lab text: a run that proves nothing says why instead of a verdict", () => {
  const validity = { sentShare: 0.5, problems: ["the machine was too slow: 50.0 % sent"] };
  const text = describeReport(report({ validity, ok: false }), captureTerminal(), false);
  assert.match(text, /this run proves nothing: the machine was too slow: 50\.0 % sent/);
  assert.doesNotMatch(text, /hitless/);
});

test("lab text: wide shows who was written to; a kept directory is named", () => {
  const text = describeReport(report({ directory: "/tmp/x" }), captureTerminal(), true);
  assert.match(text, /WRITES BY CLASS/);
  assert.match(text, /reports 33/);
  assert.match(text, /Kept: \/tmp\/x/);
});

test("lab text: a comparison puts both runs in one table", () => {
  const text = describeComparison(today(), report(), captureTerminal(), false);
  assert.match(text, /\ntoday's order +2 .*228 inbound no_state/);
  assert.match(text, /\nspindle \(barrier\) +2 .* 0 /);
  assert.match(text, /Stage first lost none/);
});

const comparisons: readonly {
  readonly name: string;
  readonly today: LabReport;
  readonly ours: LabReport;
  readonly holds: boolean;
}[] = [
  { name: "losses for lack of a state, then none", today: today(), ours: report(), holds: true },
  { name: "nothing lost in either", today: report(), ours: report(), holds: false },
  {
    name: "losses for another reason",
    today: today({
      packets: { ...lossy, lostByReason: { "inbound no_state": 1, unaccounted: 1 } },
    }),
    ours: report(),
    holds: false,
  },
  {
    name: "a first run that proves nothing",
    today: today({ validity: { sentShare: 0.1, problems: ["too slow"] } }),
    ours: report(),
    holds: false,
  },
  { name: "losses in ours", today: today(), ours: report({}, lossy), holds: false },
  { name: "ours not ok", today: today(), ours: report({ ok: false }), holds: false },
];

for (const { name, today: first, ours, holds } of comparisons) {
  test(`lab compare: ${name} ${holds ? "is" : "is not"} what it should show`, () => {
    assert.equal(isAsCompared(first, ours), holds);
  });
}

test("lab compare: both runs have the same slow node, and today's order one rotation", () => {
  const runs = comparedRuns({ ...labDefaults, seed: 3 });
  assert.equal(runs.today.slowNodeMs, runs.ours.slowNodeMs);
  assert.ok(runs.today.slowNodeMs > 0);
  assert.equal(runs.today.seed, runs.ours.seed);
  assert.equal(runs.today.rotations, 1);
  assert.deepEqual([runs.today.order, runs.ours.order], ["advertise-first", "stage-first"]);
});
