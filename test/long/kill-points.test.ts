/**
 * Kill -9 at 60 seeded moments: each phase of a rotation with agent, controller and dataplane at
 * least twice.
 */
import { test } from "node:test";
import { checkKillRun, planKillPoints, runKillPoints } from "../support/kill-points.js";

const nodes = 4;
const seed = Number(process.env["SPINDLE_TEST_SEED"] ?? 1);
const short = { nodes, seed, slowNodeMs: 300, drainMs: 500 };

test("kill points: each phase behind the barrier, three times", async () => {
  const phases = ["staging", "staged", "draining", "steady"] as const;
  const points = planKillPoints(seed, nodes, phases, 3);
  checkKillRun(`barrier, seed ${seed}`, await runKillPoints(short, points));
});

test("kill points: while a node waits (jitter), twice", async () => {
  const points = planKillPoints(seed + 1, nodes, ["waiting"], 2);
  const run = await runKillPoints({ ...short, jitter: "slotted" }, points);
  checkKillRun(`barrier with jitter, seed ${seed + 1}`, run);
});

test("kill points: each phase pairwise, twice", async () => {
  const phases = ["staging", "staged", "switched", "draining", "steady"] as const;
  const points = planKillPoints(seed + 2, nodes, phases, 2);
  const run = await runKillPoints({ ...short, coordination: "pairwise" }, points);
  checkKillRun(`pairwise, seed ${seed + 2}`, run);
});
