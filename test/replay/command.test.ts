/** `spindle simulate --replay` as a user runs it, on the recordings that are kept and on what can become of them. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gunzipSync } from "node:zlib";
import { run } from "../../src/cli/program.js";
import type { ExitCode } from "../../src/cli/exit.js";
import { root } from "../support/repository.js";
import { captureTerminal } from "../support/terminal.js";

const kept = join(root, "test/replay/recordings/barrier");
const compressed = readFileSync(join(kept, "a.jsonl.gz"));
const lines = gunzipSync(compressed).toString().trimEnd().split("\n");

interface Ran {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

async function replay(...words: readonly string[]): Promise<Ran> {
  const [stdout, stderr] = [captureTerminal(), captureTerminal()];
  let exitCode: ExitCode = 0;
  const shell = { stdout, stderr, env: {}, interrupted: () => new AbortController().signal };
  await run(["simulate", ...words], { ...shell, exitWith: (code) => void (exitCode = code) });
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

function makeFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "spindle-replay-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function writeRecording(context: TestContext, written: readonly string[], end = "\n"): string {
  const path = join(makeFolder(context), "a.jsonl");
  writeFileSync(path, `${written.join("\n")}${end}`);
  return path;
}

const reportAt = lines.findIndex((line) => line.includes('"publish-report"'));
const changed = lines.with(reportAt, (lines[reportAt] ?? "").replace(/"through":\d+/, '"through":77'));

test("simulate --replay: a directory of whole recordings is the same, exit 0", async () => {
  const { exitCode, stdout, stderr } = await replay("--replay", kept);
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(stdout, /a\.jsonl\.gz: agent a, 1 run, \d+ inputs, \d+ turns in \d+\.\d s: the same/);
  assert.match(stdout, /controller-0\.jsonl\.gz: controller controller-0, .*: the same/);
});

test("simulate --replay: a difference is shown with its line, turn and place, exit 1", async (context) => {
  const path = writeRecording(context, changed);
  const { exitCode, stdout } = await replay("--replay", path);
  assert.equal(exitCode, 1);
  assert.match(stdout, new RegExp(`line ${reportAt}: run 1 \\(spindle .*\\), turn \\d+, at \\d+\\.\\d{3} ms`));
  assert.match(stdout, /first difference at effects\[\d\]\.report\.through\n {4}recorded: 77\n {4}now: {6}\d+\n/);
  assert.match(stdout, /recorded: .*report holds .*through 77/);
  assert.match(stdout, new RegExp(`--until ${reportAt} --verbose`));
});

test("simulate --replay --json: the same facts as one document", async (context) => {
  const path = writeRecording(context, changed);
  const { exitCode, stdout } = await replay("--replay", path, "--json");
  const view = JSON.parse(stdout) as {
    readonly ok: boolean;
    readonly recordings: readonly { readonly name: string; readonly difference: { line: number; recorded: string; after: object[] } }[];
  };
  assert.equal(exitCode, 1);
  assert.equal(view.ok, false);
  const [recording] = view.recordings;
  assert.equal(recording?.name, "a");
  assert.deepEqual([recording?.difference.line, recording?.difference.recorded], [reportAt, "77"]);
});

test("simulate --replay --until LINE: what comes after it does not count; --verbose tells each turn", async (context) => {
  const path = writeRecording(context, changed);
  const { exitCode, stdout } = await replay("--replay", path, "--until", `${reportAt}`, "--verbose");
  assert.equal(exitCode, 0);
  const turns = lines.slice(0, reportAt).filter((line) => line.startsWith('{"did"')).length;
  assert.equal(stdout.split("\n").filter((line) => /ms {2}turn \d+ {2}/.test(line)).length, turns);
  assert.match(stdout, /turn 2 {2}.* -> /);
});

const bad: readonly { name: string; write: (context: TestContext) => string; code: string; says: RegExp }[] = [
  {
    name: "a file that is cut off in a line",
    write: (context) => writeRecording(context, [...lines.slice(0, 50), (lines[50] ?? "").slice(0, 30)], ""),
    code: "RECORDING_CUT_OFF",
    says: /the same as far as it goes/,
  },
  {
    name: "a compressed file that is cut off",
    write: (context) => {
      const path = join(makeFolder(context), "a.jsonl.gz");
      writeFileSync(path, compressed.subarray(0, compressed.length >> 1));
      return path;
    },
    code: "RECORDING_CUT_OFF",
    says: /agent a, 1 run, \d+ inputs.*the same as far as it goes/,
  },
  {
    name: "a damaged file",
    write: (context) => writeRecording(context, lines.with(50, "{")),
    code: "RECORDING_DAMAGED",
    says: /the same as far as it goes/,
  },
  {
    name: "a later version",
    write: (context) => writeRecording(context, lines.with(0, (lines[0] ?? "").replace('"schemaVersion":1', '"schemaVersion":2'))),
    code: "RECORDING_VERSION",
    says: /no recording: nothing to replay/,
  },
  { name: "an empty file", write: (context) => writeRecording(context, [], ""), code: "RECORDING_UNKNOWN", says: /nothing/ },
  { name: "another file", write: () => join(root, "package.json"), code: "RECORDING_UNKNOWN", says: /nothing/ },
  { name: "no file", write: () => join(root, "no-such-file"), code: "RECORDING_UNREADABLE", says: /^$/ },
  { name: "a directory without recordings", write: (context) => makeFolder(context), code: "RECORDING_UNREADABLE", says: /^$/ },
];

for (const { name, write, code, says } of bad) {
  test(`simulate --replay: ${name} is ${code}, exit 2`, async (context) => {
    const { exitCode, stdout, stderr } = await replay("--replay", write(context));
    assert.equal(exitCode, 2);
    assert.match(stdout, says);
    assert.match(stderr, new RegExp(`^error ${code}: `));
  });
}

test("simulate --replay: beside a recording that is cut off, another one's difference is exit 1", async (context) => {
  const path = writeRecording(context, changed);
  copyFileSync(join(kept, "b.jsonl.gz"), path.replace("a.jsonl", "b.jsonl.gz"));
  writeFileSync(path.replace("a.jsonl", "c.jsonl"), lines.join("\n").slice(0, 5_000));
  const { exitCode, stdout } = await replay("--replay", join(path, ".."));
  assert.equal(exitCode, 1);
  assert.match(stdout, /a\.jsonl: .*differs\n[^]*b\.jsonl\.gz: .*the same\n.*c\.jsonl: .*as far as it goes/);
});

test("simulate --replay: --verbose is for people", async () => {
  const { exitCode, stderr } = await replay("--replay", kept, "--verbose", "--json");
  assert.equal(exitCode, 2);
  assert.match(stderr, /BAD_USAGE/);
});
