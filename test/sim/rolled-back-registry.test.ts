/** A registry that lost what it had acknowledged: a copy from before, or nothing at all. Traffic must not notice. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, b, c, d, offer, runsOnly, settledFleet, stateOf, waitUntil, type SceneOptions } from "../support/sim-scenes.js";

const newcomer = "e" as NodeName;

/** After the copy was made a node begins a new life and another joins; then the copy is all that there is. */
function rolledBack(options: SceneOptions): { readonly fleet: SimFleet; readonly copy: ReturnType<SimFleet["registry"]["copy"]> } {
  const fleet = settledFleet(options);
  const copy = fleet.registry.copy();
  fleet.reboot(b);
  fleet.addNode(d, [testKey(1)]);
  waitUntil(fleet, "b has a new life and d is in", () => runsOnly(fleet, testKey(1), [a, b, c, d]));
  fleet.run(5_000);
  assert.deepEqual(fleet.losses(), []);
  fleet.registry.fallBack(copy);
  return { fleet, copy };
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`rolled back: nobody obeys an older registry, and nothing is lost (${coordination})`, () => {
    const { fleet } = rolledBack({ coordination });
    // It is given an index that d has, by a registry that does not know.
    fleet.addNode(newcomer, [testKey(1)]);
    waitUntil(fleet, "the newcomer is admitted", () => fleet.registry.entry(newcomer) !== undefined);
    offer(fleet, [1, 2]);
    fleet.run(30_000);
    assert.deepEqual(fleet.losses(), []);
    const told = fleet.logs.filter(({ fields }) => String(fields["why"]).includes("REGISTRY_ROLLED_BACK"));
    const warned = new Set(told.map(({ who }) => who));
    for (const name of [a, b, c, d]) assert.ok(warned.has(name), `${name} says why it waits`);
  });

  test(`rolled back: the mutant older-registry-obeyed loses packets (${coordination})`, () => {
    const { fleet } = rolledBack({ coordination, ...mutantNamed("older-registry-obeyed").changes });
    fleet.run(30_000);
    assert.notDeepEqual(fleet.losses(), []);
  });

  test(`rolled back: an agent that starts again remembers what it saw (${coordination})`, () => {
    const { fleet } = rolledBack({ coordination });
    fleet.killAgent(a);
    fleet.startAgent(a);
    fleet.run(30_000);
    assert.deepEqual(fleet.losses(), []);
  });

  test(`rolled back: an emptied registry takes nobody's SAs away (${coordination})`, () => {
    const fleet = settledFleet({ coordination });
    fleet.registry.fallBack(null);
    fleet.addNode(newcomer, [testKey(1)]);
    fleet.run(30_000);
    assert.deepEqual(fleet.losses(), []);
  });

  test(`restored: beyond what was seen it is believed again, and the fleet rotates without a loss (${coordination})`, () => {
    const fleet = settledFleet({ coordination });
    const copy = fleet.registry.copy();
    offer(fleet, [1, 2]);
    waitUntil(fleet, "key 2 is offered", () => fleet.live().every((name) => (fleet.registry.report(name)?.available.length ?? 0) > 1));
    fleet.registry.fallBack(null);
    fleet.run(10_000);
    fleet.registry.fallBack(copy, 1_000_000);
    waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)), 60_000);
    assert.deepEqual(fleet.losses(), []);
  });
}

test("restored: with the fleet record that an agent had last, a rotation since the backup is not undone", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  const copy = fleet.registry.copy();
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)));
  offer(fleet, [2]);
  fleet.run(5_000);
  const known = stateOf(fleet, a).durable.fleet;
  assert.ok(known !== null);
  fleet.registry.fallBack(null);
  fleet.run(10_000);
  fleet.registry.fallBack({ ...copy, fleet: { version: known.version, value: known.record } }, 1_000_000);
  offer(fleet, [2, 3]);
  waitUntil(fleet, "the fleet runs key 3", () => runsOnly(fleet, testKey(3)), 60_000);
  assert.deepEqual(fleet.losses(), []);
});
