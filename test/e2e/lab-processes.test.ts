/** The lab's processes: real ones, tied to the lab, and gone with it however it ends. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startSpindle } from "../support/lab.js";

const startMsMax = 60_000;
const endMsMax = 8_000;
const nodes = 3;

interface RunningLab {
  readonly command: ChildProcess;
  readonly directory: string;
  readonly pids: ReadonlyMap<string, number>;
  readonly exit: Promise<number | null>;
}

/** A lab with traffic, under a folder of its own. */
async function startLabCommand(
  context: TestContext,
  ...words: readonly string[]
): Promise<RunningLab> {
  const folder = mkdtempSync(join(tmpdir(), "lab-test-"));
  const flags = ["lab", "--nodes", `${nodes}`, "--rotations", "200", ...words];
  const command = startSpindle(flags, folder);
  const exit = new Promise<number | null>((resolve) => command.on("close", resolve));
  context.after(async () => {
    command.kill("SIGKILL");
    await exit;
    rmSync(folder, { recursive: true, force: true });
  });
  const text = collect(command);
  await until(() => /every one of \d+ pairs sends/.test(text()), startMsMax, text);
  const [name = ""] = readdirSync(folder).filter((entry) => entry.startsWith("spindle-lab-"));
  const directory = join(folder, name);
  return { command, directory, pids: readPids(directory), exit };
}

function collect(command: ChildProcess): () => string {
  let text = "";
  command.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return () => text;
}

function readPids(directory: string): ReadonlyMap<string, number> {
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const pidFiles = files.filter((file) => file.endsWith(".pid"));
  return new Map(
    pidFiles.map((file) => [file, Number(readFileSync(join(directory, file), "utf8"))]),
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function aliveOf(pids: ReadonlyMap<string, number>): readonly string[] {
  return [...pids].filter(([, pid]) => isAlive(pid)).map(([file]) => file);
}

async function until(isTrue: () => boolean, limitMs: number, why: () => string): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isTrue()) {
    assert.ok(performance.now() < endMs, why());
    await sleep(50);
  }
}

test("lab: two processes for each node, in a private directory", async (context) => {
  const { pids, directory, command, exit } = await startLabCommand(context);
  assert.equal(pids.size, 2 * nodes + 1);
  assert.equal(new Set(pids.values()).size, pids.size);
  assert.deepEqual(aliveOf(pids).length, pids.size);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, "node-1", "keys")).mode & 0o777, 0o600);
  for (const pid of pids.values()) {
    const words = existsSync(`/proc/${pid}/cmdline`)
      ? readFileSync(`/proc/${pid}/cmdline`, "latin1")
      : "";
    assert.doesNotMatch(words, /rfc4106/, "no key is in an argument");
  }
  command.kill("SIGINT");
  assert.equal(await exit, 1, "an interrupted lab has shown nothing");
  assert.deepEqual(aliveOf(pids), [], "nothing runs on");
  assert.equal(existsSync(directory), false, "nothing is left");
});

test("lab: when the lab itself is killed, no program of it lives on", async (context) => {
  const { pids, command, exit } = await startLabCommand(context);
  command.kill("SIGKILL");
  await exit;
  await until(
    () => aliveOf(pids).length === 0,
    endMsMax,
    () => `alive: ${aliveOf(pids).join(", ")}`,
  );
});

test("lab --keep: leaves configurations, logs and state, and no process", async (context) => {
  const { pids, directory, command, exit } = await startLabCommand(context, "--keep");
  command.kill("SIGTERM");
  await exit;
  assert.deepEqual(aliveOf(pids), []);
  const log = readFileSync(join(directory, "node-1", "agent.log"), "utf8");
  assert.match(log, /"msg":"admitted"/);
  const config = JSON.parse(
    readFileSync(join(directory, "node-1", "agent.yaml"), "utf8"),
  ) as object;
  assert.ok(
    "keyFile" in config && !("order" in config),
    "the agent's configuration has no such field",
  );
});
