/** `spindle rotate --secret`, as two operators run it at once. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import { writeNextKey } from "../../src/cli/operator/next-key-secret.js";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import type { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import type { RotationResult } from "../../src/cli/operator/rotation-result.js";
import type { SingleEvent } from "../../src/ports/registry.js";
import { Recorder, succeeds } from "../contract/recorder.js";
import { fleetRecord, key } from "../contract/registry-records.js";
import { clientOf, skipWithoutKubernetes, startWithDefinitions } from "../support/kubernetes.js";
import { startJoiningFleet } from "../support/joining-fleet.js";
import { root } from "../support/repository.js";

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param said told of each piece of stderr */
function rotate(config: string, words: readonly string[], said: (text: string) => void = () => undefined): Promise<Ended> {
  const program = join(root, "dist/src/cli/main.js");
  const args = [program, "rotate", "--config", config, ...words, "--json"];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stderr?.on("data", said);
  });
}

const bySecret = ["--secret", "fleet-keys"];

function writeConfig(context: TestContext, server: KubernetesServer): string {
  const folder = mkdtempSync(join(tmpdir(), "spindle-rotate-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const config = join(folder, "controller.yaml");
  const kubernetes = { kubeconfig: server.writeKubeconfig("administrator", "default") };
  const registry = { kind: "kubernetes", kubernetes };
  writeFileSync(config, JSON.stringify({ schemaVersion: 1, name: "c", stateDir: folder, registry }));
  return config;
}

test("rotate --secret: one of two operators wins, the other is told; and nothing while a rotation runs", {
  skip: skipWithoutKubernetes,
  timeout: 90_000,
}, async (context: TestContext) => {
  const { server, client } = await startWithDefinitions(context);
  const config = writeConfig(context, server);
  await writeNextKey(client, { name: "fleet-keys", file: "keys", ring: 255 }, { current: null, refused: [] }, true);
  const registry = registryOver(clientOf(server, "default"), {
    skipped: () => undefined,
    log: { write: () => undefined },
  });
  context.after(() => registry.close());
  const steady = fleetRecord(1, 1);
  const version = await succeeds<number>((done) => registry.writeFleet(steady, 0, done));

  const both = await Promise.all([
    rotate(config, bySecret),
    rotate(config, bySecret),
  ]);
  const [won, lost] = both[0].code === 0 ? both : [both[1], both[0]];
  assert.equal(won.code, 0, won.stderr);
  const result = { schemaVersion: 1, command: "rotate", rotation: null, from: 1, to: 2, record: null };
  assert.deepEqual(JSON.parse(won.stdout), { ...result, outcome: "distributed" });
  assert.equal(lost.code, 1);
  assert.match(lost.stderr, /SECRET_(CONFLICT|AHEAD)/);

  const running = { ...steady, phase: "staging" as const, target: steady.current };
  await succeeds<number>((done) => registry.writeFleet(running, version, done));
  const refused = await rotate(config, bySecret);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /ROTATION_RUNNING/);
  assert.equal((await rotate(config, ["--secret", "x", "--dry-run"])).code, 2, "not both");
});

test("rotate --secret --wait: from the key in the Secret to the end of the rotation to it, and of no other; the time-out detaches", {
  skip: skipWithoutKubernetes,
  timeout: 120_000,
}, async (context: TestContext) => {
  const { server, client } = await startWithDefinitions(context);
  const config = writeConfig(context, server);
  await writeNextKey(client, { name: "fleet-keys", file: "keys", ring: 255 }, { current: null, refused: [] }, true);
  const kubeconfig = server.writeKubeconfig("administrator", "default");
  const target = { kind: "kubernetes", kubeconfig, context: null, namespace: null } as const;
  const fleet = await startJoiningFleet(context, target, "barrier");
  const agents = await Promise.all([fleet.join(0), fleet.join(1), fleet.join(2)]);
  const records = new Recorder<SingleEvent<FleetRecord>>(60_000);
  const registry = registryOver(clientOf(server, "default"), {
    skipped: () => undefined,
    log: { write: () => undefined },
  });
  context.after(() => registry.close());
  context.after(registry.watchFleet(records.listener));
  const steadyOn = (keyId: number): Promise<unknown> =>
    records.first((event) => {
      const record = event.kind === "value" ? event.object.value : null;
      return record?.phase === "steady" && record.current?.keyId === keyId;
    });
  const offer = (...ids: readonly number[]): void => {
    for (const agent of agents) agent.offer(ids.map(key));
  };
  await steadyOn(1);

  const detached = await rotate(config, [...bySecret, "--wait", "--timeout", "3s"]);
  assert.equal(detached.code, 4, detached.stderr);
  assert.match(detached.stderr, /key 2 is offered by 0 of 3 nodes/);
  assert.deepEqual(endOf(detached), { outcome: "detached", from: 1, to: 2, audit: undefined });
  offer(1, 2);
  await steadyOn(2);

  // The Secret reaches the nodes once the command says that the key is in it.
  const done = await rotate(config, [...bySecret, "--wait"], (said) => {
    if (said.includes("key 3 is in Secret")) offer(2, 3);
  });
  assert.equal(done.code, 0, done.stderr);
  assert.deepEqual(endOf(done), { outcome: "done", from: 2, to: 3, audit: "done" });

  // Somebody else's key reaches them instead.
  const replaced = await rotate(config, [...bySecret, "--wait"], (said) => {
    if (said.includes("key 4 is in Secret")) offer(3, 5);
  });
  assert.equal(replaced.code, 1, replaced.stderr);
  assert.match(replaced.stderr, /rotation \d+ to key 5 came between; key 4 is waited for/);
  assert.deepEqual(endOf(replaced), { outcome: "replaced", from: 3, to: 4, audit: undefined });
});

function endOf({ stdout }: Ended): object {
  const { outcome, from, to, record } = JSON.parse(stdout) as RotationResult;
  return { outcome, from, to, audit: record?.outcome };
}
