/** `spindle simulate` as a user runs it: what it prints, what it refuses, how it ends. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runSpindle, startSpindle } from "../support/lab.js";

const quick = ["--nodes", "4", "--key-distribution", "200ms", "--drain", "200ms"];

interface Printed {
  readonly schemaVersion: number;
  readonly ok: boolean;
  readonly packets: { readonly lost: number };
  readonly runs: readonly Printed[];
  readonly seeds: number;
  readonly failures: readonly { readonly replay: string }[];
}

function parse(text: string): Printed {
  return JSON.parse(text) as Printed;
}

test("simulate: a run as JSON has the fields of the contract, and none is lost", async () => {
  const { code, stdout, stderr } = await runSpindle("simulate", ...quick, "--json");
  assert.equal(code, 0, stderr);
  const result = parse(stdout);
  const fields = ["schemaVersion", "nodes", "coordination", "order", "seed", "rotations", "packets", "registry", "ok"];
  assert.deepEqual(fields.filter((field) => !(field in result)), []);
  assert.equal(result.packets.lost, 0);
});

test("simulate: --compare shows today's order losing packets beside ours, and exits 1 for it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spindle-simulate-"));
  const report = join(directory, "report.html");
  const words = ["--compare", "order=advertise-first,stage-first", "--slow-node", "1s", "--report", report];
  const { code, stdout } = await runSpindle("simulate", ...quick, ...words, "--json");
  assert.equal(code, 1);
  const { runs, ok } = parse(stdout);
  assert.equal(ok, false);
  assert.ok((runs[0]?.packets.lost ?? 0) > 0);
  assert.equal(runs[1]?.packets.lost, 0);
  assert.match(await readFile(report, "utf8"), /^<!doctype html>/);
  await rm(directory, { recursive: true });
});

test("simulate: a swarm with a mutant fails with its seeds, and each replays", async () => {
  const mutant = ["--mutant", "retire-by-timer"];
  const { code, stdout } = await runSpindle("simulate", "--swarm", "6", ...mutant, "--json");
  assert.equal(code, 1);
  const { failures, seeds } = parse(stdout);
  assert.equal(seeds, 6);
  const replay = failures[0]?.replay.split(" ").slice(1) ?? [];
  const again = parse((await runSpindle(...replay, "--json")).stdout);
  assert.deepEqual(again.failures, failures.slice(0, 1));
});

const refused: readonly { readonly words: readonly string[]; readonly says: RegExp }[] = [
  { words: ["--nodes", "0"], says: /from 2 to/ },
  { words: ["--nodes", "1000000000"], says: /from 2 to/ },
  { words: ["--degree", "7"], says: /It must be even/ },
  { words: ["--degree", "0"], says: /from 2 to/ },
  { words: ["--nodes", "20000"], says: /at most 10000 peers: give a --degree/ },
  { words: ["--rate", "0"], says: /from 1 to/ },
  { words: ["--jitter", "soon"], says: /duration such as/ },
  { words: ["--scenario", "cilium-44700"], says: /did you mean cilium-44701\?/ },
  { words: ["--mutant", "flush-on-strat"], says: /did you mean flush-on-start\?/ },
  { words: ["--compare", "order=stage-first"], says: /two to six different values/ },
  { words: ["--compare", "ordr=a,b"], says: /did you mean order\?/ },
  { words: ["--compare", "order=a,b"], says: /Allowed choices/ },
  { words: ["--order", "advertise-first", "--coordination", "barrier"], says: /needs --coordination pairwise/ },
  { words: ["--order", "advertise-first", "--mutant", "flush-on-start"], says: /leave --order out/ },
  { words: ["--swarm", "3", "--nodes", "9"], says: /--swarm does not take --nodes/ },
  { words: ["--scenario", "late-secret", "--mutant", "flush-on-start"], says: /does not take --mutant/ },
  { words: ["--scenario", "late-secret", "--nodes", "9"], says: /late-secret is a script for nodes by name/ },
  { words: ["--until", "3"], says: /goes with --replay/ },
  { words: ["--jitter-mode", "slotted"], says: /it needs --jitter TIME/ },
  { words: ["--compare", "jitter-mode=uniform,slotted"], says: /it needs --jitter TIME/ },
  { words: [...quick, "--report", "/nowhere/report.html"], says: /REPORT_NOT_WRITTEN/ },
];

for (const { words, says } of refused) {
  test(`simulate: ${words.join(" ")} is refused with exit code 2`, async () => {
    const { code, stdout, stderr } = await runSpindle("simulate", ...words);
    assert.equal(code, 2, stderr);
    assert.match(stderr, says);
    assert.equal(stdout, "");
  });
}

/** The run would take minutes: it must not end by itself before it is told to. */
/** A full mesh of 10,000 nodes: a hundred million pairs. */
for (const words of [["--nodes", "10000"], ["--scenario", "cilium-44335", "--nodes", "10000"]]) {
  test(`simulate: ${words.join(" ")} is refused at once, with the memory that it wants and that there is`, async () => {
    const { code, stderr } = await runSpindle("simulate", ...words);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /FLEET_TOO_LARGE/);
    assert.match(stderr, /wants about \d+\.\d GiB of memory, and \d+\.\d GiB can be had here/);
  });
}

test("simulate: Ctrl-C ends a run with what was found until then", async () => {
  const child = startSpindle(["simulate", "--nodes", "60", "--coordination", "pairwise", "--rotations", "100", "--json"]);
  let stdout = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  await once(child.stderr ?? child, "data");
  child.kill("SIGINT");
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 1);
  assert.equal((JSON.parse(stdout) as { readonly complete: boolean }).complete, false);
});
