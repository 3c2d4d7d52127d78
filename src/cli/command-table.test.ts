import assert from "node:assert/strict";
import { test } from "node:test";
import type { Command } from "commander";
import { readFile } from "../../test/support/repository.js";
import { captureTerminal } from "../../test/support/terminal.js";
import { commandTable } from "./command-table.js";
import type { Shell } from "./shell.js";

const shell: Shell = {
  stdout: captureTerminal(),
  stderr: captureTerminal(),
  env: {},
  interrupted: () => new AbortController().signal,
  exitWith: () => assert.fail("nothing runs"),
};

const reference = readFile("docs/reference/commands.md");

/** `keyfile next` and the like count as commands of their own. */
function withChildren(name: string, command: Command): readonly (readonly [string, Command])[] {
  if (command.commands.length === 0) return [[name, command]];
  return command.commands.map((child) => [`${name} ${child.name()}`, child] as const);
}

for (const { name, load, hidden } of commandTable) {
  if (hidden === true) continue;
  test(`commands: the reference has ${name} and its options`, async () => {
    const command = (await load()).makeCommand(shell);
    for (const [path, leaf] of withChildren(name, command)) {
      assert.ok(reference.includes(`spindle ${path}`), `spindle ${path}`);
      // Every command with a result has -o; the reference says so once.
      const longs = leaf.options
        .map(({ long }) => long ?? "")
        .filter((long) => long !== "--output");
      const missing = longs.filter((long) => !reference.includes(long));
      assert.deepEqual(missing, [], `options of ${path}`);
    }
  });
}
