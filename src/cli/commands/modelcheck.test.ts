import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { captureTerminal } from "../../../test/support/terminal.js";
import type { ExitCode } from "../exit.js";
import { run } from "../program.js";

interface Outcome {
  readonly exitCode: ExitCode;
  readonly stdout: string;
}

function modelcheck(...words: readonly string[]): Promise<Outcome> {
  return spindle("modelcheck", ...words);
}

async function spindle(...words: readonly string[]): Promise<Outcome> {
  const [stdout, stderr] = [captureTerminal(), captureTerminal()];
  let exitCode: ExitCode = 0;
  const shell = {
    stdout,
    stderr,
    env: {},
    interrupted: () => new AbortController().signal,
    exitWith: (code: ExitCode) => {
      exitCode = code;
    },
  };
  await run(words, shell);
  return { exitCode, stdout: stdout.text() };
}

test("modelcheck: what holds exits 0 and says what is left out", async () => {
  const { exitCode, stdout } = await modelcheck();
  assert.equal(exitCode, 0);
  assert.match(stdout, /^2 nodes, barrier, controllers 1, rotations 1/);
  assert.match(stdout, /\d+ states, \d+ transitions, depth \d+/);
  assert.match(stdout, /holds: S1, S2 and S4/);
  assert.match(stdout, /bounded: the nodes/);
});

test("modelcheck: a counterexample exits 1, as sentences and as a file", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "spindle-modelcheck-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "run.json");
  const words = ["--coordination", "pairwise", "--mutant", "switch-without-evidence", "--trace", path];
  const { exitCode, stdout } = await modelcheck(...words);
  assert.equal(exitCode, 1);
  assert.match(stdout, /counterexample, 5 steps:\n {2}1\. the operator makes a key file with keys 1 and 2/);
  assert.match(stdout, /S1: a sends to b with key 2, and b does not hold its SA/);
  const file = JSON.parse(await readFile(path, "utf8")) as { kind: string; moves: unknown[]; mutant: string };
  assert.equal(file.kind, "modelcheck-counterexample");
  assert.equal(file.mutant, "switch-without-evidence");
  assert.equal(file.moves.length, 5);
  const confirmed = await spindle("simulate", "--replay", path);
  assert.equal(confirmed.exitCode, 0);
  assert.match(confirmed.stdout, /confirmed by the simulator:\nS1: \d+ packets lost, the first from a to b on key 2/);
  await writeFile(path, JSON.stringify({ ...file, mutant: null }));
  const refuted = await spindle("simulate", "--replay", path, "--json");
  assert.equal(refuted.exitCode, 1);
  assert.equal((JSON.parse(refuted.stdout) as { confirmed: boolean }).confirmed, false);
});

test("modelcheck: a limit exits 4 and says how far it came", async () => {
  const { exitCode, stdout } = await modelcheck("--crashes", "1", "--states-max", "200", "--json");
  assert.equal(exitCode, 4);
  const result = JSON.parse(stdout) as { ok: boolean; stopped: string; waiting: number; states: number };
  assert.equal(result.ok, false);
  assert.equal(result.stopped, "--states-max 200");
  assert.ok(result.states >= 200 && result.waiting > 0);
});

for (const words of [["--nodes", "4"], ["--crashes", "-1"], ["--mutant", "nothing"], ["--minutes", "0"], ["--controllers", "3"], ["--coordination", "pairwise", "--silences", "1"], ["--coordination", "pairwise", "--controllers", "1"]]) {
  test(`modelcheck: ${words.join(" ")} is bad usage`, async () => {
    assert.equal((await modelcheck(...words)).exitCode, 2);
  });
}
