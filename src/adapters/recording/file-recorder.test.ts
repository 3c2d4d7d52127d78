import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { limits } from "../../core/limits.js";
import type { LogFields } from "../../ports/log.js";
import { FileRecorder } from "./file-recorder.js";

const program = { program: "spindle test", step: null };
const header = { kind: "agent-recording", schemaVersion: 1, atMs: 0 };

interface Bench {
  readonly path: string;
  readonly logged: { readonly message: string; readonly fields: LogFields }[];
  readonly open: (path?: string, bytesMax?: number) => FileRecorder;
}

function makeBench(context: TestContext): Bench {
  const directory = mkdtempSync(join(tmpdir(), "spindle-recorder-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const logged: Bench["logged"] = [];
  const log = { write: (_level: string, message: string, fields: LogFields) => void logged.push({ message, fields }) };
  const path = join(directory, "agent.jsonl");
  const open = (at = path, bytesMax = limits.recordingBytesMax): FileRecorder => {
    return new FileRecorder({ path: at, program, log, bytesMax });
  };
  return { path, logged, open };
}

const whyEnded = ({ logged }: Bench): readonly unknown[] => {
  return logged.filter(({ message }) => message === "recording ended").map(({ fields }) => fields["why"]);
};

test("recorder: lines are appended in order to a file of mode 0600, over runs", async (context) => {
  const bench = makeBench(context);
  for (const run of [1, 2]) {
    const recorder = bench.open();
    recorder.write(header);
    for (let turn = 0; turn < 50; turn += 1) recorder.write({ did: { run, turn } });
    await new Promise(setImmediate);
    recorder.write({ did: { run, turn: 50 } });
    await recorder.close();
  }
  const lines = readFileSync(bench.path, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as object);
  const run = (number: number): object[] => [
    header,
    ...Array.from({ length: 51 }, (_, turn) => ({ did: { run: number, turn } })),
  ];
  assert.deepEqual(lines, [...run(1), ...run(2)]);
  assert.equal(statSync(bench.path).mode & 0o777, 0o600);
  assert.deepEqual(whyEnded(bench), []);
});

test("recorder: what a killed program left of its last line ends where the next run begins", async (context) => {
  const bench = makeBench(context);
  writeFileSync(bench.path, `${JSON.stringify(header)}\n{"atMs":1,"inp`);
  const recorder = bench.open();
  recorder.write(header);
  await recorder.close();
  const lines = readFileSync(bench.path, "utf8").split("\n");
  assert.deepEqual(lines, [JSON.stringify(header), '{"atMs":1,"inp', JSON.stringify(header), ""]);
});

test("recorder: a file that is no recording is left as it is, and a link is not followed", async (context) => {
  const bench = makeBench(context);
  writeFileSync(bench.path, "root:x:0:0\n");
  const link = `${bench.path}.link`;
  symlinkSync(`${bench.path}.new`, link);
  for (const path of [bench.path, link, join(bench.path, "below-a-file")]) {
    const recorder = bench.open(path);
    recorder.write(header);
    await recorder.close();
  }
  assert.equal(readFileSync(bench.path, "utf8"), "root:x:0:0\n");
  assert.ok(!existsSync(`${bench.path}.new`));
  assert.equal(whyEnded(bench).length, 3);
});

test("recorder: at its limit it writes an end, says so once and takes no more", async (context) => {
  const bench = makeBench(context);
  const recorder = bench.open(bench.path, 200);
  recorder.write(header);
  for (let turn = 0; turn < 20; turn += 1) {
    recorder.write({ atMs: turn });
    recorder.write({ did: { turn } });
  }
  await recorder.close();
  const lines = readFileSync(bench.path, "utf8").trimEnd().split("\n");
  const last = JSON.parse(lines.at(-1) ?? "") as { readonly end: string };
  assert.equal(last.end, "size limit");
  assert.match(lines.at(-2) ?? "", /did/, "the turn before the end has its outcome");
  assert.ok(statSync(bench.path).size < 300);
  assert.deepEqual(whyEnded(bench), ["the file has reached its limit of 200 bytes"]);
});

test("recorder: a full disk ends the recording and nothing else", { skip: !existsSync("/dev/full") }, async (context) => {
  const bench = makeBench(context);
  const recorder = bench.open("/dev/full");
  recorder.write(header);
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (let turn = 0; turn < 20; turn += 1) recorder.write({ did: { turn } });
  await recorder.close();
  assert.equal(whyEnded(bench).length, 1);
  assert.match(String(whyEnded(bench)[0]), /ENOSPC/);
});

test("recorder: a disk that takes nothing ends the recording before it fills the memory", async (context) => {
  const bench = makeBench(context);
  const recorder = bench.open();
  const megabyte = "x".repeat(1024 * 1024);
  for (let i = 0; i < 40; i += 1) recorder.write({ did: { megabyte } });
  await recorder.close();
  assert.deepEqual(whyEnded(bench), ["the disk is too slow"]);
});

test("recorder: a program that throws leaves the lines before it", (context) => {
  const { path } = makeBench(context);
  const module = fileURLToPath(new URL("./file-recorder.js", import.meta.url));
  const script = `
    const { FileRecorder } = await import(${JSON.stringify(module)});
    const recorder = new FileRecorder({ path: ${JSON.stringify(path)}, program: {}, log: { write() {} } });
    recorder.write(${JSON.stringify(header)});
    setTimeout(() => {
      for (let turn = 0; turn < 200; turn += 1) recorder.write({ atMs: turn });
      setImmediate(() => {
        recorder.write({ atMs: 200 });
        throw new Error("settled");
      });
    }, 1);`;
  assert.throws(() => execFileSync(process.execPath, ["--input-type=module", "-e", script], { stdio: "pipe" }));
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  assert.deepEqual(lines.map((line) => (JSON.parse(line) as { atMs: number }).atMs), Array.from({ length: 201 }, (_, i) => i));
});
