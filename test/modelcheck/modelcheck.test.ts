/** `spindle modelcheck` as a user runs it: the real rules hold in small worlds, and guards taken away are found out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSpindle } from "../support/lab.js";

for (const coordination of ["barrier", "pairwise"]) {
  test(`modelcheck: a rotation of two nodes holds in every interleaving, ${coordination}`, async () => {
    const { code, stdout, stderr } = await runSpindle("modelcheck", "--coordination", coordination);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /holds: S1, S2 and S4 in every state/);
    assert.match(stdout, /bounded:/);
  });
}

test("modelcheck: a node that reports a key before it holds it is found out, in the fewest steps", async () => {
  const words = ["--coordination", "pairwise", "--mutant", "advertise-before-staged"];
  const { code, stdout } = await runSpindle("modelcheck", ...words);
  assert.equal(code, 1);
  assert.match(stdout, /counterexample, 8 steps/);
  assert.match(stdout, /S1: \w sends to \w with key 2, and \w does not hold its SA/);
});

test("modelcheck: a limit that comes first is said, with exit code 4", async () => {
  const { code } = await runSpindle("modelcheck", "--coordination", "pairwise", "--joins", "1", "--reboots", "1", "--states-max", "5000");
  assert.equal(code, 4);
});
