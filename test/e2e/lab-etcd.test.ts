/** One rotation under traffic on a real etcd, by the command that users run; and what it leaves behind: nothing. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { skipWithoutEtcd, startEtcd } from "../support/etcd.js";
import { runLabCommand, startSpindle, summaryOf } from "../support/lab.js";

const skip = await skipWithoutEtcd();
const writesPerNodeMax = 8;

function clause(name: string, body: (context: TestContext) => Promise<void>): void {
  test(`lab on etcd: ${name}`, { skip, timeout: 120_000 }, body);
}

clause("a rotation behind a barrier loses nothing, with at most 8 writes per node", async () => {
  const result = await runLabCommand("--registry", "etcd", "--rotations", "1");
  const { report, code } = result;
  assert.equal(code, 0, summaryOf(result));
  assert.ok(report.ok && report.packets.sent > 0);
  assert.equal(report.packets.lost, 0);
  assert.deepEqual(report.validity.problems, []);
  const [rotation] = report.rotations;
  assert.equal(rotation?.forcedRetires, 0);
  assert.ok(rotation.registry.writes > 0, "the registry's own figures are read");
  assert.ok(rotation.registry.writes <= writesPerNodeMax * report.nodes, summaryOf(result));
  assert.ok(rotation.registry.watchEvents > report.nodes);
});

clause("an etcd that runs already is used, pairwise too, and left as it was", async (context) => {
  const cluster = await startEtcd();
  context.after(() => cluster.stop());
  const url = `http://127.0.0.1:${cluster.endpoints[0]?.port}`;
  const words = ["--registry", "etcd", "--registry-endpoint", url, "--coordination", "pairwise"];
  const result = await runLabCommand(...words, "--nodes", "3", "--rotations", "1");
  assert.equal(result.code, 0, summaryOf(result));
  assert.equal(result.report.packets.lost, 0);
  const left = await cluster.control(["get", "/spindle/", "--prefix", "--keys-only"]);
  // Leases are not revoked: they end by themselves, ten seconds after the lab.
  const records = left.split("\n").filter((key) => key !== "" && !key.includes("/leases/"));
  assert.deepEqual(records, []);
});

clause("SIGINT and kill -9 of the lab end its etcd", async (context) => {
  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    const directory = mkdtempSync(join(tmpdir(), "spindle-lab-etcd-"));
    context.after(() => rmSync(directory, { recursive: true, force: true }));
    const child = startSpindle(["lab", "--registry", "etcd", "--nodes", "2"], directory);
    await until(() => programsIn(directory).some((words) => words.startsWith("etcd ")));
    const ended = once(child, "close");
    child.kill(signal);
    await ended;
    await until(() => programsIn(directory).length === 0);
    if (signal === "SIGINT") assert.deepEqual(readdirSync(directory), []);
  }
});

/** Command lines of processes that name the directory. */
function programsIn(directory: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLineOf(pid))
    .filter((words) => words.includes(directory));
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // It has ended.
  }
}

async function until(holds: () => boolean): Promise<void> {
  const untilMs = performance.now() + 30_000;
  while (!holds()) {
    assert.ok(performance.now() < untilMs, "comes about in time");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
