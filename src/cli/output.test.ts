import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { Command } from "commander";
import { parse } from "yaml";
import { captureTerminal } from "../../test/support/terminal.js";
import { colorsFor } from "../adapters/system/terminal.js";
import {
  addOutputOptions,
  formatOf,
  formatTable,
  printResult,
  type Column,
  type OutputOptions,
} from "./output.js";

interface Peer {
  readonly name: string;
  readonly packets: number;
  readonly why: string;
}

const peers: readonly Peer[] = [
  { name: "node-1", packets: 12_345, why: "does not hold key 8" },
  { name: "node-12", packets: 7, why: "" },
];

const columns: readonly Column<Peer>[] = [
  { header: "NODE", cell: (peer, colors) => colors.green(peer.name) },
  { header: "PACKETS", cell: (peer) => String(peer.packets), align: "right" },
  { header: "WHY", cell: (peer) => peer.why, wide: true },
];

const plain = "NODE     PACKETS\nnode-1     12345\nnode-12        7";
const wide = "NODE     PACKETS  WHY\nnode-1     12345  does not hold key 8\nnode-12        7";

test("output: a table has aligned columns, and more of them when wide", () => {
  assert.equal(formatTable(columns, peers, captureTerminal()), plain);
  assert.equal(formatTable(columns, peers, captureTerminal(), true), wide);
});

test("output: an empty table is its headers", () => {
  assert.equal(formatTable(columns, [], captureTerminal()), "NODE  PACKETS");
});

test("output: colours are for terminals, and do not move the columns", () => {
  const colored = formatTable(columns, peers, captureTerminal(true));
  assert.notEqual(colored, plain);
  assert.equal(stripVTControlCharacters(colored), plain);
});

const colorCases: readonly (readonly [boolean, NodeJS.ProcessEnv, boolean])[] = [
  [true, {}, true],
  [false, {}, false],
  [false, { FORCE_COLOR: "1", CI: "true" }, false],
  [true, { NO_COLOR: "1" }, false],
  [true, { NO_COLOR: "" }, true],
  [true, { TERM: "dumb" }, false],
];

for (const [isTTY, env, expected] of colorCases) {
  test(`output: colours ${expected ? "on" : "off"} for terminal ${isTTY}, ${JSON.stringify(env)}`, () => {
    assert.equal(colorsFor(captureTerminal(isTTY), env).isColorSupported, expected);
  });
}

async function printed(format: Parameters<typeof printResult>[1]): Promise<string> {
  const stdout = captureTerminal();
  const value = { schemaVersion: 1, peers };
  await printResult(stdout, format, value, (isWide) => formatTable(columns, peers, stdout, isWide));
  return stdout.text();
}

test("output: JSON and YAML are the value, table and wide the text", async () => {
  const value = { schemaVersion: 1, peers };
  assert.deepEqual(JSON.parse(await printed("json")), value);
  assert.deepEqual(parse(await printed("yaml")), value);
  assert.equal(await printed("table"), `${plain}\n`);
  assert.equal(await printed("wide"), `${wide}\n`);
});

const flagCases: readonly (readonly [readonly string[], string])[] = [
  [[], "table"],
  [["-o", "wide"], "wide"],
  [["-o", "yaml"], "yaml"],
  [["--json"], "json"],
  [["--output", "json"], "json"],
];

for (const [argv, expected] of flagCases) {
  test(`output: flags "${argv.join(" ")}" mean ${expected}`, () => {
    const command = addOutputOptions(new Command("list")).parse(argv, { from: "user" });
    assert.equal(formatOf(command.opts<OutputOptions>()), expected);
  });
}
