import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testKey } from "../../../test/support/fleet-snapshot.js";
import {
  accepting,
  describe,
  dual,
  dualSelf,
  makeContext,
  peer,
  policiesOf,
  recordOf,
  sasOf,
  selecting,
} from "../../../test/support/peer-states.js";
import type { IncarnationId, RosterEntry } from "../node.js";
import type { Report } from "../report.js";
import type { IncarnationNumber } from "../spi.js";
import type { Context } from "./context.js";
import type { HeldSa } from "./held.js";
import type { PeerInputs } from "./path-view.js";
import { evaluatePeer, type Findings } from "./peer.js";
import { fact, is, type FactName } from "./peer-facts.js";
import { planPeer } from "./peer-plan.js";

const [one, two] = [testKey(1), testKey(2)];
const rotating: Partial<Context> = { next: two, hold: [one, two], candidates: [two, one] };

/** The peer's word that it can receive `keys`, and sends with the first. */
function reportOf(...keys: readonly (typeof one)[]): Report {
  return { ...steadyReport(2, keys[0] ?? one), holds: keys };
}

const reborn: RosterEntry = {
  ...peer,
  incarnationId: "b".repeat(32) as IncarnationId,
  incarnationNumber: 1 as IncarnationNumber,
};
const moved: RosterEntry = { ...peer, addresses: { ...peer.addresses, ipv4: "192.0.2.99" } };

function broken(sas: readonly HeldSa[]): readonly HeldSa[] {
  return sas.map((sa) => ({ ...sa, isIntact: false }));
}

/** Facts as a reader sees them, each bit by its name. */
interface NamedFacts extends Record<FactName, boolean> {
  readonly sentWith: Findings["sentWith"];
  readonly sending: "current" | "next" | "other" | "blocked" | undefined;
}

function named({ facts, sentWith }: Findings): NamedFacts {
  const bits = (Object.keys(fact) as FactName[]).map((name) => [name, is(facts, name)] as const);
  const sending = ([["current", "onCurrent"], ["next", "onNext"], ["other", "onOther"], ["blocked", "blocked"]] as const)
    .filter(([, name]) => is(facts, name));
  assert.equal(sending.length, 1, "one of four");
  return { ...(Object.fromEntries(bits) as Record<FactName, boolean>), sentWith, sending: sending[0]?.[0] };
}

interface Case {
  readonly name: string;
  readonly context?: Partial<Context>;
  readonly inputs: Partial<PeerInputs>;
  /** Stage by stage, those that are not empty. */
  readonly plan: Readonly<Record<string, readonly string[]>>;
  readonly facts?: Partial<NamedFacts>;
}

const steady = { sas: [...sasOf("in", one), ...sasOf("out", one)], policies: [...selecting(one), ...accepting()] };

const cases: readonly Case[] = [
  {
    name: "a fresh peer without evidence is blocked first, and received from",
    inputs: {},
    plan: { block: ["policy out block"], inbound: ["install in 1", "policy in accept"] },
    facts: { sending: "blocked", missingCurrent: true, covered: false, sentWith: [] },
  },
  {
    name: "a fresh peer that is covered gets an outbound SA, and nothing selects it yet",
    inputs: { report: reportOf(one) },
    plan: { block: ["policy out block"], inbound: ["install in 1", "policy in accept"], outbound: ["install out 1"] },
    facts: { covered: true },
  },
  {
    name: "an outbound SA that was read back and is not recorded is not selected",
    inputs: {
      report: reportOf(one),
      kernel: { sas: steady.sas, policies: [...policiesOf("out", { kind: "block" }), ...accepting()] },
    },
    plan: {},
    facts: { sending: "blocked", sentWith: [one], missingCurrent: false },
  },
  {
    name: "once it is recorded, one update switches",
    inputs: {
      report: reportOf(one),
      recorded: recordOf([one]),
      kernel: { sas: steady.sas, policies: [...policiesOf("out", { kind: "block" }), ...accepting()] },
    },
    plan: { switch: ["policy out key 1"] },
  },
  {
    name: "at rest nothing is to do",
    inputs: { report: reportOf(one), recorded: recordOf([one]), kernel: steady },
    plan: {},
    facts: { sending: "current", work: false },
  },
  {
    name: "what is in use goes on without evidence: the peer's report is not of its present life",
    inputs: { recorded: recordOf([one]), kernel: steady },
    plan: {},
    facts: { sending: "current", covered: false },
  },
  {
    name: "next is staged inbound only, and the current key goes on",
    context: rotating,
    inputs: { report: reportOf(one), recorded: recordOf([one]), kernel: steady },
    plan: { inbound: ["install in 2"] },
    facts: { missingNext: true, missingCurrent: false, sending: "current" },
  },
  {
    name: "when the peer holds next, its outbound SA is made beside the old one",
    context: rotating,
    inputs: {
      report: reportOf(one, two),
      recorded: recordOf([one]),
      kernel: { ...steady, sas: [...steady.sas, ...sasOf("in", two)] },
    },
    plan: { outbound: ["install out 2"] },
    facts: { missingNext: false, sending: "current" },
  },
  {
    name: "next is selected only after it was recorded: not yet",
    context: rotating,
    inputs: {
      report: reportOf(one, two),
      recorded: recordOf([one]),
      kernel: { ...steady, sas: [...steady.sas, ...sasOf("in", two), ...sasOf("out", two)] },
    },
    plan: {},
    facts: { sending: "current", sentWith: [one, two] },
  },
  {
    name: "next is selected only after it was recorded: now",
    context: rotating,
    inputs: {
      report: reportOf(one, two),
      recorded: recordOf([one, two]),
      kernel: { ...steady, sas: [...steady.sas, ...sasOf("in", two), ...sasOf("out", two)] },
    },
    plan: { switch: ["policy out key 2"] },
  },
  {
    name: "after a switch both keys stay until retire, and going back adds nothing",
    context: { ...rotating, candidates: [one] },
    inputs: {
      report: reportOf(one, two),
      recorded: recordOf([one, two]),
      kernel: {
        sas: [...steady.sas, ...sasOf("in", two), ...sasOf("out", two)],
        policies: [...selecting(two), ...accepting()],
      },
    },
    plan: { switch: ["policy out key 1"] },
    facts: { sending: "next" },
  },
  {
    name: "a retired key goes, inbound and outbound",
    context: { current: two, hold: [two], candidates: [two] },
    inputs: {
      report: reportOf(two),
      recorded: recordOf([one, two]),
      kernel: {
        sas: [...steady.sas, ...sasOf("in", two), ...sasOf("out", two)],
        policies: [...selecting(two), ...accepting()],
      },
    },
    plan: { delete: ["delete in 1", "delete out 1"] },
  },
  {
    name: "an outbound SA that a policy selects is not deleted in the step that leaves it",
    context: { current: two, hold: [two], candidates: [two] },
    inputs: {
      report: reportOf(two),
      recorded: recordOf([one, two]),
      kernel: { ...steady, sas: [...steady.sas, ...sasOf("in", two), ...sasOf("out", two)] },
    },
    plan: { switch: ["policy out key 2"], delete: ["delete in 1"] },
    facts: { sending: "other" },
  },
  {
    name: "a compromised key that is gone leaves a block behind where nothing else is covered",
    context: { current: one, next: two, hold: [two], candidates: [two] },
    inputs: { recorded: recordOf([one]), kernel: { ...steady, sas: [...steady.sas, ...sasOf("in", two)] } },
    plan: { block: ["policy out block"], delete: ["delete in 1"] },
  },
  {
    name: "a new life of the peer: block first, then make, then delete what is not selected",
    inputs: { entry: reborn, report: reportOf(one), recorded: recordOf([one]), kernel: steady },
    plan: { block: ["policy out block"], inbound: ["install in 1"], delete: ["delete in 1"] },
    facts: { sending: "blocked", covered: false, outboundLost: false },
  },
  {
    name: "a new life in the same slot: the old SA makes room in the same stage",
    inputs: {
      entry: { ...reborn, incarnationNumber: peer.incarnationNumber },
      recorded: recordOf([one]),
      kernel: steady,
    },
    plan: { block: ["policy out block"], inbound: ["delete in 1", "install in 1"] },
  },
  {
    name: "another address: nothing stays at the old one, and the new one begins blocked",
    inputs: { entry: moved, recorded: recordOf([one]), kernel: steady },
    plan: {
      block: ["policy out block"],
      inbound: ["install in 1", "policy in accept"],
      delete: ["delete in 1", "delete policy out", "delete policy in"],
    },
  },
  {
    name: "a departed peer: first nothing may leave to it, then the SAs go",
    inputs: { entry: undefined, kernel: steady },
    plan: { block: ["delete policy out"], delete: ["delete policy in", "delete in 1", "delete out 1"] },
    facts: { live: false, leftovers: true },
  },
  {
    name: "while deletions are held only a key that is not held goes (S5)",
    context: { current: two, hold: [two], mayDelete: false },
    inputs: { entry: undefined, kernel: { ...steady, sas: [...steady.sas, ...sasOf("in", two)] } },
    plan: { delete: ["delete in 1", "delete out 1"] },
    facts: { leftovers: true },
  },
  {
    name: "wrong bytes in our slots are replaced, and never counted as held",
    inputs: {
      report: reportOf(one),
      recorded: recordOf([]),
      kernel: { ...steady, sas: broken(steady.sas), policies: [...policiesOf("out", { kind: "block" }), ...accepting()] },
    },
    plan: { inbound: ["delete in 1", "install in 1"], outbound: ["delete out 1", "install out 1"] },
    facts: { missingCurrent: true, sentWith: [] },
  },
  {
    name: "a recorded outbound SA that is gone is not added again (S4)",
    inputs: {
      report: reportOf(one),
      recorded: recordOf([one]),
      kernel: { sas: [...sasOf("in", one)], policies: [...selecting(one), ...accepting()] },
    },
    plan: { block: ["policy out block"] },
    facts: { outboundLost: true },
  },
  {
    name: "without the bytes of a key nothing is made, and it counts as missing",
    context: { installable: [] },
    inputs: { report: reportOf(one) },
    plan: { block: ["policy out block"], inbound: ["policy in accept"] },
    facts: { missingCurrent: true },
  },
  {
    name: "an inbound SA whose policy is gone receives nothing, so the key is missing",
    inputs: { report: reportOf(one), recorded: recordOf([one]), kernel: { ...steady, policies: selecting(one) } },
    plan: { inbound: ["policy in accept"] },
    facts: { missingCurrent: true },
  },
  {
    name: "no common address family: nothing to do, and nothing sent",
    inputs: { entry: { ...peer, addresses: { ipv4: null, ipv6: "2001:db8::2", udpPort: null } } },
    plan: {},
    facts: { sending: "blocked", missingCurrent: false, sentWith: [] },
  },
];

function inputsOf(inputs: Partial<PeerInputs>): PeerInputs {
  return {
    entry: peer,
    kernel: { sas: [], policies: [] },
    report: undefined,
    recorded: undefined,
    proofs: [],
    ...inputs,
  };
}

/** What is found of a peer, and what is planned for it; the two agree on whether there is something to do. */
function look(context: Context, given: Partial<PeerInputs>): { facts: NamedFacts; plan: Record<string, readonly string[]> } {
  const inputs = inputsOf(given);
  const facts = named(evaluatePeer(context, inputs));
  const stages = Object.entries(planPeer(context, inputs)).filter(([, operations]) => operations.length > 0);
  assert.equal(facts.work, stages.length > 0, "work is what the plan has operations for");
  return { facts, plan: Object.fromEntries(stages.map(([name, operations]) => [name, operations.map(describe)])) };
}

for (const { name, context, inputs, plan, facts } of cases) {
  test(`peer: ${name}`, () => {
    const found = look(makeContext(context), inputs);
    assert.deepEqual(found.plan, plan);
    for (const [name, value] of Object.entries(facts ?? {})) {
      assert.deepEqual(found.facts[name as keyof NamedFacts], value, name);
    }
  });
}

test("peer: two address families are served alike, and the older key of the two counts", () => {
  const context = makeContext({ self: dualSelf });
  assert.deepEqual(look(context, { entry: dual, report: reportOf(one) }).plan, {
    block: ["policy out block", "policy out block"],
    inbound: ["install in 1", "policy in accept", "install in 1", "policy in accept"],
    outbound: ["install out 1", "install out 1"],
  });
  const half = look(context, { entry: dual, kernel: steady, recorded: recordOf([], dual) }).facts;
  assert.equal(half.sending, "current", "one family on the old key, the other blocked");
  assert.equal(half.missingCurrent, true);
  assert.deepEqual(half.sentWith, [], "a key is recorded when every family has it");
});

const words: readonly (readonly [string, Partial<Report>, Partial<NamedFacts>])[] = [
  ["sends only next", { sendingOldest: two.keyId, sendingNewest: two.keyId }, { sendsOnlyNext: true }],
  ["sends next and one that is newer still", { sendingOldest: two.keyId, sendingNewest: testKey(3).keyId }, { sendsOnlyNext: true }],
  ["still sends the old key to somebody", { sendingOldest: one.keyId, sendingNewest: two.keyId }, { sendsOnlyNext: false }],
  ["sends nothing: no word, as we are its peer", { sendingOldest: null, sendingNewest: null }, { sendsOnlyNext: false }],
  ["refuses next and has left it", { refused: [two] }, { refusesNext: true, refusedAndOlder: true }],
  ["refuses next and still sends it", { refused: [two], sendingNewest: two.keyId }, { refusesNext: true, refusedAndOlder: false }],
  ["refuses a key that we never took up", { refused: [testKey(7)] }, { refusesOther: true, refusesNext: false }],
  ["holds neither of our keys", { holds: [testKey(7)] }, { stranger: true, sendsOnlyNext: true }],
  ["holds nothing at all yet", { holds: [] }, { stranger: false }],
  ["holds ours but refused it, and another", { holds: [two, testKey(7)], refused: [two] }, { stranger: true }],
  ["does not know us yet", { holds: [testKey(7)], through: 0 as Report["through"] }, { stranger: false, coveredForCurrent: false }],
  ["spoke in an earlier life", { incarnationId: "c".repeat(32) as IncarnationId, refused: [two] }, { refusesNext: false, coveredForCurrent: false }],
];

for (const [name, change, facts] of words) {
  test(`peer: its report ${name}`, () => {
    const report = { ...reportOf(one, two), ...change };
    const found = look(makeContext(rotating), { report }).facts;
    for (const [name, value] of Object.entries(facts)) assert.equal(found[name as keyof NamedFacts], value, name);
  });
}
