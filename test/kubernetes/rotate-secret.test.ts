/** `spindle rotate --secret`, as two operators run it at once. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import { writeNextKey } from "../../src/cli/operator/next-key-secret.js";
import { succeeds } from "../contract/recorder.js";
import { fleetRecord } from "../contract/registry-records.js";
import { clientOf, skipWithoutKubernetes, startWithDefinitions } from "../support/kubernetes.js";
import { root } from "../support/repository.js";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function rotate(config: string, ...words: string[]): Promise<Ended> {
  const program = join(root, "dist/src/cli/main.js");
  const args = [program, "rotate", "--config", config, ...words, "--json"];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 30_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test("rotate --secret: one of two operators wins, the other is told; and nothing while a rotation runs", {
  skip: skipWithoutKubernetes,
  timeout: 90_000,
}, async (context: TestContext) => {
  const { server, client } = await startWithDefinitions(context);
  const folder = mkdtempSync(join(tmpdir(), "spindle-rotate-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const config = join(folder, "controller.yaml");
  const kubernetes = { kubeconfig: server.writeKubeconfig("administrator", "default") };
  const registrySection = { kind: "kubernetes", kubernetes };
  const document = { schemaVersion: 1, name: "c", stateDir: folder, registry: registrySection };
  writeFileSync(config, JSON.stringify(document));
  await writeNextKey(client, { name: "fleet-keys", file: "keys", ring: 255 }, null);
  const registry = registryOver(clientOf(server, "default"), {
    skipped: () => undefined,
    log: { write: () => undefined },
  });
  context.after(() => registry.close());
  const steady = fleetRecord(1, 1);
  const version = await succeeds<number>((done) => registry.writeFleet(steady, 0, done));

  const both = await Promise.all([
    rotate(config, "--secret", "fleet-keys"),
    rotate(config, "--secret", "fleet-keys"),
  ]);
  const [won, lost] = both[0].code === 0 ? both : [both[1], both[0]];
  assert.equal(won.code, 0, won.stderr);
  assert.deepEqual(JSON.parse(won.stdout), { keyId: 2, secret: "fleet-keys" });
  assert.equal(lost.code, 1);
  assert.match(lost.stderr, /SECRET_(CONFLICT|AHEAD)/);

  const running = { ...steady, phase: "staging" as const, target: steady.current };
  await succeeds<number>((done) => registry.writeFleet(running, version, done));
  const refused = await rotate(config, "--secret", "fleet-keys");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /ROTATION_RUNNING/);
  assert.equal((await rotate(config, "--secret", "x", "--dry-run")).code, 2, "not both");
});
