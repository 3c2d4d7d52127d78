/**
 * What the review of the rotation protocol found, the part about safety: each test is the run that
 * lost a packet, kept a leaked key or used a counter twice. The part about progress is in
 * review-liveness.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ControllerEffect } from "../../src/core/fleet/controller-state.js";
import { stepController } from "../../src/core/fleet/step.js";
import type { IncarnationId } from "../../src/core/node.js";
import { inputsOf } from "../../src/core/rotation/path-view.js";
import { planPeer } from "../../src/core/rotation/peer-plan.js";
import { saSlotKey } from "../../src/core/sa.js";
import type { StepController } from "../../src/runtime/controller-loop.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import type { SimNode } from "../../src/sim/model/host.js";
import { testKey } from "../support/fleet-snapshot.js";
import {
  a,
  ask,
  b,
  c,
  d,
  isExcluded,
  isStaging,
  logged,
  offer,
  recordOf,
  reportsHolding,
  reusedOutbound,
  runsOnly,
  settledFleet,
  slotsOf,
  stateOf,
  viewOf,
  waitUntil,
} from "../support/sim-scenes.js";

/** A rotation to key 3 stays in `staged`, as c hears no more; once a sends with it, an abort. */
function abortKeyInUse(fleet: SimFleet): void {
  offer(fleet, [1, 3]);
  waitUntil(fleet, "c stages key 3", () => isStaging(fleet, c, 3));
  fleet.hold(c, "fleet");
  waitUntil(fleet, "a sends with key 3", () => stateOf(fleet, a).tally.onNext === 2);
  ask(fleet, "abort", { abort: testKey(3) });
  waitUntil(fleet, "the abort runs", () => recordOf(fleet).phase === "aborting");
  fleet.release(c, "fleet");
}

test("review 1: a key that was aborted is refused when it is offered again", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  abortKeyInUse(fleet);
  waitUntil(fleet, "the abort ended", () => recordOf(fleet).phase === "steady");
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)));
  offer(fleet, [2, 3]);
  fleet.run(10_000);
  assert.ok(runsOnly(fleet, testKey(2)), "key 3 stays refused while it is ahead of key 2");
  assert.deepEqual(reusedOutbound(fleet), []);
});

/** A controller that forgets what was aborted: only the agents' records prevent a second use. */
const forgetful: StepController = (...known) => {
  const forget = (effect: ControllerEffect): ControllerEffect => {
    if (effect.kind !== "write-fleet") return effect;
    return { ...effect, record: { ...effect.record, refused: [] } };
  };
  const step = stepController(...known);
  return { ...step, effects: step.effects.map(forget) };
};

test("review 1: a key taken up again after it was sent with begins a new incarnation", () => {
  const fleet = settledFleet({ coordination: "barrier", controllerStep: forgetful });
  abortKeyInUse(fleet);
  waitUntil(fleet, "the fleet runs key 3", () => runsOnly(fleet, testKey(3)));
  assert.deepEqual(reusedOutbound(fleet), []);
  assert.ok(logged(fleet, "new incarnation").length > 3, "more than the three first lives");
});

test("review 2: with an excluded node back, nobody retires before every view includes it", () => {
  const fleet = settledFleet({ coordination: "barrier", packetIntervalMs: 20 });
  fleet.killAgent(b);
  waitUntil(fleet, "b is excluded", () => isExcluded(fleet, b));
  offer(fleet, [1, 2]);
  waitUntil(fleet, "c stages key 2", () => isStaging(fleet, c, 2));
  fleet.hold(c, "fleet");
  waitUntil(fleet, "a gave its word", () => stateOf(fleet, a).durable.sendFloor?.keyId === 2);
  fleet.run(500);
  fleet.hold(a, "fleet");
  fleet.startAgent(b);
  waitUntil(fleet, "b counts again", () => !isExcluded(fleet, b));
  fleet.release(c, "fleet");
  fleet.run(6_000);
  assert.equal(recordOf(fleet).phase, "staged", "a still excludes b, and sends it key 1");
  assert.ok(reportsHolding(fleet, b, testKey(1)));
  fleet.release(a, "fleet");
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)));
  assert.deepEqual(fleet.losses(), []);
});

/** Does the operation that b's kernel works on make a policy select the next key? */
function isSwitching(fleet: SimFleet): boolean {
  const { world, state } = viewOf(fleet, b);
  const { context } = state;
  if (context === null || !world.inFlight.has("apply")) return false;
  const observation = world.copy().observe("" as IncarnationId, 0);
  return [...state.toDo.keys()].some((name) => planPeer(context, inputsOf(observation, name)).switch.length > 0);
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`review 3: no report is made while an operation is under way (${coordination})`, () => {
    const fleet = settledFleet({ coordination, packetIntervalMs: 20 });
    offer(fleet, [1, 2]);
    while (!isSwitching(fleet)) fleet.run(0.05);
    fleet.node(b).kernel.hold();
    fleet.run(100);
    const said = fleet.registry.report(b);
    ask(fleet, "abort", { abort: testKey(2) });
    fleet.run(4_000);
    assert.equal(fleet.registry.report(b), said, "b does not know the outcome yet");
    for (const name of [a, c]) assert.ok(slotsOf(fleet, name, testKey(2)).length > 0, name);
    fleet.node(b).kernel.release();
    waitUntil(fleet, "the fleet is back on key 1", () => runsOnly(fleet, testKey(1)));
    assert.deepEqual(fleet.losses(), []);
  });
}

/** The owner of each SA is asked for when a dump begins, as a reader of a long listing does. */
function recogniseAtStart(node: SimNode): void {
  const { kernel } = node;
  const open = kernel.port.bind(kernel);
  kernel.port = (isAlive) => {
    const port = open(isAlive);
    return {
      ...port,
      dump: (recognise, done) => {
        const slots = [...kernel.slots()];
        const owners = new Map(slots.map((slot) => [saSlotKey(slot), recognise(slot)] as const));
        port.dump((slot) => owners.get(saSlotKey(slot)) ?? null, done);
      },
    };
  };
}

test("review 5: SAs read before the roster came are not deleted as nobody's", () => {
  const fleet = settledFleet({ coordination: "barrier", packetIntervalMs: 20 });
  const node = fleet.node(a);
  fleet.killAgent(a);
  recogniseAtStart(node);
  const before = [...node.kernel.slots()].map(saSlotKey).sort();
  node.kernel.hold();
  fleet.startAgent(a);
  fleet.run(1);
  waitUntil(fleet, "the roster is listed", () => viewOf(fleet, a).world.roster.complete);
  assert.ok(viewOf(fleet, a).world.inFlight.has("read-kernel"), "the dump began before that");
  node.kernel.release();
  fleet.run(4_000);
  assert.deepEqual([...node.kernel.slots()].map(saSlotKey).sort(), before);
  assert.deepEqual(fleet.losses(), []);
  assert.equal(logged(fleet, "new incarnation").length, 3, "a goes on with its state");
});

/** Of six nodes a was away while all but b left: more than it deletes without being asked. */
function fleetWithHeldDeletions(): SimFleet {
  const fleet = settledFleet({ coordination: "barrier", nodes: [a, b, c, d, "e", "f"] });
  fleet.killAgent(a);
  for (const name of fleet.live()) if (name !== a && name !== b) fleet.leave(name);
  fleet.run(2_000);
  fleet.startAgent(a);
  fleet.run(1);
  waitUntil(fleet, "a holds deletions", () => stateOf(fleet, a).deletionsHeld);
  return fleet;
}

test("review 6: a compromised key leaves the kernel even while deletions are held", () => {
  const fleet = fleetWithHeldDeletions();
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the rotation starts", () => recordOf(fleet).phase === "staging");
  ask(fleet, "rotate", { compromised: testKey(1) });
  fleet.run(8_000);
  assert.ok(stateOf(fleet, a).deletionsHeld, "they are still held");
  assert.deepEqual(slotsOf(fleet, a, testKey(1)), []);
});

test("review 16: held deletions are logged, and the report does not claim them", () => {
  const fleet = fleetWithHeldDeletions();
  fleet.run(3_000);
  const held = logged(fleet, "deletions held: the listing would remove too many nodes");
  const notes = held.filter(({ who }) => who === a);
  assert.deepEqual(notes.map(({ level }) => level), ["error"]);
  assert.deepEqual(notes[0]?.fields, { departed: 4, known: 5 });
  const report = fleet.registry.report(a);
  const { revision } = viewOf(fleet, a).world.roster;
  assert.ok(report !== undefined && report.through < revision, "removals are not applied");
  assert.ok(slotsOf(fleet, a, testKey(1)).length > 2, "and the SAs of those who left are there");
});

test("review 7: an emergency declared while staged is accepted, and the key goes in time", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  offer(fleet, [1, 2]);
  waitUntil(fleet, "c stages key 2", () => isStaging(fleet, c, 2));
  fleet.hold(c, "fleet");
  waitUntil(fleet, "the fleet is staged", () => recordOf(fleet).phase === "staged");
  fleet.run(1_000);
  ask(fleet, "rotate", { compromised: testKey(1) });
  fleet.run(5_500);
  assert.equal(recordOf(fleet).answer?.accepted, true);
  assert.equal(recordOf(fleet).phase, "staged", "c, the straggler, is not waited for");
  for (const name of [a, b]) assert.deepEqual(slotsOf(fleet, name, testKey(1)), [], name);
});

test("review 7: an emergency declared while draining shortens the deadline that runs", () => {
  const fleet = settledFleet({ coordination: "barrier", nodes: [a, b, c, d] });
  fleet.killAgent(d);
  waitUntil(fleet, "d is excluded", () => isExcluded(fleet, d));
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet drains", () => recordOf(fleet).phase === "draining");
  fleet.run(5_500);
  assert.ok(slotsOf(fleet, a, testKey(1)).length > 0, "for the sake of d, until the deadline");
  ask(fleet, "rotate", { compromised: testKey(1) });
  fleet.run(5_500);
  assert.equal(recordOf(fleet).answer?.accepted, true);
  for (const name of [a, b, c]) assert.deepEqual(slotsOf(fleet, name, testKey(1)), [], name);
});

test("review 8: pre-flight refuses a rotation that cannot fit, but no emergency", () => {
  let operationMs = 0.1;
  const controller = { stageDeadlineMs: 1_000 };
  const options = { coordination: "barrier", controller, operationMs: () => operationMs } as const;
  const fleet = settledFleet(options);
  operationMs = 300;
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)), 60_000);
  offer(fleet, [2, 3]);
  fleet.run(10_000);
  assert.equal(recordOf(fleet).phase, "steady");
  const codes = logged(fleet, "condition").map(({ fields }) => fields["code"]);
  assert.ok(codes.includes("PREFLIGHT_REFUSED"));
  ask(fleet, "rotate", { compromised: testKey(2) });
  waitUntil(fleet, "key 2 is gone", () => runsOnly(fleet, testKey(3)), 60_000);
  assert.equal(recordOf(fleet).answer?.accepted, true);
});
