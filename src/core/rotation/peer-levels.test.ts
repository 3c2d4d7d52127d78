/** Levels of strictness with plain packets: what each installs, and that none changes what is held or claimed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testKey } from "../../../test/support/fleet-snapshot.js";
import {
  describe,
  makeContext,
  peer,
  policiesOf,
  recordOf,
  sasOf,
  selecting,
} from "../../../test/support/peer-states.js";
import type { Report } from "../report.js";
import type { Context } from "./context.js";
import type { HeldPolicy, HeldSa } from "./held.js";
import type { PeerInputs } from "./path-view.js";
import { evaluatePeer } from "./peer.js";
import { is, type FactName } from "./peer-facts.js";
import { planPeer, stageNames } from "./peer-plan.js";

const [one, two] = [testKey(1), testKey(2)];
const rotating: Partial<Context> = { next: two, hold: [one, two], candidates: [two, one] };
const report: Report = { ...steadyReport(2, one), holds: [one, two] };
const plain: readonly HeldPolicy[] = [...policiesOf("out", { kind: "pass" }), ...policiesOf("in", { kind: "accept-any" })];
const both = (...keys: readonly (typeof one)[]): readonly HeldSa[] =>
  keys.flatMap((key) => [...sasOf("in", key), ...sasOf("out", key)]);

interface Case {
  readonly name: string;
  readonly context: Partial<Context>;
  readonly inputs: Partial<PeerInputs>;
  readonly plan: readonly string[];
  readonly facts?: Partial<Record<FactName, boolean>>;
}

const cases: readonly Case[] = [
  {
    name: "accept: a fresh peer is sent to plainly, and either kind is taken",
    context: { level: "accept" },
    inputs: {},
    plan: ["policy out pass", "install in 1", "policy in accept-any"],
    facts: { blocked: true, missingCurrent: true },
  },
  {
    name: "accept: a covered peer gets its outbound SA, so that the next level finds it there",
    context: { level: "accept" },
    inputs: { report, kernel: { sas: sasOf("in", one), policies: plain } },
    plan: ["install out 1"],
    facts: { covered: true },
  },
  {
    name: "accept: what counts as sent with is what could be sent with",
    context: { level: "accept" },
    inputs: { report, recorded: recordOf([one]), kernel: { sas: both(one), policies: plain } },
    plan: [],
    facts: { onCurrent: true },
  },
  {
    name: "accept: in a rotation that is the old key until the new one could be sent with",
    context: { ...rotating, level: "accept" },
    inputs: { report, recorded: recordOf([one]), kernel: { sas: [...both(one), ...sasOf("in", two)], policies: plain } },
    plan: ["install out 2"],
    facts: { onCurrent: true, missingNext: false },
  },
  {
    name: "accept: and then the new one",
    context: { ...rotating, level: "accept" },
    inputs: { report, recorded: recordOf([one, two]), kernel: { sas: both(one, two), policies: plain } },
    plan: [],
    facts: { onNext: true },
  },
  {
    name: "accept: after an abort it is the old one again",
    context: { ...rotating, level: "accept", candidates: [one], refused: [two] },
    inputs: { report, recorded: recordOf([one, two]), kernel: { sas: both(one, two), policies: plain } },
    plan: [],
    facts: { onCurrent: true },
  },
  {
    name: "accept after prefer: one update, and what is taken stays",
    context: { level: "accept" },
    inputs: {
      report,
      recorded: recordOf([one]),
      kernel: { sas: both(one), policies: [...selecting(one), ...policiesOf("in", { kind: "accept-any" })] },
    },
    plan: ["policy out pass"],
  },
  {
    name: "prefer: a peer that is not covered is sent to plainly",
    context: { level: "prefer" },
    inputs: {},
    plan: ["policy out pass", "install in 1", "policy in accept-any"],
    facts: { blocked: true },
  },
  {
    name: "prefer after accept: one update switches to the key",
    context: { level: "prefer" },
    inputs: { report, recorded: recordOf([one]), kernel: { sas: both(one), policies: plain } },
    plan: ["policy out key 1"],
  },
  {
    name: "require after prefer: plain packets are no longer taken, and no key is un-held",
    context: { level: "require" },
    inputs: {
      report,
      recorded: recordOf([one]),
      kernel: { sas: both(one), policies: [...selecting(one), ...policiesOf("in", { kind: "accept-any" })] },
    },
    plan: ["policy in accept"],
    facts: { onCurrent: true, missingCurrent: false },
  },
  {
    name: "off: what there is goes, policies first",
    context: { level: "off", current: null, hold: [], candidates: [] },
    inputs: { report, recorded: recordOf([one]), kernel: { sas: both(one), policies: plain } },
    plan: ["delete policy out", "delete policy in", "delete in 1", "delete out 1"],
  },
  {
    name: "off: and there is nothing to do then",
    context: { level: "off", current: null, hold: [], candidates: [] },
    inputs: { report },
    plan: [],
    facts: { plain: false },
  },
  {
    name: "prefer, closing: a pair that carries nothing yet begins as at require",
    context: { level: "prefer", isClosing: true },
    inputs: {},
    plan: ["policy out block", "install in 1", "policy in accept"],
    facts: { plain: false },
  },
  {
    name: "prefer, closing: one that becomes covered is never plain on its way to the key",
    context: { level: "prefer", isClosing: true },
    inputs: { report, kernel: { sas: sasOf("in", one), policies: [...policiesOf("out", { kind: "block" }), ...policiesOf("in", { kind: "accept-any" })] } },
    plan: ["install out 1"],
    facts: { covered: true, plain: false },
  },
  {
    name: "prefer, closing: one that goes plain stays so until it is covered",
    context: { level: "prefer", isClosing: true },
    inputs: { kernel: { sas: sasOf("in", one), policies: plain } },
    plan: [],
    facts: { plain: true },
  },
  {
    name: "prefer, closing: a covered one is encrypted, and plain packets are taken until require",
    context: { level: "prefer", isClosing: true },
    inputs: { report, recorded: recordOf([one]), kernel: { sas: both(one), policies: plain } },
    plan: ["policy out key 1"],
  },
  {
    name: "require after prefer: a peer that is not covered is blocked",
    context: { level: "require" },
    inputs: { kernel: { sas: sasOf("in", one), policies: plain } },
    plan: ["policy out block", "policy in accept"],
    facts: { blocked: true, missingCurrent: false },
  },
];

for (const { name, context, inputs, plan, facts = {} } of cases) {
  test(`policy level ${name}`, () => {
    const all: PeerInputs = { entry: peer, kernel: { sas: [], policies: [] }, report: undefined, recorded: undefined, proofs: [], ...inputs };
    const { facts: found } = evaluatePeer(makeContext(context), all);
    const stages = planPeer(makeContext(context), all);
    assert.deepEqual(stageNames.flatMap((stage) => stages[stage]).map(describe), plan);
    assert.equal(is(found, "work"), plan.length > 0);
    for (const [fact, value] of Object.entries(facts)) assert.equal(is(found, fact as FactName), value, fact);
  });
}
