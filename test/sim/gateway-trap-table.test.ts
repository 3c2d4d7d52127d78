/** docs/reference/gateway-traps.md names a test that is there for every trap. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readFile } from "../support/repository.js";

const rows = readFile("docs/reference/gateway-traps.md")
  .split("\n")
  .map((line) => /^\| (\d+) \| .+ \| `(.+)` \| (.+) \|$/.exec(line))
  .filter((row) => row !== null);

test("gateway traps: the table has every one, and each names a test of its file", () => {
  const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
  assert.deepEqual(rows.map(([, number]) => Number(number)), [...range(1, 22), ...range(45, 66)]);
  for (const [, number, file, name] of rows) {
    const source = readFile(file ?? "");
    assert.ok(source.includes(`"${name}`) || source.includes(`\`${name}`), `trap ${number}: ${file} has no test "${name}"`);
  }
});
