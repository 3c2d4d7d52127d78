/** Units for hosts without Kubernetes: what systemd itself says of them, and that they start what there is. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readFile, root } from "../support/repository.js";

const folder = "deploy/systemd";
const units = readdirSync(join(root, folder));
/** systemd counts exposure from 0 to 10, "OK" below 5; a daemon that may change the network is not at 0. */
const exposureMax = 2.5;

function analyze(...words: readonly string[]): string {
  const { stdout, stderr } = spawnSync("systemd-analyze", words, { cwd: root, encoding: "utf8" });
  return `${stdout}${stderr}`;
}

const daemons = ["spindle-agent.service", "spindle-controller.service"];

test("systemd: there is a unit for each daemon of a fleet, and one for what comes before them", () => {
  assert.deepEqual(units.sort(), [...daemons, "spindle-guard.service"]);
});

test("systemd: the guard blocks before there is a network, with the agent's configuration", () => {
  const text = readFile(join(folder, "spindle-guard.service"));
  assert.match(text, /^Before=network-pre\.target /m);
  assert.match(text, /^Wants=network-pre\.target$/m);
  assert.match(text, /^ExecStart=\S+ guard --config \/etc\/spindle\/agent\.yaml$/m);
  assert.match(readFile(join(folder, "spindle-agent.service")), / agent --config \/etc\/spindle\/agent\.yaml$/m);
});

for (const unit of units) {
  test(`systemd: ${unit} is understood in full`, () => {
    const notInstalled = /Command \/usr\/bin\/spindle is not executable/;
    const complaints = analyze("verify", join(folder, unit)).split("\n").filter((line) => line !== "" && !notInstalled.test(line));
    assert.deepEqual(complaints, []);
  });

  test(`systemd: ${unit} is hardened`, () => {
    const exposure = /exposure level for \S+: ([\d.]+)/.exec(analyze("security", "--offline=true", join(folder, unit)))?.[1];
    assert.ok(Number(exposure) <= exposureMax, `exposure ${exposure ?? "unknown"}`);
  });
}

for (const unit of daemons) {
  test(`systemd: ${unit} keeps its state where the example configuration does`, () => {
    const text = readFile(join(folder, unit));
    const program = /spindle (agent|controller) --config/.exec(text)?.[1] ?? "";
    const example = readFile(`examples/${program}.yaml`);
    const stateDirectory = /StateDirectory=(\S+)/.exec(text)?.[1] ?? "none";
    assert.ok(example.includes(`stateDir: /var/lib/${stateDirectory}`));
    assert.ok(example.includes("socket: /run/spindle/registry.sock") && text.includes("RuntimeDirectory=spindle\n"));
  });
}
