/** A step that looks only at the peers that changed decides what a step over all peers decides. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import { makePrng } from "../../src/core/prng.js";
import { SimFleet } from "../../src/sim/fleet.js";
import { runSwarmSeed } from "../../src/sim/swarm/swarm-seed.js";
import { testKey } from "../support/fleet-snapshot.js";
import { makeOracle, type Oracle } from "./oracle.js";
import { isOn } from "./scripted.js";

function assertAgrees({ counts, differences }: Oracle, peers: number): void {
  assert.deepEqual(differences, []);
  assert.ok(counts.quick > counts.steps / 4, `only ${counts.quick} of ${counts.steps} steps were quick`);
  assert.ok(counts.peersMax >= peers, `at most ${counts.peersMax} peers`);
}

const [from, to] = [1, 20];

test(`oracle: seeds ${from} to ${to} of the swarm`, () => {
  const oracle = makeOracle();
  for (let seed = from; seed <= to; seed += 1) {
    const { violations } = runSwarmSeed(seed, { changes: { step: () => oracle.step } });
    assert.deepEqual(violations, [], `seed ${seed}`);
    assert.deepEqual(oracle.differences, [], `seed ${seed}`);
  }
  assertAgrees(oracle, 4);
});

test(`oracle: seeds ${from} to ${to} of the swarm whose paths fail`, () => {
  const oracle = makeOracle();
  for (let seed = from; seed <= to; seed += 1) {
    runSwarmSeed(seed, { garbles: true, changes: { step: () => oracle.step } });
    assert.deepEqual(oracle.differences, [], `seed ${seed}`);
  }
  assertAgrees(oracle, 4);
});

/** Joins, leaves, reboots, restarts and tampering while the key rotates, in a fleet of about 30. */
function churn(coordination: "barrier" | "pairwise", oracle: Oracle): SimFleet {
  const prng = makePrng(7);
  const fleet = new SimFleet({
    seed: 7,
    coordination,
    agent: { massDeletionShare: 1 },
    packetIntervalMs: 100,
    step: () => oracle.step,
  });
  if (coordination === "barrier") fleet.addController();
  for (let i = 0; i < 24; i += 1) fleet.addNode(`n${i}`, [testKey(1)]);
  fleet.run(2_000);
  for (const name of fleet.live()) fleet.setKeys(name, [testKey(1), testKey(2)]);
  for (let round = 0; round < 12; round += 1) {
    const victim = `n${prng.below(24)}` as NodeName;
    if (round % 4 === 0) fleet.reboot(victim);
    if (round % 4 === 1) fleet.addNode(`late-${round}`, [testKey(1), testKey(2)]);
    if (round % 4 === 2) fleet.killAgent(victim);
    if (round % 4 === 3 && fleet.live().includes(victim)) fleet.leave(victim);
    fleet.run(prng.below(150));
    for (const name of fleet.live()) fleet.startAgent(name);
  }
  return fleet;
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`oracle: churn in a fleet of 24 to 27 nodes during a rotation (${coordination})`, () => {
    const oracle = makeOracle();
    const fleet = churn(coordination, oracle);
    assert.ok(fleet.runUntil(() => isOn(fleet, testKey(2)), 30_000), "the rotation ended");
    assert.deepEqual(fleet.losses(), []);
    assertAgrees(oracle, 23);
  });
}

test("oracle: a step that forgets a touched peer is caught", () => {
  const oracle = makeOracle();
  const fleet = new SimFleet({
    seed: 1,
    coordination: "pairwise",
    step: () => (state, observation, nowMs, options) => {
      const touched = observation.touched === "all" ? ("all" as const) : new Set([...observation.touched].slice(1));
      return oracle.step(state, { ...observation, touched }, nowMs, options);
    },
  });
  for (const name of ["a", "b", "c"]) fleet.addNode(name, [testKey(1)]);
  fleet.run(3_000);
  assert.notDeepEqual(oracle.differences, []);
});
