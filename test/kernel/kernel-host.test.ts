/** The guest that kernel tests run in: what it gives back, and that nothing of it stays. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { findKernelHost, runInKernel } from "../support/kernel-host.js";
import { root } from "../support/repository.js";

const host = findKernelHost();
const skip = typeof host === "string" ? false : host.missing;

/** Guests of this file work below it, so that their processes can be told from others. */
const folder = mkdtempSync(join(tmpdir(), "spindle-kernel-host-"));
process.env["TMPDIR"] = folder;
after(() => rmSync(folder, { recursive: true, force: true }));

/** Command lines of living processes that name the folder; a process that has ended has none. */
function guestProcesses(): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      const path = `/proc/${pid}/cmdline`;
      return existsSync(path) ? readOr(path) : "";
    })
    .filter((line) => line.includes(folder));
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

test("kernel host: a program's output and exit status come back", { skip }, async () => {
  const script = "pwd; echo complaint >&2; ip -o link show lo | grep -c UP; exit 3";
  const { status, stdout, stderr } = await runInKernel("/bin/sh", ["-c", script], {
    timeoutMs: 60_000,
  });
  const path = root.replace(/\/$/, "");
  assert.deepEqual({ status, stdout, stderr }, { status: 3, stdout: `${path}\n1\n`, stderr: "complaint\n" });
  assert.deepEqual([guestProcesses(), readdirSync(folder)], [[], []]);
});

test("kernel host: what takes too long is ended, and nothing of it stays", { skip }, async () => {
  const { status } = await runInKernel("/bin/sleep", ["100"], { timeoutMs: 4_000 });
  assert.equal(status, null);
  assert.deepEqual([guestProcesses(), readdirSync(folder)], [[], []]);
});

test("kernel host: a guest ends when the program that started it is killed", { skip }, async () => {
  const module = new URL("../support/kernel-host.js", import.meta.url).href;
  const program =
    `const { runInKernel } = await import(${JSON.stringify(module)});` +
    `await runInKernel("/bin/sleep", ["100"], { timeoutMs: 100_000 });`;
  const starter = spawn(process.execPath, ["--input-type=module", "--eval", program]);
  const isGuestUp = (): boolean => guestProcesses().length > 1;
  while (!isGuestUp()) await pause(50);
  await pause(3_000);
  starter.kill("SIGKILL");
  await once(starter, "exit");
  const endsMs = performance.now() + 20_000;
  while (guestProcesses().length > 0 && performance.now() < endsMs) await pause(50);
  assert.deepEqual(guestProcesses(), []);
});

test("kernel host: a guest of User-Mode Linux cannot write to the repository", { skip }, async () => {
  if (host !== "user-mode-linux") return;
  const script = `touch ${join(root, "written-by-guest")}`;
  const { status } = await runInKernel("/bin/sh", ["-c", script], { timeoutMs: 60_000 });
  assert.equal(status, 1);
});
