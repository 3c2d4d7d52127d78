/**
 * A live fleet between plain and encrypted traffic, behind the barrier (design 4.1): what holds a step up, who may be left
 * out, and that nothing is lost. Each guard once with and once without it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import type { PolicyLevel } from "../../src/core/policy-level.js";
import { EarlyRetireChecker } from "../../src/sim/checkers/early-retire.js";
import { watchedFleet } from "../../src/sim/checkers/history.js";
import { controllerDefaults } from "../../src/sim/defaults.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import type { SimOptions } from "../../src/sim/options.js";
import { testKey } from "../support/fleet-snapshot.js";
import { reusedOutbound } from "../support/sim-scenes.js";
import { ask, askLevel, giveKeys, isAtLevel, isOn, isPhase, startFleet, waitFor } from "./scripted.js";

const [a, b, c] = ["a", "b", "c"] as NodeName[] as [NodeName, NodeName, NodeName];

/** Three nodes that run key 1 at this level, by their own configurations. */
function fleetAt(policyLevel: PolicyLevel, changes: Partial<SimOptions> = {}): SimFleet {
  return startFleet({ coordination: "barrier", nodes: ["a", "b", "c"], isOpen: true, agent: { policyLevel }, ...changes });
}

function goTo(fleet: SimFleet, level: PolicyLevel): void {
  askLevel(fleet, level);
  waitFor(fleet, `everybody is at ${level}`, () => isAtLevel(fleet, level));
  fleet.run(100);
}

function actionsOf(fleet: SimFleet, direction: "in" | "out"): readonly string[] {
  const policies = fleet.live().flatMap((name) => [...fleet.node(name).kernel.policies()]);
  return [...new Set(policies.filter((policy) => policy.direction === direction).map(({ action }) => action.kind))];
}

function levelOf(fleet: SimFleet): PolicyLevel | null | undefined {
  return fleet.registry.fleet?.levels?.level;
}

test("levels: from accept to require and back, and no packet is lost", () => {
  const fleet = fleetAt("accept");
  assert.deepEqual([actionsOf(fleet, "out"), actionsOf(fleet, "in")], [["pass"], ["accept-any"]]);
  goTo(fleet, "require");
  assert.deepEqual([actionsOf(fleet, "out"), actionsOf(fleet, "in")], [["protect"], ["accept"]]);
  goTo(fleet, "accept");
  assert.deepEqual([actionsOf(fleet, "out"), actionsOf(fleet, "in")], [["pass"], ["accept-any"]]);
  assert.deepEqual(fleet.losses(), []);
});

test("levels: at off a fleet goes from transport to tunnel mode, one node after the other, and no packet is lost", () => {
  const fleet = fleetAt("require");
  goTo(fleet, "off");
  for (const [i, name] of fleet.live().entries()) {
    fleet.renumber(name, [`10.1.${i}.0/24`]);
    fleet.run(1_000);
  }
  goTo(fleet, "require");
  const networks = [...fleet.node(a).kernel.policies()].filter(({ direction, action }) => direction === "out" && action.kind === "protect");
  assert.deepEqual(networks.map(({ remote }) => remote.address).filter((remote) => remote.startsWith("10.1.")).sort(), ["10.1.1.0/24", "10.1.2.0/24"]);
  assert.deepEqual(fleet.losses(), []);
});

test("levels: networks are blocked when everybody has applied require, and no longer than that is wanted", () => {
  const fleet = fleetAt("accept");
  const guarded = (): readonly (boolean | null)[] => fleet.live().map((name) => fleet.node(name).kernel.isGuarded);
  assert.deepEqual(guarded(), [null, null, null], "as the configurations say");
  fleet.hold(c, "fleet");
  askLevel(fleet, "require");
  fleet.run(2_000);
  fleet.release(c, "fleet");
  waitFor(fleet, "require is taken", () => levelOf(fleet) === "require");
  assert.deepEqual(guarded(), [false, false, false]);
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  fleet.run(100);
  assert.deepEqual(guarded(), [true, true, true]);
  askLevel(fleet, "off");
  waitFor(fleet, "prefer is taken", () => levelOf(fleet) === "prefer");
  fleet.run(100);
  assert.deepEqual(guarded(), [false, false, false]);
});

test("levels: at off nothing is installed, and the way up begins with a first key, in a new lifetime (S4)", () => {
  const fleet = fleetAt("require");
  goTo(fleet, "off");
  for (const name of fleet.live()) assert.deepEqual(fleet.node(name).kernel.sizes(), { sas: 0, policies: 0 });
  assert.equal(fleet.registry.fleet?.current, null);
  const { delivered } = fleet.traffic.count();
  fleet.run(100);
  assert.ok(fleet.traffic.count().delivered > delivered, "packets go plain");
  goTo(fleet, "require");
  assert.ok(isOn(fleet, testKey(1)));
  assert.deepEqual(reusedOutbound(fleet), []);
  assert.deepEqual(fleet.losses(), []);
});

test("levels: a fleet without a key starts at off, whatever its configurations say", () => {
  const fleet = startFleet({ coordination: "barrier", isOpen: true, nodes: [] });
  for (const name of [a, b]) fleet.addNode(name, []);
  fleet.run(500);
  askLevel(fleet, "require");
  waitFor(fleet, "accept is taken", () => levelOf(fleet) === "accept");
  fleet.run(5_000);
  assert.equal(levelOf(fleet), "accept", "and waits for a key");
  for (const name of [a, b]) giveKeys(fleet, name, 1);
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  assert.deepEqual(fleet.losses(), []);
});

test("levels: at off no rotation starts, and one that is asked for is refused", () => {
  const fleet = fleetAt("accept");
  goTo(fleet, "off");
  for (const name of [a, b, c]) giveKeys(fleet, name, 2);
  ask(fleet, "rotate", testKey(1));
  fleet.run(2_000);
  assert.ok(isPhase(fleet, "steady"));
  assert.match(fleet.registry.fleet?.answer?.why ?? "", /level off/);
});

test("levels: a step waits for a rotation, and a rotation goes on between two levels", () => {
  const fleet = fleetAt("accept");
  fleet.node(c).kernel.hold();
  askLevel(fleet, "require");
  waitFor(fleet, "prefer is taken by the others", () => levelOf(fleet) === "accept");
  for (const name of [a, b, c]) giveKeys(fleet, name, 1, 2);
  fleet.node(c).kernel.release();
  waitFor(fleet, "the rotation runs", () => !isPhase(fleet, "steady"));
  const before = levelOf(fleet);
  waitFor(fleet, "it ended", () => {
    if (!isPhase(fleet, "steady")) assert.equal(levelOf(fleet), before);
    return isPhase(fleet, "steady");
  });
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  assert.ok(isOn(fleet, testKey(2)));
  assert.deepEqual(fleet.losses(), []);
});

test("levels: the way back from require waits for nobody", () => {
  const fleet = fleetAt("accept");
  askLevel(fleet, "require");
  waitFor(fleet, "require is taken", () => levelOf(fleet) === "require");
  fleet.partition(c);
  fleet.run(500);
  askLevel(fleet, "accept");
  waitFor(fleet, "prefer is taken", () => levelOf(fleet) === "prefer", 1_000);
  fleet.run(1_000);
  assert.equal(levelOf(fleet), "prefer", "and there c is waited for");
  fleet.heal(c);
  waitFor(fleet, "everybody is at accept", () => isAtLevel(fleet, "accept"));
  assert.deepEqual(fleet.losses(), []);
});

test("levels: a silent node is left out, and counts again when it is at the fleet's level", () => {
  const fleet = fleetAt("accept");
  fleet.partition(c, false);
  askLevel(fleet, "require");
  waitFor(fleet, "the others are at require", () => isAtLevel(fleet, "require"));
  assert.equal(fleet.registry.fleet?.excluded[0]?.name, c);
  fleet.hold(c, "fleet");
  fleet.heal(c);
  fleet.run(3_000);
  assert.equal(fleet.registry.fleet.excluded[0]?.name, c, "it holds the key, and sends plain packets");
  fleet.release(c, "fleet");
  waitFor(fleet, "c counts", () => fleet.registry.fleet?.excluded.length === 0 && isAtLevel(fleet, "require"));
  fleet.run(1_000);
  assert.deepEqual(fleet.losses(), []);
  assert.deepEqual(actionsOf(fleet, "out"), ["protect"]);
});

test("levels: a controller that dies at each level, and the next one, change nothing", () => {
  const fleet = fleetAt("accept");
  askLevel(fleet, "require");
  for (const level of ["accept", "prefer", "require"]) {
    waitFor(fleet, `${level} is taken`, () => levelOf(fleet) === level);
    fleet.killController(fleet.controllers.length - 1);
    fleet.addController();
  }
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  assert.deepEqual(fleet.losses(), []);
});

/** C has another key file than the fleet: at accept that costs nothing. */
function withStranger(changes: Partial<SimOptions>): SimFleet {
  const fleet = startFleet({ coordination: "barrier", isOpen: true, agent: { policyLevel: "accept" }, ...changes });
  fleet.addNode(c, []);
  goTo(fleet, "prefer");
  askLevel(fleet, "require");
  fleet.run(10_000);
  return fleet;
}

test("levels: require waits while a counted node sends plain packets", () => {
  const fleet = withStranger({});
  assert.equal(levelOf(fleet), "prefer");
  assert.deepEqual(fleet.losses(), []);
  giveKeys(fleet, c, 1);
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  assert.deepEqual(fleet.losses(), []);
});

test("levels: the mutant require-while-plain cuts it off", () => {
  assert.notDeepEqual(withStranger(mutantNamed("require-while-plain").changes).losses(), []);
});

/** C joins before `require` is asked for; the others and the controller hear of it later. */
function unknownJoin(changes: Partial<SimOptions>): SimFleet {
  const fleet = startFleet({ coordination: "barrier", isOpen: true, agent: { policyLevel: "prefer" }, ...changes });
  goTo(fleet, "prefer");
  const [controller] = fleet.controllers;
  assert.ok(controller !== undefined);
  controller.link.held.add("roster");
  for (const name of [a, b]) fleet.hold(name, "roster");
  fleet.addNode(c, []);
  waitFor(fleet, "c sends plain packets", () => [...fleet.node(c).kernel.policies()].length > 0);
  fleet.hold(c, "fleet");
  askLevel(fleet, "require");
  fleet.run(200);
  for (const name of [a, b]) fleet.release(name, "roster");
  fleet.run(3_000);
  return fleet;
}

test("levels: while the fleet closes, a pair that nobody knew begins blocked", () => {
  const fleet = unknownJoin({});
  assert.equal(levelOf(fleet), "require");
  assert.deepEqual(fleet.losses(), []);
});

test("levels: the mutant begins-plain-while-closing lets it begin, and cuts it off", () => {
  assert.notDeepEqual(unknownJoin(mutantNamed("begins-plain-while-closing").changes).losses(), []);
});

test("levels: after off the fleet goes up with whatever key everybody has then", () => {
  const fleet = fleetAt("accept");
  goTo(fleet, "off");
  giveKeys(fleet, c, 2);
  fleet.run(100);
  fleet.killAgent(c);
  fleet.startAgent(c);
  askLevel(fleet, "prefer");
  fleet.run(10_000);
  assert.equal(levelOf(fleet), "accept", "there is none yet");
  for (const name of [a, b]) giveKeys(fleet, name, 2);
  waitFor(fleet, "everybody is at prefer", () => isAtLevel(fleet, "prefer"));
  assert.deepEqual(fleet.losses(), []);
});

/** Key 2 is in use, then the fleet is off; then all files name key 1, which everybody retired. */
function withRetiredKey(changes: Partial<SimOptions>): SimFleet {
  const fleet = fleetAt("require", changes);
  for (const name of [a, b, c]) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "key 2 is in use", () => isOn(fleet, testKey(2)));
  goTo(fleet, "off");
  for (const name of [a, b, c]) giveKeys(fleet, name, 1);
  askLevel(fleet, "require");
  fleet.run(10_000);
  return fleet;
}

test("levels: from off a fleet does not go up with a key that was retired, and waits for the last one or a newer", () => {
  const fleet = withRetiredKey({});
  assert.ok(isPhase(fleet, "steady"), "no rotation to key 1 begins");
  for (const name of [a, b, c]) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  assert.ok(isOn(fleet, testKey(2)));
  assert.deepEqual(reusedOutbound(fleet), []);
  assert.deepEqual(fleet.losses(), []);
});

test("levels: the mutant retired-key-after-off begins a rotation that cannot end", () => {
  assert.ok(isPhase(withRetiredKey(mutantNamed("retired-key-after-off").changes), "staging"));
});

/** What S2 says of a way from require to off. */
function retiredTooEarly(changes: Partial<SimOptions>): readonly string[] {
  const options = { seed: 1, coordination: "barrier", isOpen: true, registryDelayMs: () => 1, packetIntervalMs: 1, ...changes } as const;
  const { fleet, history } = watchedFleet(options);
  const { drainMs } = controllerDefaults;
  const checker = new EarlyRetireChecker(fleet, history, { drainMs, compromised: [] });
  fleet.addController();
  for (const name of [a, b]) fleet.addNode(name, [testKey(1)]);
  waitFor(fleet, "the first key is in use", () => isOn(fleet, testKey(1)));
  goTo(fleet, "off");
  return checker.finish().map(({ message }) => message);
}

test("levels: SAs go a drain after the last packet was sent with them", () => {
  assert.deepEqual(retiredTooEarly({}), []);
});

test("levels: the mutant level-without-drain deletes them at once", () => {
  assert.notDeepEqual(retiredTooEarly(mutantNamed("level-without-drain").changes), []);
});
