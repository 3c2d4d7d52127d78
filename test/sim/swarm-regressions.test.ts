/** What seeds of the swarm found, each as the shortest run that shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import { splitSpi } from "../../src/core/spi.js";
import { SimFleet, type LogLine } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { ask, giveKeys, holds, isOn, startFleet, waitFor } from "./scripted.js";

const [a, b, c] = ["a", "b", "c"] as NodeName[] as [NodeName, NodeName, NodeName];

function slotsOfKey(fleet: SimFleet, name: NodeName, keyId: number): number {
  return [...fleet.node(name).kernel.slots()].filter((slot) => splitSpi(slot.spi).keyId === keyId).length;
}

function logged(fleet: SimFleet, message: string): readonly LogLine[] {
  return fleet.logs.filter((line) => line.message === message);
}

test("seed 1283: a staging that an emergency began outlives its order and a restart", () => {
  const jitter = { enabled: true, mode: "uniform", maxMs: 60_000, minNodes: 0 } as const;
  const fleet = startFleet({ coordination: "pairwise", nodes: ["a", "b", "c"], agent: { jitter } });
  fleet.hold(c, "reports");
  for (const name of [a, b, c]) giveKeys(fleet, name, 1, 2);
  ask(fleet, "rotate", testKey(1));
  waitFor(fleet, "b sends with 2", () => (fleet.node(b).agent?.loop.inspect()?.state.tally.onNext ?? 0) > 0);
  fleet.registry.setRequest(null);
  fleet.run(10);
  fleet.killAgent(a);
  fleet.run(50);
  fleet.startAgent(a);
  fleet.run(1_000);
  assert.ok(slotsOfKey(fleet, a, 2) > 0, "a keeps what its peers send with");
  assert.deepEqual(fleet.losses(), []);
});

/** A has switched both address families to 2 when the abort comes, and only one goes back at the first attempt. */
function abortHalfway(): SimFleet {
  const fleet = new SimFleet({
    seed: 1,
    coordination: "pairwise",
    registryDelayMs: () => 1,
    operationMs: () => 0.1,
    packetIntervalMs: 1,
  });
  fleet.addNode("a", [testKey(1)], "10.0.0.1,fd00::1");
  fleet.addNode("b", [testKey(1)], "10.0.0.2,fd00::2");
  waitFor(fleet, "the first key is in use", () => isOn(fleet, testKey(1)));
  fleet.run(500);
  fleet.hold(b, "reports");
  for (const name of [a, b]) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "a has switched", () => fleet.node(a).agent?.loop.inspect()?.state.tally.onNext === 1);
  fleet.hold(a, "request");
  ask(fleet, "abort", testKey(2));
  waitFor(fleet, "b refuses 2", () => fleet.registry.report(b)?.refused.length === 1);
  let operations = 0;
  fleet.node(a).kernel.fails = () => (operations += 1) % 2 === 0;
  fleet.release(b, "reports");
  return fleet;
}

test("seed 891: a key that one address family still sends with is not said to be left", () => {
  const fleet = abortHalfway();
  fleet.run(200);
  assert.ok(slotsOfKey(fleet, b, 2) > 0, "a's other family still sends with 2");
  fleet.node(a).kernel.fails = () => false;
  waitFor(fleet, "both are back on 1", () => isOn(fleet, testKey(1)) && !holds(fleet, b, testKey(2)));
  assert.deepEqual(fleet.losses(), []);
});

test("seed 2675: an agent that dies while it deletes a departed node adopts its state", () => {
  const fleet = startFleet({ coordination: "barrier", nodes: ["a", "b", "c"] });
  const address = fleet.node(c).addresses.ipv4;
  const { kernel, disk } = fleet.node(a);
  fleet.leave(c);
  const isDeleted = (): boolean => ![...kernel.slots()].some((slot) => slot.remote.address === address);
  while (!isDeleted()) fleet.run(0.05);
  assert.ok(disk.read("nodes.json")?.includes(`"name":"c"`), "the checkpoint still has c");
  fleet.killAgent(a);
  fleet.run(50);
  fleet.startAgent(a);
  fleet.run(2_000);
  assert.equal(logged(fleet, "new incarnation").length, 3, "the three first lives");
  assert.ok(!disk.read("nodes.json")?.includes(`"name":"c"`), "and the deletion is done");
  assert.deepEqual(fleet.losses(), []);
});

test("seed 36: an agent that dies before its disk has a peer's new life adopts its state", () => {
  const fleet = startFleet({ coordination: "pairwise", nodes: ["a", "b"], saveMs: () => 200 });
  const { kernel, disk } = fleet.node(a);
  const outbound = (): readonly number[] => [...kernel.slots()].flatMap((slot) => (slot.direction === "out" ? [slot.spi] : []));
  const before = outbound();
  fleet.rebootHost(b);
  fleet.startAgent(b);
  waitFor(fleet, "a deletes its SA to b's former life", () => !outbound().includes(before[0] ?? 0));
  assert.ok(disk.isBusy, "and its disk has only that one yet");
  fleet.killAgent(a);
  fleet.run(50);
  fleet.startAgent(a);
  fleet.run(3_000);
  assert.equal(logged(fleet, "new incarnation").length, 3, "two first lives, and one of b's host");
  assert.deepEqual(fleet.losses(), []);
});
