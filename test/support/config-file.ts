/** A configuration file in a folder of its own, for the tests that load one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { AgentConfig } from "../../src/cli/config/agent.js";
import type { ControllerConfig } from "../../src/cli/config/controller.js";
import { loadAgentConfig, loadControllerConfig, type Loaded } from "../../src/cli/config/load.js";
import { faultOf, type Fault } from "../../src/cli/exit.js";

export const folder = mkdtempSync(join(tmpdir(), "spindle-config-"));
after(() => rmSync(folder, { recursive: true }));

export const file = join(folder, "config.yaml");

/** The smallest agent file. */
export const agentLines = [
  "schemaVersion: 1",
  "node: { name: node-1, addresses: { ipv4: 192.0.2.1 } }",
  "stateDir: state",
  "registry: { socket: registry.sock }",
  "keyFile: { path: keys }",
  "dataplane: { socket: dataplane.sock }",
];

/** The smallest controller file. */
export const controllerLines = ["schemaVersion: 1", "name: controller-1", "stateDir: state"];

export function loadAgent(lines: readonly string[]): Promise<Loaded<AgentConfig>> {
  writeFileSync(file, `${lines.join("\n")}\n`);
  return loadAgentConfig(file);
}

export function loadController(lines: readonly string[]): Promise<Loaded<ControllerConfig>> {
  writeFileSync(file, `${lines.join("\n")}\n`);
  return loadControllerConfig(file);
}

/** The fault that the loading must end with. */
export async function faultIn(loading: Promise<unknown>): Promise<Fault> {
  try {
    await loading;
  } catch (cause) {
    return faultOf(cause);
  }
  return assert.fail("the file was accepted");
}
