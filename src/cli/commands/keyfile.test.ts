import assert from "node:assert/strict";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { captureTerminal } from "../../../test/support/terminal.js";
import type { KeyIdentity } from "../../core/key-id.js";
import type { CommandModule } from "../command-table.js";
import type { ExitCode } from "../exit.js";
import type { KeyFileView } from "../keyfile-view.js";
import { run } from "../program.js";
import type { Shell } from "../shell.js";
import { makeKeyfileCommand, type FleetLookup } from "./keyfile.js";

interface Outcome {
  readonly exitCode: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
}

interface Fixture {
  readonly directory: string;
  readonly path: string;
  /** Runs `spindle keyfile ...words FILE`, and checks that no key of the file was printed. */
  spindle(...words: readonly string[]): Promise<Outcome>;
  /** The same with `--json`; the result must be a success. */
  json(...words: readonly string[]): Promise<KeyFileView & { readonly keyId?: number }>;
  text(): Promise<string>;
}

const noFleet: FleetLookup = () => Promise.resolve(null);

async function fixture(t: TestContext, lookup: FleetLookup = noFleet): Promise<Fixture> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-keyfile-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "keys");
  const text = (): Promise<string> => readFile(path, "utf8").catch(() => "");
  const spindle = async (...words: readonly string[]): Promise<Outcome> => {
    const before = await text();
    const outcome = await runKeyfile([...words, path], lookup);
    assertNoKey(outcome, before + (await text()));
    return outcome;
  };
  const json = async (...words: readonly string[]): Promise<KeyFileView> => {
    const { exitCode, stdout, stderr } = await spindle(...words, "--json");
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout) as KeyFileView;
  };
  return { directory, path, spindle, json, text };
}

async function runKeyfile(words: readonly string[], lookup: FleetLookup): Promise<Outcome> {
  const [stdout, stderr] = [captureTerminal(), captureTerminal()];
  let exitCode: ExitCode = 0;
  const shell: Shell = {
    stdout,
    stderr,
    env: {},
    interrupted: () => new AbortController().signal,
    exitWith: (code) => {
      exitCode = code;
    },
  };
  const module: CommandModule = { makeCommand: (given) => makeKeyfileCommand(given, lookup) };
  const load = (): Promise<CommandModule> => Promise.resolve(module);
  await run(["keyfile", ...words], shell, [{ name: "keyfile", summary: "keys", load }]);
  return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
}

/** Eight hex digits in a row of any key in the file must not be in what was printed. */
function assertNoKey(outcome: Outcome, file: string): void {
  const printed = (outcome.stdout + outcome.stderr).toLowerCase();
  for (const [key] of file.toLowerCase().matchAll(/[0-9a-f]{32,}/g)) {
    for (let at = 0; at + 8 <= key.length; at += 1) {
      assert.ok(!printed.includes(key.slice(at, at + 8)), "a piece of key was printed");
    }
  }
}

const slots = (view: KeyFileView): readonly string[] =>
  view.keys.map((key) => `${key.keyId} ${key.slot} ${key.algorithm}`);

test("keyfile generate: one key, mode 0600, in Cilium's format", async (t) => {
  const { path, json, text } = await fixture(t);
  assert.deepEqual(slots(await json("generate")), ["1 current aes-gcm-128"]);
  assert.match(await text(), /^1\+ rfc4106\(gcm\(aes\)\) [0-9a-f]{40} 128\n$/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("keyfile generate: key id and algorithm as told", async (t) => {
  const { json } = await fixture(t);
  const flags = ["--key-id", "14", "--ring", "15", "--algorithm", "aes-gcm-256"];
  const view = await json("generate", ...flags);
  assert.deepEqual(slots(view), ["14 current aes-gcm-256"]);
});

test("keyfile generate: an existing file is kept, unless forced", async (t) => {
  const { directory, json, spindle, text } = await fixture(t);
  await json("generate");
  const first = await text();
  const refused = await spindle("generate");
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /^error KEYFILE_EXISTS: .*\nhint: .*--force/);
  assert.equal(await text(), first);
  await json("generate", "--force");
  assert.notEqual(await text(), first);
  assert.deepEqual(await readdir(directory), ["keys"], "no temporary file is left");
});

test("keyfile next: both lines, then the oldest goes, what stays is unchanged", async (t) => {
  const { json, text } = await fixture(t);
  await json("generate", "--algorithm", "aes-gcm-256");
  const [first] = (await text()).split("\n");
  assert.deepEqual(slots(await json("next")), ["1 current aes-gcm-256", "2 next aes-gcm-256"]);
  const two = (await text()).split("\n");
  assert.equal(two[0], first);
  const view = await json("next", "--fleet-key-id", "2");
  assert.deepEqual(slots(view), ["2 current aes-gcm-256", "3 next aes-gcm-256"]);
  assert.equal((await text()).split("\n")[0], two[1]);
});

test("keyfile next: two lines and no fleet to ask: refused, for a key in use could be dropped", async (t) => {
  const { json, spindle, text } = await fixture(t);
  await json("generate");
  await json("next");
  const before = await text();
  assert.equal((await spindle("next")).exitCode, 3);
  assert.equal(await text(), before);
});

test("keyfile next: another algorithm when told, and the + of the file", async (t) => {
  const { path, json, text } = await fixture(t);
  await writeFile(path, `3 rfc4106(gcm(aes)) ${"ab".repeat(20)} 128\n`, { mode: 0o600 });
  const view = await json("next", "--algorithm", "aes-gcm-256");
  assert.deepEqual(slots(view), ["3 current aes-gcm-128", "4 next aes-gcm-256"]);
  assert.match(await text(), /\n4 rfc4106/);
});

for (const [ring, last] of [["255", "255"], ["15", "15"]] as const) {
  test(`keyfile next: wraps to 1 at the end of the ring of ${ring}`, async (t) => {
    const { json, spindle } = await fixture(t);
    await json("generate", "--key-id", last, "--ring", ring);
    const { stdout, exitCode } = await spindle("next", "--ring", ring, "--print-key-id");
    assert.deepEqual([stdout, exitCode], ["1\n", 0]);
    assert.equal((await spindle("validate", "--ring", ring)).exitCode, 0);
  });
}

test("keyfile next: an open file is closed by the new one", async (t) => {
  const { path, json } = await fixture(t);
  await json("generate");
  await chmod(path, 0o644);
  await json("next");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("keyfile next: refused when the fleet runs another key, and nothing is written", async (t) => {
  const { json, spindle, text } = await fixture(t);
  await json("generate", "--key-id", "3");
  await json("next");
  const before = await text();
  const refused = await spindle("next", "--fleet-key-id", "3");
  assert.equal(refused.exitCode, 3);
  assert.match(refused.stderr, /^error KEYFILE_NOT_NEWEST: .*keys is 4, the fleet runs 3/);
  assert.equal(await text(), before);
});

test("keyfile next: forced after an abort, the key that the fleet runs stays", async (t) => {
  const { json } = await fixture(t);
  await json("generate", "--key-id", "3");
  await json("next");
  const view = await json("next", "--fleet-key-id", "3", "--force");
  assert.deepEqual(slots(view), ["3 current aes-gcm-128", "5 next aes-gcm-128"]);
});

test("keyfile next: the fleet is asked for id and check value", async (t) => {
  let fleetKey: KeyIdentity | null = null;
  const asked: (string | null)[] = [];
  const { json, spindle } = await fixture(t, (configPath) => {
    asked.push(configPath);
    return Promise.resolve(fleetKey);
  });
  const [key] = (await json("generate")).keys;
  assert.ok(key?.check);
  fleetKey = { keyId: key.keyId, check: "0".repeat(32) as KeyIdentity["check"] };
  const refused = await spindle("next", "--config", "agent.yaml");
  assert.equal(refused.exitCode, 3);
  assert.match(refused.stderr, /key 1 of .* has other bytes than key 1 of the fleet/);
  fleetKey = { keyId: key.keyId, check: key.check };
  assert.equal((await json("next")).keyId, 2);
  assert.deepEqual(asked, ["agent.yaml", null]);
});

test("keyfile next: a fleet that does not answer is an error, unless forced", async (t) => {
  const { json, spindle } = await fixture(t, () => Promise.reject(new Error("no answer")));
  await json("generate");
  assert.equal((await spindle("next")).exitCode, 1);
  assert.equal((await json("next", "--force")).keyId, 2);
});

test("keyfile next: with the fleet's key id given, the fleet is not asked", async (t) => {
  const { json } = await fixture(t, () => Promise.reject(new Error("asked")));
  await json("generate");
  assert.equal((await json("next", "--fleet-key-id", "1")).keyId, 2);
});

test("keyfile validate: good 0, good but run by nobody 1, bad 2 with every bad line", async (t) => {
  const { path, spindle } = await fixture(t);
  await spindle("generate");
  const good = await spindle("validate");
  const stdout = `${path}: valid (key ids: 1 current)\n`;
  assert.deepEqual(good, { exitCode: 0, stdout, stderr: "" });
  const key = "ab".repeat(16);
  await writeFile(path, `3 hmac(sha256) ${key} cbc(aes) ${key}\n`);
  const idle = await spindle("validate");
  assert.equal(idle.exitCode, 1);
  assert.match(idle.stdout, /well-formed, but no agent .*\nwarning: line 1: no dataplane runs/);
  await writeFile(path, `x\n4 rfc4106(gcm(aes)) ${key}c 128\n`);
  const bad = await spindle("validate");
  assert.equal(bad.exitCode, 2);
  assert.equal(bad.stdout, "");
  assert.match(bad.stderr, /^error KEYFILE_KEY_ID: .*\n.*keys:1: .*\n.*keys:2: .*odd number/);
});

test("keyfile validate: the ring decides which ids are good", async (t) => {
  const { json, spindle } = await fixture(t);
  await json("generate", "--key-id", "16");
  assert.equal((await spindle("validate")).exitCode, 0);
  assert.equal((await spindle("validate", "--ring", "15")).exitCode, 2);
});

test("keyfile inspect: everything but the keys", async (t) => {
  const { path, json, spindle } = await fixture(t);
  await json("generate", "--algorithm", "aes-gcm-256");
  await json("next");
  await chmod(path, 0o640);
  const view = await json("inspect");
  const shown = view.keys.map((key) => [key.line, key.keyId, key.slot, key.bytes, key.icvBits]);
  assert.deepEqual(shown, [
    [1, 1, "current", 36, 128],
    [2, 2, "next", 36, 128],
  ]);
  assert.match(view.keys[0]?.check ?? "", /^[0-9a-f]{32}$/);
  assert.notEqual(view.keys[0]?.fingerprint, view.keys[1]?.fingerprint);
  assert.equal(view.mode, "0640");
  assert.match(view.warnings.join(), /mode 0640/);
  const { stdout } = await spindle("inspect", "-o", "wide");
  assert.match(stdout, /KEY ID +SLOT +ALGORITHM +BYTES +ICV +CHECK VALUE +FINGERPRINT +RUNS +LINE/);
  assert.match(stdout, /2 +next +aes-gcm-256 +36 +128 +[0-9a-f]{32} +[0-9a-f]{8} +yes +2/);
});

test("keyfile inspect: two ids with the same bytes are warned of", async (t) => {
  const { path, json } = await fixture(t);
  const key = "ab".repeat(20);
  await writeFile(path, `3 rfc4106(gcm(aes)) ${key} 128\n4 rfc4106(gcm(aes)) ${key} 128\n`);
  assert.match((await json("inspect")).warnings.join(), /key ids 3 and 4 have the same bytes/);
});

const badUsages: readonly (readonly [words: readonly string[], expected: RegExp])[] = [
  [["inspect"], /KEYFILE_MISSING/],
  [["next"], /KEYFILE_MISSING/],
  [["generate", "--key-id", "16", "--ring", "15"], /--key-id: key id must be .* 1 to 15/],
  [["generate", "--key-id", "200"], /strongSwan/],
  [["generate", "--key-id", "one"], /A key id is a whole number/],
  [["generate", "--ring", "16"], /Allowed choices are 255, 15/],
  [["generate", "--algorithm", "cipher_null"], /Allowed choices are aes-gcm-128, aes-gcm-256/],
  [["next", "--fleet-key-id", "0"], /--fleet-key-id: key id must be/],
  [["next", "--fleet-key-id", "1", "--config", "agent.yaml"], /cannot be used with option/],
];

for (const [words, expected] of badUsages) {
  test(`keyfile: exits 2 and writes nothing: keyfile ${words.join(" ")}`, async (t) => {
    const { directory, spindle } = await fixture(t);
    const { exitCode, stdout, stderr } = await spindle(...words);
    assert.equal(exitCode, 2);
    assert.equal(stdout, "");
    assert.match(stderr, expected);
    assert.deepEqual(await readdir(directory), []);
  });
}

test("keyfile: where nothing can be written the exit code is 1, with the reason", async (t) => {
  const { directory } = await fixture(t);
  const words = ["generate", join(directory, "missing", "keys")];
  const { exitCode, stderr } = await runKeyfile(words, noFleet);
  assert.equal(exitCode, 1);
  assert.match(stderr, /^error KEYFILE_WRITE_FAILED: .*make its directory first/);
});
