/** More seeds of chaos, both coordinations, and a registry that is away for minutes. */
import { test } from "node:test";
import { runChaos, runOutage } from "../support/chaos/run.js";
import { skipWithoutEtcd } from "../support/etcd.js";

const skip = await skipWithoutEtcd();
const first = Number(process.env["SPINDLE_SEED"] ?? 100);
const seeds = 8;
const awayMs = 180_000;

for (let seed = first; seed < first + seeds; seed++) {
  const coordination = seed % 2 === 0 ? "barrier" : "pairwise";
  test(`chaos: seed ${seed}, ${coordination}`, { skip }, async () => {
    await runChaos({ seed, nodes: 5, rotations: 3, faultsPerRotation: 8, coordination });
  });
}

test("chaos: the registry is away for three minutes", { skip }, async () => {
  const options = { seed: first, nodes: 4, rotations: 2, faultsPerRotation: 0 };
  await runOutage({ ...options, coordination: "barrier" }, awayMs);
});
