/** A fleet whose registry is lost after a rotation that the backup does not know of: real processes, and what an operator does. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  everybody,
  faultOf,
  offerNext,
  seeSteady,
  startSteadyFleet,
  succeed,
  type OperatedFleet,
} from "../support/operated-fleet.js";
import { spindle } from "../support/process-fleet.js";

test("registry: a lost one is brought back from a backup, and the fleet rotates on", async (t) => {
  const fleet = await startSteadyFleet(t);
  const file = join(fleet.processes.folder, "backup");
  const taken = JSON.parse((await succeed(fleet.run("registry backup", file, "--json"))).stdout) as object;
  assert.deepEqual({ ...taken, revision: 0 }, { schemaVersion: 1, file, registry: "embedded", nodes: 2, revision: 0 });
  await offerNext(fleet, everybody);
  await succeed(fleet.run("rotate --wait"));
  await seeSteady(fleet, 8);

  const told = everybody.map((node) => said(fleet, node, "REGISTRY_ROLLED_BACK"));
  await fleet.processes.restartController({}, () => loseRegistry(fleet));
  await Promise.all(told);
  await fleet.processes.restartController({}, async () => {
    await loseRegistry(fleet);
    const unsure = await fleet.run("registry restore", file, "--json");
    assert.deepEqual([unsure.exitCode, faultOf(unsure).code], [2, "BACKUP_FLEET_UNSURE"]);
    const states = everybody.map((node) => join(fleet.processes.folder, node, "state", "state.json"));
    const restored = await succeed(fleet.run("registry restore", file, "--json", "--state", ...states));
    const { nodes } = JSON.parse(restored.stdout) as { nodes: number };
    assert.equal(nodes, 2);
    const again = await fleet.run("registry restore", file, "--same-rotation", "--json");
    assert.deepEqual([again.exitCode, faultOf(again).code], [1, "REGISTRY_NOT_EMPTY"]);
  });
  await seeSteady(fleet, 8);
  await offerNext(fleet, everybody);
  await succeed(fleet.run("rotate --wait"));
  await seeSteady(fleet, 9);
});

test("registry: what is no backup, no state and no keeper is refused with exit code 2", async (t) => {
  const fleet = await startSteadyFleet(t, { start: "auto" });
  const { folder, controllerFile } = fleet.processes;
  const [file, broken] = [join(folder, "backup"), join(folder, "broken")];
  await succeed(fleet.run("registry backup", file));
  writeFileSync(broken, "{}");
  const refused = [
    [["restore", broken, "--config", controllerFile], "REGISTRY_BACKUP_INVALID"],
    [["restore", join(folder, "nothing"), "--config", controllerFile], "BACKUP_FILE_FAILED"],
    [["restore", file, "--config", controllerFile, "--state", broken], "AGENT_STATE_UNREADABLE"],
    [["restore", file, "--same-rotation", "--config", fleet.processes.agentFile("node-1")], "CONFIG_NOT_KEEPER"],
    [["backup", join(folder, "nowhere", "backup"), "--config", controllerFile], "BACKUP_FILE_FAILED"],
  ] as const;
  for (const [words, code] of refused) {
    const outcome = await spindle("registry", ...words, "--json");
    assert.deepEqual([outcome.exitCode, faultOf(outcome).code], [2, code]);
  }
});

function loseRegistry(fleet: OperatedFleet): Promise<void> {
  return rm(join(fleet.processes.folder, "controller", "registry"), { recursive: true });
}

/** Resolves when the agent's log has it. */
function said({ processes }: OperatedFleet, node: string, text: string): Promise<void> {
  return new Promise((resolve) => {
    processes.agents.get(node)?.stderr?.on("data", (chunk: Buffer) => {
      if (chunk.toString().includes(text)) resolve();
    });
  });
}
