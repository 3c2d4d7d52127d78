/**
 * The traces of design.md 4.7: the shortest runs in which a plausible rule fails, each with that rule as a mutant. The
 * same script runs twice: with the real rules nothing is lost and the fleet comes to rest, with the mutant packets are
 * lost, or the fleet never rests. Without the second half a script that has gone blind would pass.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import type { StepAgent } from "../../src/runtime/agent-loop.js";
import type { StepController } from "../../src/runtime/controller-loop.js";
import { testKey } from "../support/fleet-snapshot.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import { assertSameAgain, makeRecordings } from "../support/sim-recordings.js";
import { ask, giveKeys, holds, isOn, isPhase, sendsOnly, startFleet, waitFor, type Script } from "./scripted.js";

const [a, b, c] = ["a", "b", "c"] as NodeName[] as [NodeName, NodeName, NodeName];

interface Trace {
  readonly name: string;
  readonly rule: string;
  readonly options: Script;
  /** On one node, or in the controller when no node is named. */
  readonly mutant: { readonly name: string; readonly node?: string };
  /** Plays the interleaving to the point at which the wrong rule has done its harm. */
  readonly play: (fleet: SimFleet) => void;
  /** Lets everything go on; the real rules then come to rest on this key. */
  readonly restsOn: number;
  readonly letGo?: (fleet: SimFleet) => void;
}

function optionsOf(trace: Trace): Script {
  const { mutant, options } = trace;
  const { step, controllerStep } = mutantNamed(mutant.name).changes;
  if (mutant.node !== undefined) {
    return { ...options, step: (name) => (name === mutant.node ? step?.(name) : options.step?.(name)) };
  }
  return controllerStep === undefined ? options : { ...options, controllerStep };
}

/** C's kernel answers late: it is on the roster, and holds nothing yet. */
function joinWithoutCpu(fleet: SimFleet): void {
  fleet.addNode("c", fleet.node(a).keys.kind === "valid" ? [testKey(1)] : []);
  waitFor(fleet, "c is on the roster", () => fleet.registry.entry(c) !== undefined);
  fleet.node(c).kernel.hold();
  fleet.run(300);
}

function rebootWithoutCpu(fleet: SimFleet, name: NodeName): void {
  const before = fleet.registry.entry(name)?.incarnationId;
  fleet.reboot(name);
  waitFor(fleet, `${name} is back on the roster`, () => fleet.registry.entry(name)?.incarnationId !== before);
  fleet.node(name).kernel.hold();
  fleet.run(400);
}

const traces: readonly Trace[] = [
  {
    name: "join-3-steps",
    rule: "covered when the other side's record covers the sender (barrier)",
    options: { coordination: "barrier" },
    mutant: { name: "through-without-receiver", node: "a" },
    play: joinWithoutCpu,
    letGo: (fleet) => fleet.node(c).kernel.release(),
    restsOn: 1,
  },
  {
    name: "join-3-steps",
    rule: "covered when the sender has staged (pairwise)",
    options: { coordination: "pairwise" },
    mutant: { name: "through-without-receiver", node: "a" },
    play: joinWithoutCpu,
    letGo: (fleet) => fleet.node(c).kernel.release(),
    restsOn: 1,
  },
  {
    name: "join-3-steps",
    rule: "the same after a reboot of C",
    options: { coordination: "barrier", nodes: ["a", "b", "c"] },
    mutant: { name: "through-without-receiver", node: "a" },
    play: (fleet) => rebootWithoutCpu(fleet, c),
    letGo: (fleet) => fleet.node(c).kernel.release(),
    restsOn: 1,
  },
  {
    name: "reboot-3-steps",
    rule: "reports without incarnation",
    options: { coordination: "pairwise" },
    mutant: { name: "evidence-without-incarnation", node: "b" },
    play: (fleet) => rebootWithoutCpu(fleet, a),
    letGo: (fleet) => fleet.node(a).kernel.release(),
    restsOn: 1,
  },
  {
    name: "stale-secret-18",
    rule: "'staged as newest', compared with >=: B reboots with an old Secret",
    options: { coordination: "pairwise" },
    mutant: { name: "staged-as-newest", node: "b" },
    play: (fleet) => {
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "b gave its word", () => sendsOnly(fleet, b, testKey(2)));
      fleet.rebootHost(b);
      waitFor(fleet, "a retired 1", () => holds(fleet, a, testKey(2)) && !holds(fleet, a, testKey(1)));
      giveKeys(fleet, b, 1);
      fleet.startAgent(b);
      fleet.run(1_000);
    },
    letGo: (fleet) => giveKeys(fleet, b, 1, 2),
    restsOn: 2,
  },
  {
    name: "stale-secret-18",
    rule: "the same: C was away for the rotation, A has rebooted since, and C comes back with an old Secret",
    options: { coordination: "pairwise", nodes: ["a", "b", "c"] },
    mutant: { name: "staged-as-newest", node: "c" },
    play: (fleet) => {
      fleet.killAgent(c);
      for (const name of [a, b, c]) giveKeys(fleet, name, 1, 2);
      fleet.leave(c);
      waitFor(fleet, "a and b run 2", () => isOn(fleet, testKey(2)));
      fleet.reboot(a);
      giveKeys(fleet, c, 1);
      fleet.moveTo(c, "10.9.9.9");
      fleet.run(1_000);
    },
    letGo: (fleet) => giveKeys(fleet, c, 1, 2),
    restsOn: 2,
  },
  {
    name: "skip-9",
    rule: "'staged as newest', compared with >=: B skips to 3, A sends 2",
    options: { coordination: "pairwise" },
    mutant: { name: "staged-as-newest", node: "a" },
    play: (fleet) => {
      giveKeys(fleet, b, 1, 3);
      waitFor(fleet, "b staged 3", () => holds(fleet, b, testKey(3)));
      giveKeys(fleet, a, 1, 2);
      waitFor(fleet, "a staged 2", () => holds(fleet, a, testKey(2)));
      fleet.run(200);
    },
    letGo: (fleet) => giveKeys(fleet, a, 1, 3),
    restsOn: 3,
  },
  {
    name: "abort-pairwise-9",
    rule: "an abort deletes `next` at once: B acts on the old report",
    options: { coordination: "pairwise" },
    mutant: { name: "abort-one-phase", node: "a" },
    play: (fleet) => {
      fleet.hold(a, "reports");
      fleet.hold(b, "request");
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "a staged 2", () => holds(fleet, a, testKey(2)));
      fleet.run(1.5);
      fleet.hold(b, "reports");
      ask(fleet, "abort", testKey(2));
      fleet.run(500);
    },
    letGo: (fleet) => {
      fleet.release(a, "reports");
      fleet.release(b, "reports");
      fleet.release(b, "request");
    },
    restsOn: 1,
  },
  {
    name: "abort-barrier-16",
    rule: "an abort deletes the target at once: A has switched and does not know",
    options: { coordination: "barrier" },
    mutant: { name: "abort-one-phase" },
    play: (fleet) => {
      fleet.hold(b, "fleet");
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "the target is named", () => isPhase(fleet, "staging"));
      fleet.release(b, "fleet");
      waitFor(fleet, "a has switched", () => fleet.node(a).agent?.loop.inspect()?.state.tally.onNext === 1);
      fleet.hold(a, "fleet");
      ask(fleet, "abort", testKey(2));
      fleet.run(500);
    },
    letGo: (fleet) => fleet.release(a, "fleet"),
    restsOn: 1,
  },
  {
    name: "abort-after-retire-13",
    rule: "'nobody has retired' seen locally: B gave its word, A retired, B goes back",
    options: { coordination: "pairwise" },
    mutant: { name: "abort-after-retire", node: "b" },
    play: (fleet) => {
      fleet.hold(a, "request");
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "a staged 2", () => holds(fleet, a, testKey(2)));
      fleet.run(1.5);
      fleet.hold(b, "reports");
      waitFor(fleet, "a retired 1", () => !holds(fleet, a, testKey(1)));
      ask(fleet, "abort", testKey(2));
      fleet.run(500);
    },
    letGo: (fleet) => {
      fleet.release(b, "reports");
      fleet.release(a, "request");
    },
    restsOn: 2,
  },
  {
    name: "abort-after-retire-13",
    rule: "an abort in any phase (barrier): A retired, B goes back",
    options: { coordination: "barrier" },
    mutant: { name: "abort-after-retire" },
    play: (fleet) => {
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "the fleet drains", () => isPhase(fleet, "draining"));
      fleet.node(b).kernel.hold();
      waitFor(fleet, "a retired 1", () => !holds(fleet, a, testKey(1)));
      fleet.hold(a, "fleet");
      ask(fleet, "abort", testKey(2));
      fleet.run(50);
      fleet.node(b).kernel.release();
      fleet.run(500);
    },
    letGo: (fleet) => fleet.release(a, "fleet"),
    restsOn: 2,
  },
  {
    name: "abandon-11",
    rule: "`next` is abandoned while its owner does not send with it: B acts on the old report",
    options: { coordination: "pairwise" },
    mutant: { name: "abandon-reported", node: "a" },
    play: (fleet) => {
      fleet.hold(a, "reports");
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "a staged 2", () => holds(fleet, a, testKey(2)));
      fleet.run(1.5);
      fleet.hold(b, "reports");
      giveKeys(fleet, a, 1, 3);
      fleet.run(500);
    },
    letGo: (fleet) => {
      giveKeys(fleet, b, 1, 3);
      fleet.release(a, "reports");
      fleet.release(b, "reports");
    },
    restsOn: 3,
  },
  {
    name: "abandon-barrier-14",
    rule: "the target changes although it may be in use",
    options: { coordination: "barrier" },
    mutant: { name: "abandon-reported" },
    play: (fleet) => {
      for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
      waitFor(fleet, "the first barrier is passed", () => isPhase(fleet, "staged"));
      fleet.run(1);
      fleet.hold(a, "fleet");
      giveKeys(fleet, b, 1, 3);
      fleet.run(500);
    },
    letGo: (fleet) => {
      giveKeys(fleet, a, 2, 3);
      giveKeys(fleet, b, 2, 3);
      fleet.release(a, "fleet");
    },
    restsOn: 3,
  },
];

for (const trace of traces) {
  test(`${trace.name}: nothing is lost, and recordings do the same again (${trace.rule})`, () => {
    const recordings = makeRecordings();
    const fleet = startFleet(recordings.around(trace.options));
    trace.play(fleet);
    assert.deepEqual(fleet.losses(), []);
    trace.letGo?.(fleet);
    waitFor(fleet, `rest on key ${trace.restsOn}`, () => isOn(fleet, testKey(trace.restsOn)));
    assert.deepEqual(fleet.losses(), []);
    assertSameAgain(recordings);
  });

  test(`${trace.name}: the mutant loses packets (${trace.rule})`, () => {
    const fleet = startFleet(optionsOf(trace));
    trace.play(fleet);
    const lost = fleet.losses().map(({ reason }) => reason);
    assert.ok(lost.includes("XfrmInNoStates"), `lost ${lost.length}: ${[...new Set(lost)].join()}`);
  });
}

function stepOf(mutant: string): StepAgent | undefined {
  return mutantNamed(mutant).changes.step?.(a);
}

/** A names 2 and B skips to 3; then A is offered 3 as well. */
function waitAtTwoTargets(step?: StepAgent): { readonly fleet: SimFleet; readonly hasRest: boolean } {
  const fleet = startFleet({ coordination: "pairwise", step: () => step });
  giveKeys(fleet, a, 1, 2);
  giveKeys(fleet, b, 1, 3);
  fleet.run(500);
  for (const name of [a, b]) giveKeys(fleet, name, 1, 3);
  return { fleet, hasRest: fleet.runUntil(() => isOn(fleet, testKey(3)), 20_000) };
}

test("two-targets-deadlock-11: A leaves 2 for 3, by both barriers, and nothing is lost", () => {
  const { fleet, hasRest } = waitAtTwoTargets();
  assert.ok(hasRest);
  assert.deepEqual(fleet.losses(), []);
});

test("two-targets-deadlock-11: the mutant, which never abandons, waits at 2 and 3 for ever", () => {
  const { fleet, hasRest } = waitAtTwoTargets(stepOf("never-abandon"));
  assert.ok(!hasRest);
  assert.ok(holds(fleet, a, testKey(2)) && holds(fleet, b, testKey(3)));
});

/** A and B give their word for 2; C joins with a file that skips it, and then all are offered 3. */
function skipBoundKey(step?: StepAgent): { readonly fleet: SimFleet; readonly hasRest: boolean } {
  const fleet = startFleet({ coordination: "pairwise", step: () => step });
  for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "a and b gave their word", () => [a, b].every((name) => sendsOnly(fleet, name, testKey(2))));
  fleet.addNode("c", [testKey(1), testKey(3)]);
  waitFor(fleet, "c holds 1 and 3", () => holds(fleet, c, testKey(3)));
  assert.ok(holds(fleet, a, testKey(1)), "a waits for c before it retires 1");
  fleet.run(500);
  for (const name of [a, b, c]) giveKeys(fleet, name, 1, 2, 3);
  return { fleet, hasRest: fleet.runUntil(() => isOn(fleet, testKey(3)), 20_000) };
}

test("skip-bound-key: C refuses the key that it skipped, A and B are free to follow, and nothing is lost", () => {
  const { fleet, hasRest } = skipBoundKey();
  assert.ok(hasRest);
  assert.deepEqual(fleet.losses(), []);
});

test("skip-bound-key: the mutant, which refuses only its own `next`, waits at 2 and 3 until the deadline", () => {
  const { fleet, hasRest } = skipBoundKey(stepOf("keep-skipped"));
  assert.ok(!hasRest);
  assert.ok(holds(fleet, a, testKey(2)) && holds(fleet, c, testKey(3)));
});

const tenMinutesMs = 600_000;

/** The registry is away, the agents go on; then the first controller is elected. */
function sitOutOutage(controllerStep?: StepController): SimFleet {
  const fleet = startFleet({
    coordination: "barrier",
    nodes: ["a", "b", "c"],
    packetIntervalMs: 50,
    controller: { excludeShareMax: 1 },
    ...(controllerStep === undefined ? {} : { controllerStep }),
  });
  for (const name of [a, b, c]) fleet.partition(name);
  fleet.killController(0);
  fleet.run(tenMinutesMs);
  fleet.addController();
  fleet.run(1_500);
  for (const name of [a, b, c]) fleet.heal(name);
  fleet.run(1_000);
  return fleet;
}

test("exclude-after-outage: the first leader after ten minutes excludes nobody", () => {
  const fleet = sitOutOutage();
  assert.deepEqual(fleet.registry.fleet?.excluded, []);
  assert.ok(!fleet.logs.some(({ message }) => message === "node excluded"));
  assert.deepEqual(fleet.losses(), []);
});

test("exclude-after-outage: the mutant, which trusts stored ages, excludes the fleet", () => {
  const fleet = sitOutOutage(mutantNamed("exclude-after-outage").changes.controllerStep);
  const notes = fleet.logs.filter(({ message }) => message === "node excluded");
  assert.deepEqual([...new Set(notes.map(({ fields }) => fields["peer"]))].sort(), [a, b, c]);
});
