/** An agent whose configuration says another IPsec mode than its documents is refused before it has touched kernel or registry. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openStateDirectory } from "../../src/adapters/storage/state-directory.js";
import { runCommand } from "../support/netlink/command.js";

const addresses = { ipv4: "192.0.2.1", ipv6: null, udpPort: null };
const documents = {
  "state.json": { schemaVersion: 1, incarnation: { id: "1".padStart(32, "0"), addresses } },
  "nodes.json": { schemaVersion: 1, nodes: [{ entry: { name: "peer", addresses: { ...addresses, ipv4: "192.0.2.2" } } }] },
} as const;

test("agent: another mode than its peers' is refused, with what to do, and its documents stay", async () => {
  const folder = mkdtempSync(join(tmpdir(), "spindle-mode-"));
  const stateDir = join(folder, "state");
  const storage = await openStateDirectory(stateDir, { write: () => undefined });
  for (const [name, document] of Object.entries(documents)) {
    await new Promise<void>((resolve, reject) =>
      storage.save(name, () => JSON.stringify(document), (result) => (result.ok ? resolve() : reject(new Error(result.error.code)))),
    );
  }
  await storage.close();
  const config = join(folder, "agent.yaml");
  const lines = [
    "schemaVersion: 1",
    `stateDir: ${stateDir}`,
    "node: { name: here, addresses: { ipv4: 192.0.2.1 }, cidrs: [10.1.0.0/24] }",
    `keyFile: { path: ${join(folder, "keys")} }`,
    "dataplane: { kind: kernel, ipsecMode: tunnel }",
    `registry: { socket: ${join(folder, "nobody")} }`,
  ];
  writeFileSync(config, lines.join("\n"));
  const { exitCode, stderr } = await runCommand(["agent", "--config", config]);
  assert.equal(exitCode, 3, stderr);
  assert.match(stderr, /IPSEC_MODE_CHANGED.*transport mode, as 1 of its peers/s);
  assert.match(stderr, /spindle level off/);
  rmSync(folder, { recursive: true });
});
