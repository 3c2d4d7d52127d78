/** A lab of real processes leaves recordings: with an agent and the controller killed, they do the same again, and no key is in them. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Lab } from "../../src/lab/lab.js";
import { labDefaults } from "../../src/lab/options.js";
import { quietHost, runSpindle } from "../support/lab.js";

const restMsMax = 30_000;

/** The bytes of the keys in a key file, as hex digits. */
function keysIn(keyFile: string): readonly string[] {
  const lines = readFileSync(keyFile, "utf8").trimEnd().split("\n");
  return lines.map((line) => /0x([0-9a-f]+)/i.exec(line)?.[1] ?? line.split(" ")[2] ?? "");
}

/** Every way in which JavaScript may write these bytes into a text. */
function spellingsOf(hex: string): readonly string[] {
  const bytes = Buffer.from(hex, "hex");
  const base64 = [0, 1, 2].map((skipped) => bytes.subarray(skipped).toString("base64").slice(0, 20));
  const numbers = [...bytes].slice(0, 8).join(",");
  return [hex.slice(0, 16), ...base64, ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")), numbers];
}

function isKeyIn(text: string, keys: readonly string[]): boolean {
  const lowerCase = text.toLowerCase();
  return keys.some((hex) => {
    const [inHex = "", ...others] = spellingsOf(hex.toLowerCase());
    return lowerCase.includes(inHex) || others.some((spelling) => text.includes(spelling));
  });
}

test("lab --record: every program does the same again, and no byte of a key is in its recording", async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "spindle-record-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const host = { ...quietHost, recordDirectory: directory };
  const lab = await Lab.create({ ...labDefaults, nodes: 3, rate: 10 }, host);
  context.after(() => lab.abandon());
  const keys = new Set<string>();
  const collect = (): void => lab.nodes.forEach(({ layout }) => keysIn(layout.keyFile).forEach((key) => keys.add(key)));
  await lab.start();
  collect();
  const rotated = lab.rotate();
  await lab.killAgent(1);
  await lab.killController();
  await rotated;
  collect();
  assert.notEqual(await lab.converge(restMsMax), null, "the fleet came to rest");
  await lab.abandon();

  assert.ok(keys.size >= 2 && [...keys].every((key) => /^[0-9a-f]{40,}$/i.test(key)), "two keys were in use");
  const files = readdirSync(directory).sort();
  assert.deepEqual(files, ["controller.jsonl", "node-1.jsonl", "node-2.jsonl", "node-3.jsonl"]);
  const texts = files.map((file) => readFileSync(join(directory, file), "utf8"));
  assert.deepEqual(files.filter((_file, index) => isKeyIn(texts[index] ?? "", [...keys])), []);
  for (const spelling of spellingsOf([...keys][0] ?? "")) {
    assert.ok(isKeyIn(`${texts[0] ?? ""}"${spelling}"`, [...keys]), `the search would find ${spelling.length} characters of a key`);
  }
  assert.ok(files.every((file) => (statSync(join(directory, file)).mode & 0o077) === 0), "nobody else reads them");

  const { code, stdout, stderr } = await runSpindle("simulate", "--replay", directory);
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /agent node-2, 2 runs, .*: the same/);
  assert.match(stdout, /controller controller-1, 2 runs, .*: the same/);
});
