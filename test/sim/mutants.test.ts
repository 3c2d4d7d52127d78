/**
 * Every guard that can be taken away is missed by something: in the swarm by a checker within a number of seeds, or by a
 * named trace where a swarm would look too long. Prints the table that docs/reference/verification.md keeps.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Invariant } from "../../src/sim/checkers/checker.js";
import { mutantNamed, mutants } from "../../src/sim/mutants/named-mutants.js";
import { runSwarmSeed } from "../../src/sim/swarm/swarm-seed.js";
import { readFile } from "../support/repository.js";

/** The checker that must be among those that catch it. */
const caughtBySwarm: Readonly<Record<string, Invariant>> = {
  "advertise-before-staged": "S1",
  "switch-without-evidence": "S1",
  "through-without-receiver": "S1",
  "evidence-without-incarnation": "S1",
  "staged-as-newest": "L1",
  "retire-by-timer": "S2",
  "retire-without-drain": "S2",
  "flush-on-start": "S1",
  "act-before-saved": "S4",
  "drop-a-deletion": "L1",
  "resurrect-restored-node": "S1",
  "incarnation-ignored": "S4",
  "touch-foreign": "S6",
  "plain-until-covered": "S3",
  "commit-before-validate": "L1",
  "abort-one-phase": "S1",
  "abort-after-retire": "S1",
  "abandon-reported": "S1",
  "never-abandon": "L1",
  "level-before-applied": "S1",
  "level-skipped": "S1",
};

/** What catches the others, by the file under test/sim and the name of the test in it. */
const caughtByTrace: Readonly<Record<string, readonly [file: string, trace: string]>> = {
  "jitter-ignored": ["budget.test.ts", "jitter-ignored is a crowd"],
  "edge-triggered-acks": ["coordination-traces.test.ts", "edge-triggered-acks waits"],
  "older-registry-obeyed": ["rolled-back-registry.test.ts", "older-registry-obeyed loses packets"],
  "two-leaders-no-cas": ["coordination-traces.test.ts", "two-leaders-no-cas aborts"],
  "keep-skipped": ["traces.test.ts", "skip-bound-key: the mutant"],
  "taken-spi-kept": ["failed-operations.test.ts", "taken-spi-kept waits"],
  "level-without-drain": ["level-moves.test.ts", "level-without-drain deletes"],
  "require-while-plain": ["level-moves.test.ts", "require-while-plain cuts"],
  "retired-key-after-off": ["level-moves.test.ts", "retired-key-after-off begins"],
  "begins-plain-while-closing": ["level-moves.test.ts", "begins-plain-while-closing lets"],
  "switch-without-proof": ["path-proof.test.ts", "switch-without-proof loses"],
  "plain-without-proof": ["path-proof-from-plain.test.ts", "plain-without-proof loses"],
  "refuse-while-probing": ["path-proof.test.ts", "refuse-while-probing loses"],
  "exclude-after-outage": ["traces.test.ts", "exclude-after-outage: the mutant"],
};

const seedsMax = 60;

test("mutants: each is caught by the swarm or by a named trace, and no other is listed", () => {
  const listed = [...Object.keys(caughtBySwarm), ...Object.keys(caughtByTrace)];
  assert.deepEqual(listed.sort(), [...mutants.keys()].sort());
});

for (const [name, [file, trace]] of Object.entries(caughtByTrace)) {
  test(`mutants: the trace that catches ${name} is there`, () => {
    assert.ok(readFile(`test/sim/${file}`).includes(trace), `${file} has no ${trace}`);
  });
}

for (const [name, invariant] of Object.entries(caughtBySwarm)) {
  test(`mutants: ${name} is caught by ${invariant} within ${seedsMax} seeds`, () => {
    for (let seed = 1; seed <= seedsMax; seed += 1) {
      const { violations } = runSwarmSeed(seed, { mutant: mutantNamed(name) });
      const caught = violations.find((violation) => violation.invariant === invariant);
      if (caught === undefined) continue;
      console.log(`${name}: ${invariant}, seed ${seed}: ${caught.cause ?? caught.message}`);
      return;
    }
    assert.fail(`${seedsMax} seeds have not missed the guard: ${mutantNamed(name).without}`);
  });
}

test("mutants: verification.md names every one", () => {
  const page = readFile("docs/reference/verification.md");
  for (const name of mutants.keys()) assert.ok(page.includes(`\`${name}\``), name);
});
