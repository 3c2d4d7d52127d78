import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testEntry, testKey } from "../../../test/support/fleet-snapshot.js";
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
  self,
} from "../../../test/support/peer-states.js";
import type { AddressFamily, IncarnationId, NodeName, RosterEntry } from "../node.js";
import type { PolicyLevel } from "../policy-level.js";
import type { PathProof, ProbeOutcome } from "../probe.js";
import type { Context } from "./context.js";
import { pathBetween, senderSpi } from "./path.js";
import type { PeerInputs } from "./path-view.js";
import { evaluatePeer } from "./peer.js";
import { is } from "./peer-facts.js";
import { planPeer } from "./peer-plan.js";
import { lacksProof, sampleRate } from "./proof.js";

const [one, two] = [testKey(1), testKey(2)];
const answered: ProbeOutcome = { kind: "answered", roundTripMs: 1 };
const failed: ProbeOutcome = { kind: "failed", code: "PROBE_UNANSWERED", message: "no answer" };
/** A rate that draws nobody, with any fleet of a test. */
const none = 2 ** 40;
const reborn = "b".repeat(32) as IncarnationId;

function proofOf(outcome: ProbeOutcome, changes: Partial<PathProof["probe"]> = {}): PathProof {
  const family: AddressFamily = changes.family ?? "ipv4";
  const path = pathBetween(dualSelf, dual, family);
  assert.ok(path !== null);
  const { local, remote } = path;
  const [from, to] = [self.incarnationId, peer.incarnationId];
  const spi = senderSpi({ self }, peer, "out", two.keyId);
  return { probe: { peer: peer.name, family, key: two, from, to, spi, local, remote, ...changes }, outcome, atMs: 0 };
}

/** Both keys are held at both ends and recorded; packets go with the first. */
function inputsFor(entry: RosterEntry, changes: Partial<PeerInputs>): PeerInputs {
  const sas = [one, two].flatMap((key) => [...sasOf("in", key, entry), ...sasOf("out", key, entry)]);
  const report = { ...steadyReport(2, one), holds: [one, two] };
  const kernel = { sas, policies: [...selecting(one, entry), ...accepting(entry)] };
  return { entry, kernel, report, recorded: recordOf([one, two], entry), proofs: [], ...changes };
}

interface Case {
  readonly name: string;
  readonly context?: Partial<Context>;
  readonly inputs?: Partial<PeerInputs>;
  /** What is planned, in words. */
  readonly plan: readonly string[];
  readonly unproven: boolean;
  readonly unanswered?: boolean;
}

const switched = ["policy out key 2"];
const cases: readonly Case[] = [
  { name: "nothing is known: the peer stays", plan: [], unproven: true },
  { name: "answered: it goes over", inputs: { proofs: [proofOf(answered)] }, plan: switched, unproven: false },
  { name: "failed: it stays", inputs: { proofs: [proofOf(failed)] }, plan: [], unproven: true, unanswered: true },
  { name: "a proof of another key is none", inputs: { proofs: [proofOf(answered, { key: one })] }, plan: [], unproven: true },
  { name: "a proof of the peer's other life is none", inputs: { proofs: [proofOf(answered, { to: reborn })] }, plan: [], unproven: true },
  { name: "a proof of our other life is none", inputs: { proofs: [proofOf(answered, { from: reborn })] }, plan: [], unproven: true },
  { name: "none is asked for: it goes over", context: { sampleRate: 0 }, plan: switched, unproven: false },
  { name: "not drawn: it goes over", context: { sampleRate: none }, plan: switched, unproven: false },
  {
    name: "not drawn, but a probe with another key failed: it stays",
    context: { sampleRate: none },
    inputs: { proofs: [proofOf(failed, { key: one })] },
    plan: [],
    unproven: true,
  },
  {
    name: "not drawn, a probe of the peer's other life failed: it goes over",
    context: { sampleRate: none },
    inputs: { proofs: [proofOf(failed, { key: one, to: reborn })] },
    plan: switched,
    unproven: false,
  },
  { name: "a compromised key is left without one", context: { isEmergency: true }, plan: switched, unproven: false },
  {
    name: "the receiver gave up the old key: nothing to stay on",
    inputs: { report: { ...steadyReport(2, two), holds: [two] } },
    plan: switched,
    unproven: false,
  },
  {
    name: "an SA that is not recorded is not probed",
    inputs: { recorded: recordOf([one]) },
    plan: [],
    unproven: false,
  },
  {
    name: "going back to the old key needs no proof",
    context: { candidates: [one] },
    inputs: { kernel: { ...inputsFor(peer, {}).kernel, policies: [...selecting(two), ...accepting()] } },
    plan: ["policy out key 1"],
    unproven: false,
  },
];

for (const { name, context, inputs, plan, unproven, unanswered = false } of cases) {
  test(`path proof: ${name}`, () => {
    const whole = makeContext({ next: two, hold: [one, two], candidates: [two, one], sampleRate: 1, ...context });
    const all = inputsFor(peer, inputs ?? {});
    const { facts } = evaluatePeer(whole, all);
    assert.deepEqual(Object.values(planPeer(whole, all)).flat().map(describe), plan);
    assert.equal(is(facts, "unproven"), unproven);
    assert.equal(is(facts, "unanswered"), unanswered);
  });
}

const plainly = policiesOf("out", { kind: "pass" });
const openIn = policiesOf("in", { kind: "accept-any" });
const plainCases: readonly (readonly [name: string, level: PolicyLevel, proofs: readonly PathProof[], plan: readonly string[], unproven: boolean])[] = [
  ["at prefer a peer stays plain", "prefer", [], [], true],
  ["at prefer a peer whose probe failed stays plain", "prefer", [proofOf(failed, { key: one })], [], true],
  ["at prefer a peer goes over when a probe with the key was answered", "prefer", [proofOf(answered, { key: one })], ["policy out key 1"], false],
  ["at prefer a proof of another key is none", "prefer", [proofOf(answered)], [], true],
  ["at require nothing is sent plainly for want of a proof", "require", [], ["policy in accept", "policy out key 1"], false],
];

for (const [name, level, proofs, plan, unproven] of plainCases) {
  test(`path proof, from plain: ${name}`, () => {
    const context = makeContext({ level, sampleRate: 1 });
    const sas = [...sasOf("in", one), ...sasOf("out", one)];
    const report = steadyReport(2, one);
    const all = { entry: peer, kernel: { sas, policies: [...plainly, ...openIn] }, report, recorded: recordOf([one]), proofs };
    assert.deepEqual(Object.values(planPeer(context, all)).flat().map(describe), plan);
    const { facts } = evaluatePeer(context, all);
    assert.equal(is(facts, "unproven"), unproven);
    assert.equal(is(facts, "plain"), true);
  });
}

test("path proof, from plain: a pair without a policy yet begins plain at prefer, and encrypted at require", () => {
  const begun = (level: PolicyLevel): readonly string[] => {
    const context = makeContext({ level, sampleRate: 1 });
    const kernel = { sas: [...sasOf("in", one), ...sasOf("out", one)], policies: openIn };
    const all = { entry: peer, kernel, report: steadyReport(2, one), recorded: recordOf([one]), proofs: [] };
    return planPeer(context, all).block.concat(planPeer(context, all).switch).map(describe);
  };
  assert.deepEqual([begun("prefer"), begun("require")], [["policy out pass"], ["policy out key 1"]]);
});

test("path proof, from plain: an emergency is no reason to leave plain packets without one, as they use no key", () => {
  const context = makeContext({ level: "prefer", sampleRate: 1, isEmergency: true, next: two, hold: [one, two], candidates: [two, one] });
  const kernel = { sas: inputsFor(peer, {}).kernel.sas, policies: [...plainly, ...openIn] };
  assert.ok(is(evaluatePeer(context, inputsFor(peer, { kernel })).facts, "unproven"));
});

test("path proof: two address families go over one by one", () => {
  const context = makeContext({ self: dualSelf, next: two, hold: [one, two], candidates: [two, one], sampleRate: 1 });
  const { sas, policies } = inputsFor(peer, {}).kernel;
  const remote = { address: "2001:db8::2", udpPort: peer.addresses.udpPort };
  const kernel = {
    sas: [...sas, ...sas.map((sa) => ({ ...sa, remote }))],
    policies: [...policies, ...policies.map((policy) => ({ ...policy, family: "ipv6" as const, remote }))],
  };
  const proofs = [proofOf(answered, { family: "ipv6" }), proofOf(failed)];
  const inputs = { ...inputsFor(dual, { proofs }), kernel };
  assert.deepEqual(planPeer(context, inputs).switch.map((operation) => operation.kind === "set-policy" && operation.policy.family), ["ipv6"]);
  assert.ok(is(evaluatePeer(context, inputs).facts, "onCurrent"), "our word waits for both");
});

const drawnBy = (drawer: RosterEntry, peers: number, key = two): readonly NodeName[] => {
  const context = makeContext({ self: drawer, next: key, sampleRate: sampleRate(peers) });
  const entries = Array.from({ length: peers }, (_, i) => testEntry(i + 1_000));
  const known = { report: undefined, proofs: [] };
  return entries.filter((entry) => lacksProof(context, entry, known, "ipv4", one, key)).map(({ name }) => name);
};

test("path proof: up to 64 peers all are drawn, then 32 to 64 in the mean, by node and key", () => {
  assert.equal(drawnBy(self, 64).length, 64);
  for (const peers of [65, 300, 1_024, 5_000]) {
    const [least, most] = [16, 96];
    const { length } = drawnBy(self, peers);
    assert.ok(length >= least && length <= most, `${length} of ${peers}`);
  }
  assert.deepEqual(drawnBy(self, 300), drawnBy(self, 300), "a replay draws the same");
  assert.notDeepEqual(drawnBy(peer, 300), drawnBy(self, 300));
  assert.notDeepEqual(drawnBy(self, 300, testKey(3)), drawnBy(self, 300));
});

test("path proof: as a fleet grows fewer are drawn, of those that were", () => {
  const before = new Set(drawnBy(self, 300));
  assert.ok(drawnBy(self, 5_000).filter((name) => !before.has(name)).every((name) => Number(/\d+$/.exec(name)?.[0]) >= 1_300));
});
