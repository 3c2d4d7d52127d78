/** Drawn links, times and faults, and every guard taken away once. A failure prints its seed, which gives the same run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gatewayMutants } from "../../src/sim/gateway/mutants.js";
import { runGatewaySeed } from "../../src/sim/gateway/swarm.js";
import { readFile } from "../support/repository.js";

const firstSeed = Number(process.env["GATEWAY_SWARM_FROM"] ?? 1);
const lastSeed = Number(process.env["GATEWAY_SWARM_TO"] ?? 25);

test(`gateway swarm: seeds ${firstSeed} to ${lastSeed} hold G1 and come to rest`, () => {
  for (let seed = firstSeed; seed <= lastSeed; seed += 1) {
    const { violations, faults } = runGatewaySeed(seed);
    assert.deepEqual(violations, [], `GATEWAY_SWARM_FROM=${seed} GATEWAY_SWARM_TO=${seed}\n${faults.join("\n")}`);
  }
});

test("gateway swarm: the same seed gives the same run", () => {
  const [one, other] = [runGatewaySeed(7), runGatewaySeed(7)];
  assert.deepEqual(one.fleet.logs, other.fleet.logs);
  assert.equal(one.fleet.time.events, other.fleet.time.events);
});

const seedsMax = 40;

for (const mutant of gatewayMutants) {
  test(`gateway mutants: ${mutant.name} is caught within ${seedsMax} seeds`, () => {
    for (let seed = 1; seed <= seedsMax; seed += 1) {
      const [first] = runGatewaySeed(seed, mutant).violations;
      if (first === undefined) continue;
      console.log(`${mutant.name}: ${first.invariant}, seed ${seed}: ${first.message}`);
      return;
    }
    assert.fail(`${seedsMax} seeds have not missed the guard: ${mutant.without}`);
  });
}

test("gateway mutants: verification.md names every one", () => {
  const page = readFile("docs/reference/verification.md");
  for (const { name } of gatewayMutants) assert.ok(page.includes(`\`${name}\``), name);
});
