/**
 * Runs the benchmarks, one process after the other: `node tools/bench.mjs [name [word ...]]`. Needs a build. Words go to the
 * benchmark. A missed target is printed and does not fail the run: figures of a busy machine prove nothing.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root, runCommand } from "./command.mjs";

const wanted = process.argv[2] ?? "";
const benches = readdirSync(join(root, "bench"))
  .filter((file) => file.endsWith(".bench.ts") && file.startsWith(wanted))
  .sort();

if (benches.length === 0) {
  console.error(`no benchmark begins with ${wanted}`);
  process.exitCode = 2;
}
for (const file of benches) {
  const compiled = join(root, "dist/bench", file.replace(/\.ts$/, ".js"));
  if (!(await runCommand(`bench ${file}`, process.execPath, [compiled, ...process.argv.slice(3)]))) process.exitCode = 1;
}
