/**
 * Recordings that this version's programs left, kept under `recordings/`: a later version must do the same at every turn.
 * If it decides otherwise on purpose, `RECORDINGS_REWRITE=1 node --test dist/test/replay/contract.test.js` records
 * anew: read the difference that this test prints first, and say in CHANGELOG.md what is decided otherwise (docs/HACKING.md).
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { replayRecording } from "../../src/sim/replay/replay.js";
import { root } from "../support/repository.js";
import { agentInputKinds, controllerInputKinds, recordRun, type RecordedSet } from "./recorded-runs.js";

const folder = join(root, "test/replay/recordings");
const sets: readonly RecordedSet[] = ["barrier", "pairwise", "paths", "levels", "generated"];
const bytesMax = 100 * 1024;

if (process.env["RECORDINGS_REWRITE"] === "1") {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string };
  for (const set of sets) writeRecordings(set, `spindle ${version}`);
}

function writeRecordings(set: RecordedSet, program: string): void {
  const place = join(folder, set);
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  for (const [name, lines] of recordRun(set, program)) {
    writeFileSync(join(place, `${name}.jsonl.gz`), gzipSync(`${lines.join("\n")}\n`, { level: 9 }));
  }
}

function readRecordings(set: RecordedSet): ReadonlyMap<string, readonly string[]> {
  const place = join(folder, set);
  const files = readdirSync(place).sort();
  return new Map(files.map((file) => [file, linesOf(join(place, file))] as const));
}

function linesOf(path: string): readonly string[] {
  return gunzipSync(readFileSync(path)).toString().trimEnd().split("\n");
}

for (const set of sets) {
  for (const [file, lines] of readRecordings(set)) {
    test(`replay: ${set}/${file} does the same as when it was recorded`, () => {
      const { difference, faults, runs } = replayRecording(lines);
      const first = difference === null ? null : { line: difference.line, ...difference.first };
      assert.deepEqual({ faults, first }, { faults: [], first: null }, "see the head of test/replay/contract.test.ts");
      assert.ok(runs.every(({ turns }) => turns > 10), "each run took turns");
    });
  }
}

const agents = sets.flatMap((set) => {
  return [...readRecordings(set)].filter(([file]) => !file.startsWith("controller")).map(([, lines]) => lines);
});
const controllers = (["barrier", "generated"] as const).flatMap((set) => {
  return [...readRecordings(set)].filter(([file]) => file.startsWith("controller")).map(([, lines]) => lines);
});

function kindsIn(recordings: readonly (readonly string[])[]): ReadonlySet<string> {
  const inputs = recordings.flat().map((line) => (JSON.parse(line) as { readonly input?: { readonly kind: string } }).input);
  return new Set(inputs.flatMap((input) => (input === undefined ? [] : [input.kind])));
}

test("replay: the recordings have every kind of input, every phase and every effect of an agent", () => {
  assert.deepEqual([...kindsIn(agents)].sort(), Object.keys(agentInputKinds).sort());
  const text = agents.flat().join("\n");
  for (const phase of ["staging", "staged", "switched", "draining", "aborting", "steady"]) assert.match(text, new RegExp(`"to":"${phase}"`));
  const effects = ["save-state", "save-checkpoint", "register", "apply", "probe", "read-kernel", "publish-report", "forget-key", "set-guard"];
  for (const effect of effects) assert.match(text, new RegExp(`"kind":"${effect}"`));
  for (const note of ["refused", "purged", "retired", "adopted", "new-incarnation", "path-unproven", "path-proven"]) assert.match(text, new RegExp(`"kind":"${note}"`));
});

test("replay: the recordings have every kind of input of a controller", () => {
  assert.deepEqual([...kindsIn(controllers)].sort(), Object.keys(controllerInputKinds).sort());
});

test("replay: an agent that was killed and started again is in each coordination, and the whole is small", () => {
  for (const coordination of ["barrier", "pairwise"] as const) {
    const lines = readRecordings(coordination).get("b.jsonl.gz") ?? [];
    assert.equal(replayRecording(lines).runs.length, 2, coordination);
  }
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".gz"));
  const bytes = files.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
  assert.ok(bytes <= bytesMax, `${bytes} bytes`);
});
