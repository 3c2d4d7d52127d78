/** Guards of how the programs hear of each other: with each taken away, the same script does not come to rest. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import type { ControllerPorts } from "../../src/runtime/controller-loop.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { alwaysLeading } from "../../src/sim/mutants/coordination.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import type { SimOptions } from "../../src/sim/options.js";
import { testKey } from "../support/fleet-snapshot.js";
import { ask, giveKeys, holds, isOn, isPhase, startFleet, waitFor } from "./scripted.js";

const [a, b] = ["a", "b"] as NodeName[] as [NodeName, NodeName];

/** B is cut off after it has reported; all that A then says is said while B is away. */
function speakToTheAbsent(changes: Partial<SimOptions>): boolean {
  const fleet = startFleet({ coordination: "pairwise", ...changes });
  giveKeys(fleet, b, 1, 2);
  waitFor(fleet, "b holds 2", () => holds(fleet, b, testKey(2)));
  fleet.partition(b);
  giveKeys(fleet, a, 1, 2);
  fleet.run(500);
  fleet.heal(b);
  return fleet.runUntil(() => isOn(fleet, testKey(2)), 20_000);
}

test("acknowledgements: what was said while a node was away counts when it is back", () => {
  assert.ok(speakToTheAbsent({}));
});

test("acknowledgements: the mutant edge-triggered-acks waits for them for ever", () => {
  assert.ok(!speakToTheAbsent(mutantNamed("edge-triggered-acks").changes));
});

/** Two controllers lead; the second does not hear that the rotation went on, outlives the first, and is asked to abort. */
function abortByTheDeaf(wrap: (name: string, ports: ControllerPorts) => ControllerPorts): SimFleet {
  let isDeaf = false;
  const deaf = (ports: ControllerPorts): ControllerPorts => ({
    ...ports,
    registry: {
      ...ports.registry,
      watchFleet: (listener) => ports.registry.watchFleet((event) => void (isDeaf || listener(event))),
      watchReports: (listener) => ports.registry.watchReports((event) => void (isDeaf || listener(event))),
    },
  });
  const wrapControllerPorts = (name: string, ports: ControllerPorts): ControllerPorts =>
    name === "controller-1" ? deaf(wrap(name, ports)) : wrap(name, ports);
  const fleet = startFleet({ coordination: "barrier", wrapControllerPorts });
  fleet.addController();
  fleet.run(500);
  for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "the first barrier is passed", () => isPhase(fleet, "staged"));
  fleet.run(5);
  isDeaf = true;
  waitFor(fleet, "the rotation ended", () => isPhase(fleet, "steady") && isOn(fleet, testKey(2)));
  fleet.killController(0);
  ask(fleet, "abort", testKey(2));
  fleet.run(5_000);
  return fleet;
}

test("two leaders: a decision upon an old record is not written", () => {
  const fleet = abortByTheDeaf((_name, ports) => ({ ...ports, registry: alwaysLeading(ports.registry) }));
  assert.ok(isPhase(fleet, "steady") && isOn(fleet, testKey(2)));
});

test("two leaders: the mutant two-leaders-no-cas aborts a rotation that has ended", () => {
  const mutant = mutantNamed("two-leaders-no-cas").changes.wrapControllerPorts;
  assert.ok(mutant !== undefined);
  const fleet = abortByTheDeaf(mutant);
  assert.ok(!isPhase(fleet, "steady"), `the record is ${fleet.registry.fleet?.phase}`);
});
