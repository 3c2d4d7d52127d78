import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Program, restartDelayMs } from "./program.js";

/** Runs until its standard input ends. */
function startProgram(context: TestContext): { readonly program: Program; readonly pids: readonly number[] } {
  const folder = mkdtempSync(join(tmpdir(), "spindle-program-"));
  const pids: number[] = [];
  const spec = {
    name: "program",
    command: () => ["cat"],
    logPath: join(folder, "program.log"),
    pidPath: join(folder, "program.pid"),
  };
  const program = new Program(spec, { started: (pid) => void pids.push(pid) });
  context.after(async () => {
    await program.stop(1_000);
    rmSync(folder, { recursive: true });
  });
  program.start();
  return { program, pids };
}

test("program: a crash is over when the process is gone, and before the next one starts", async (context) => {
  const { program, pids } = startProgram(context);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  await program.crash();
  assert.equal(program.pid, null);
  assert.throws(() => process.kill(pids[0]!, 0), { code: "ESRCH" });
  context.mock.timers.tick(restartDelayMs);
  assert.equal(pids.length, 2);
});

test("program: one that is stopped while it is down does not start again", async (context) => {
  const { program, pids } = startProgram(context);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  await program.crash();
  await program.stop(1_000);
  context.mock.timers.tick(restartDelayMs);
  assert.deepEqual([program.pid, pids.length], [null, 1]);
});
