/** The swarm with paths that fail now and then for one SPI: the same faults, and agents that prove their paths. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import { explainSwarmSeed, runSwarmSeed } from "../../src/sim/swarm/swarm-seed.js";

const from = Number(process.env["SWARM_FROM"] ?? 1);
const to = from + 39;

test(`path swarm: seeds ${from} to ${to} keep S1 to S6 and come to rest (L1)`, () => {
  let kept = 0;
  for (let seed = from; seed <= to; seed += 1) {
    const run = runSwarmSeed(seed, { garbles: true });
    assert.ok(run.violations.length === 0, explainSwarmSeed(run));
    kept += run.fleet.logs.filter(({ message }) => message === "probe failed, the peer stays on the old key").length;
  }
  console.log(`path swarm: ${kept} peers were kept on the old key`);
  assert.ok(kept >= 10, `${kept}`);
});

test("path swarm: switch-without-proof is caught by S1", () => {
  const mutant = mutantNamed("switch-without-proof");
  for (let seed = from; seed <= to; seed += 1) {
    const { violations } = runSwarmSeed(seed, { garbles: true, mutant });
    if (violations.some(({ invariant }) => invariant === "S1")) return void console.log(`caught by seed ${seed}`);
  }
  assert.fail("no seed has missed the proof");
});
