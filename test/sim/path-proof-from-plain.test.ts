/**
 * A pair that sends plain packets at `prefer` goes over to a key only when a probe with it was answered: on the way up through
 * the levels, what a path does to encrypted packets costs none, holds `require` up, and is said with its reason.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { whyBehindLevel } from "../../src/core/fleet/levels.js";
import { SimFleet } from "../../src/sim/fleet.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import type { SimOptions } from "../../src/sim/options.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, ask, b, c, logged, offer, recordOf, reportsHolding, runsOnly, settledFleet, stateOf, viewOf, waitUntil, type SceneOptions } from "../support/sim-scenes.js";
import { askLevel, isAtLevel } from "./scripted.js";

const [one, two] = [testKey(1), testKey(2)];

/** A fleet at `accept` that runs key 1, and whose agents prove their paths. */
function openFleet(options: Partial<SceneOptions> = {}): SimFleet {
  const agent = { provesPaths: true, policyLevel: "accept" } as const;
  return settledFleet({ coordination: "barrier", packetIntervalMs: 1, isOpen: true, agent, ...options });
}

/** How packets from a to a peer go, between whichever networks. */
function goes(fleet: SimFleet, peer: typeof b): string {
  const policies = [...fleet.node(a).kernel.policies()].filter(({ direction, peer: to }) => direction === "out" && to === peer);
  return [...new Set(policies.map(({ action }) => action.kind))].join();
}

for (const networks of [0, 2]) {
  const words = networks === 0 ? "" : " (tunnels)";

  test(`path proof from plain: who does not get through encrypted stays plain, holds require up, and says why${words}`, () => {
    const fleet = openFleet({ networks });
    fleet.garble(a, b, one.keyId);
    askLevel(fleet, "require");
    waitUntil(fleet, "a encrypts to c", () => goes(fleet, c) === "protect");
    fleet.run(10_000);
    assert.equal(goes(fleet, b), "pass");
    assert.equal(recordOf(fleet).levels?.level, "prefer");
    assert.deepEqual(fleet.registry.report(a)?.unproven, { count: 1, peer: b, why: "simulated: no answer" });
    assert.equal(whyBehindLevel(recordOf(fleet), fleet.registry.report(a)), "still sends plain packets to b: simulated: no answer");
    assert.equal(logged(fleet, "probe failed, packets to the peer stay plain").length, 1, "told once");
    fleet.node(b).kernel.clearPaths();
    waitUntil(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
    assert.equal(goes(fleet, b), "protect");
    assert.equal(logged(fleet, "path proven").length, 1);
    assert.deepEqual(fleet.losses(), []);
  });

  test(`path proof from plain: plain-without-proof loses what goes encrypted${words}`, () => {
    const fleet = openFleet({ networks, ...mutantNamed("plain-without-proof").changes });
    fleet.garble(a, b, one.keyId);
    askLevel(fleet, "require");
    fleet.run(10_000);
    assert.ok(fleet.losses().some(({ from, to, reason }) => from === a && to === b && reason === "XfrmInStateProtoError"));
  });
}

test("path proof from plain: a rotation ends without a pair that stays plain, and the newer key is proven next", () => {
  const fleet = openFleet();
  fleet.garble(a, b, one.keyId);
  fleet.garble(a, b, two.keyId);
  askLevel(fleet, "prefer");
  waitUntil(fleet, "a encrypts to c", () => goes(fleet, c) === "protect");
  offer(fleet, [1, 2]);
  waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, two));
  fleet.run(5_000);
  assert.equal(goes(fleet, b), "pass");
  assert.deepEqual(fleet.registry.report(a)?.unproven?.peer, b);
  fleet.node(b).kernel.clearPaths();
  waitUntil(fleet, "a encrypts to b", () => goes(fleet, b) === "protect");
  assert.deepEqual(fleet.losses(), []);
});

test("path proof from plain: an emergency leaves the pair plain, which uses no key, and ends", () => {
  const fleet = openFleet();
  for (const key of [one, two]) fleet.garble(a, b, key.keyId);
  askLevel(fleet, "prefer");
  waitUntil(fleet, "a waits for its proof", () => stateOf(fleet, a).tally.unanswered === 1);
  offer(fleet, [1, 2]);
  ask(fleet, "rotate", { compromised: one });
  waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, two));
  fleet.run(2_000);
  assert.equal(goes(fleet, b), "pass");
  assert.deepEqual(fleet.losses(), []);
});

/** Two nodes begin at `prefer`, pairwise, on a path that takes no packet of key 1 from a to b. */
function beginOnBrokenPath(changes: Partial<SimOptions>): SimFleet {
  const agent = { provesPaths: true, policyLevel: "prefer" } as const;
  const fleet = new SimFleet({ seed: 1, coordination: "pairwise", packetIntervalMs: 1, isOpen: true, agent, ...changes });
  for (const name of [a, b]) fleet.addNode(name, [one]);
  waitUntil(fleet, "a is on the roster", () => fleet.registry.entry(a) !== undefined);
  fleet.garble(a, b, one.keyId);
  waitUntil(fleet, "b encrypts to a", () => [...fleet.node(b).kernel.policies()].some(({ action }) => action.kind === "protect"));
  fleet.run(10_000);
  return fleet;
}

test("path proof from plain: pairwise, who does not get through encrypted stays plain", () => {
  const fleet = beginOnBrokenPath({});
  assert.equal(goes(fleet, b), "pass");
  assert.deepEqual(fleet.losses(), []);
});

test("path proof from plain: pairwise, plain-without-proof loses what goes encrypted", () => {
  const losses = beginOnBrokenPath(mutantNamed("plain-without-proof").changes).losses();
  assert.ok(losses.some(({ from, reason }) => from === a && reason === "XfrmInStateProtoError"));
});

/** What goes on without a: its kernel has no time for a probe with key 1 until the others have left that key. */
function leaveWhileProbing(leave: (fleet: SimFleet) => void, changes: Partial<SceneOptions>): SimFleet {
  const fleet = openFleet({ nodes: [a, b], operationMs: () => 5, ...changes });
  fleet.garble(a, b, one.keyId);
  askLevel(fleet, "prefer");
  waitUntil(fleet, "a waits for its proof", () => stateOf(fleet, a).tally.unanswered === 1);
  fleet.run(1_000);
  leave(fleet);
  fleet.node(a).kernel.release();
  fleet.run(20_000);
  return fleet;
}

/** Asked to probe again, which its kernel does not do yet; the path is in order again. */
function stallProbe(fleet: SimFleet): void {
  waitUntil(fleet, "a asks for a probe", () => viewOf(fleet, a).world.inFlight.has("probe"));
  fleet.node(a).kernel.hold();
  fleet.node(b).kernel.clearPaths();
}

function toOff(fleet: SimFleet): void {
  stallProbe(fleet);
  askLevel(fleet, "off");
  fleet.run(20_000);
}

/** It has staged key 2 by then, so that the rotation goes on without its kernel. */
function toKeyTwo(fleet: SimFleet): void {
  fleet.node(b).kernel.hold();
  offer(fleet, [1, 2]);
  waitUntil(fleet, "a has staged", () => reportsHolding(fleet, a, two));
  stallProbe(fleet);
  fleet.node(b).kernel.release();
  fleet.run(20_000);
}

const words = [
  { what: "a level is said to be applied", leave: toOff },
  { what: "a key is said not to be sent with", leave: toKeyTwo },
];

for (const { what, leave } of words) {
  test(`path proof from plain: ${what} only when no probe is on its way`, () => {
    assert.deepEqual(leaveWhileProbing(leave, {}).losses(), []);
  });

  test(`path proof from plain: refuse-while-probing loses the probe, where ${what} meanwhile`, () => {
    const losses = leaveWhileProbing(leave, mutantNamed("refuse-while-probing").changes).losses();
    assert.ok(losses.some(({ from, reason }) => from === a && reason === "XfrmInNoStates"), JSON.stringify(losses));
  });
}
