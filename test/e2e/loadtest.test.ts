/** `spindle loadtest` on real registries: each way of rotating converges, and costs what it must. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { LoadRun } from "../../src/cli/loadtest/run.js";
import { skipWithoutEtcd } from "../support/etcd.js";
import { skipWithoutKubernetes } from "../support/kubernetes.js";
import { runSpindle, startSpindle, summaryOf } from "../support/lab.js";

interface Result {
  readonly registry: string;
  readonly agents: number;
  readonly ok: boolean;
  readonly runs: readonly LoadRun[];
}

const agents = 12;
/** Issue 5: a barrier rotation, besides renewals of leases. */
const writesPerAgentMax = 8;
const eventsPerAgentMax = 25;
const skipEtcd = await skipWithoutEtcd();

const all = ["pairwise", "pairwise-jitter", "pairwise-slotted", "barrier"];
/** The server of a run takes long to start where there is a Kubernetes. */
const cases = [
  { registry: "embedded", skip: false, expected: all },
  { registry: "etcd", skip: skipEtcd, expected: all },
  { registry: "kubernetes", skip: skipWithoutKubernetes, expected: ["pairwise", "barrier"] },
] as const;

for (const { registry, skip, expected } of cases) {
  test(`loadtest: ${registry}, the barrier costs each agent the same few events`, { skip }, async () => {
    const flags = ["--agents", String(agents), "--registry", registry, "--jitter", "1s"];
    const result = await runSpindle("loadtest", ...flags, "--runs", expected.join(","), "--json");
    assert.equal(result.code, 0, summaryOf(result));
    const { ok, runs, ...told } = JSON.parse(result.stdout) as Result;
    assert.deepEqual({ ok, ...told }, { ok: true, schemaVersion: 1, registry, agents });
    assert.deepEqual(runs.map(({ name }) => name), expected);
    for (const run of runs) assertMeasured(run, registry);
    const [pairwise] = runs;
    const barrier = runs.at(-1);
    assert.ok(pairwise !== undefined && barrier !== undefined);
    assert.ok(barrier.writesPerAgent <= writesPerAgentMax, JSON.stringify(barrier));
    assert.ok(barrier.watchEventsPerAgent <= eventsPerAgentMax, JSON.stringify(barrier));
    // At the least three reports of everybody, each told to everybody.
    assert.ok(pairwise.watchEvents >= 3 * agents * agents, JSON.stringify(pairwise));
  });
}

function assertMeasured(run: LoadRun, registry: string): void {
  const what = JSON.stringify(run);
  assert.ok(run.convergeMs !== null && run.convergeMs > 0, what);
  assert.equal(run.agentsAtRest, agents, what);
  assert.ok(run.writes >= 3 * agents && run.writesPerAgent === run.writes / agents, what);
  assert.ok(run.peakEventsPerSecond > 0 && run.peakEventsPerSecond <= run.watchEvents, what);
  assert.ok(run.cpuSeconds !== null && run.cpuSeconds >= 0, what);
  if (registry === "embedded") assert.equal(run.sentBytes, null, what);
  else assert.ok(run.sentBytes !== null && run.sentBytes > 0, what);
  assert.equal(run.forcedRetires, 0, what);
}

const refused: readonly (readonly [readonly string[], RegExp])[] = [
  [["--agents", "1"], /from 2 to 2000/],
  [["--registry", "zookeeper"], /embedded, etcd, kubernetes/],
  [["--jitter", "never"], /duration such as/],
  [["--runs", "barrier,mesh"], /some of pairwise, pairwise-jitter, pairwise-slotted, barrier/],
];

for (const [words, says] of refused) {
  test(`loadtest: ${words.join(" ")} is refused with exit code 2`, async () => {
    const { code, stderr, stdout } = await runSpindle("loadtest", ...words);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, "");
  });
}

test("loadtest: a fleet that does not come to rest in time is said so, with exit code 1", async () => {
  const { code, stderr } = await runSpindle("loadtest", "--agents", "5", "--timeout", "50ms");
  assert.equal(code, 1);
  assert.match(stderr, /LAB_START_TIMEOUT.*pairwise: 0 of 5 agents were at rest after 50 ms/);
});

test("loadtest: SIGINT ends the threads, the registry and the command", async (t) => {
  const temporary = mkdtempSync(join(tmpdir(), "loadtest-ends-"));
  t.after(() => rmSync(temporary, { recursive: true, force: true }));
  // Two threads of agents.
  const child = startSpindle(["loadtest", "--agents", "260", "--runs", "barrier"], temporary);
  let stderr = "";
  const started = new Promise<void>((resolve) => {
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      if (stderr.includes("barrier: starting, ")) resolve();
    });
  });
  const ended = once(child, "exit");
  await Promise.race([started, ended]);
  const [folder = ""] = readdirSync(temporary);
  const registry = Number(readFileSync(join(temporary, folder, "run-0/registry.pid"), "utf8"));
  child.kill("SIGINT");
  assert.deepEqual(await ended, [1, null], stderr);
  assert.match(stderr, /LAB_INTERRUPTED/);
  assert.deepEqual(readdirSync(temporary), [], "its files are gone");
  assert.throws(() => process.kill(registry, 0), /ESRCH/);
});
