/** A dozen kill points: each phase of a barrier rotation, of agent, controller and dataplane. */
import { test } from "node:test";
import { checkKillRun, planKillPoints, runKillPoints } from "../support/kill-points.js";

const nodes = 4;
const seed = Number(process.env["SPINDLE_TEST_SEED"] ?? 7);

test("kill points: each program may die in each phase of a rotation", async () => {
  const phases = ["staging", "staged", "draining", "steady"] as const;
  const points = planKillPoints(seed, nodes, phases, 1);
  const run = await runKillPoints({ nodes, seed, slowNodeMs: 300, drainMs: 500 }, points);
  checkKillRun(`barrier, seed ${seed}`, run);
});
