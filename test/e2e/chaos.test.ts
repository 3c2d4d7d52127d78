/**
 * Faults of registry members, agents and controller during rotations under traffic: nothing is lost,
 * and the fleet converges. `SPINDLE_SEED` repeats a run; test/long has more of them.
 */
import { test } from "node:test";
import { runChaos, runOutage } from "../support/chaos/run.js";
import { skipWithoutEtcd } from "../support/etcd.js";

const skip = await skipWithoutEtcd();
const seed = Number(process.env["SPINDLE_SEED"] ?? 3);
const fleet = { seed, nodes: 4, faultsPerRotation: 8 };
const awayMs = 8_000;

test("chaos: kill, stop and cut of members, agents and controller lose nothing", { skip }, async (context) => {
  context.diagnostic(`seed ${seed}`);
  await runChaos({ ...fleet, rotations: 1, coordination: "barrier" });
});

test("chaos: the registry is away in a rotation, traffic goes on, and so does the rotation", { skip }, async () => {
  await runOutage({ ...fleet, rotations: 2, coordination: "barrier" }, awayMs);
});
