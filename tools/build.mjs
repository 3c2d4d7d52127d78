/**
 * Builds everything into dist/ with the TypeScript compiler, quietly when it is quick. Outputs
 * whose source is gone are removed, so that no deleted test or command lives on.
 */
import { chmodSync, existsSync, readdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { root, runCommand } from "./command.mjs";

const dist = join(root, "dist");
const compiler = join(root, "node_modules/typescript/bin/tsc");
const entryPoint = join(dist, "src/cli/main.js");
/** Folders of dist/ that mirror the sources. */
const mirrored = ["src", "test", "bench"];

/** @returns {Promise<boolean>} whether it succeeded; what is wrong has been printed */
export async function build() {
  if (!existsSync(compiler)) {
    console.error("build failed: the compiler is missing, run npm ci first");
    return false;
  }
  removeStaleOutputs();
  if (!(await runCommand("building", process.execPath, [compiler, "-b"]))) {
    console.error("build failed: the compiler's errors are above");
    return false;
  }
  chmodSync(entryPoint, 0o755);
  return true;
}

function removeStaleOutputs() {
  for (const folder of mirrored.map((name) => join(dist, name)).filter(existsSync)) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const output = join(entry.parentPath, entry.name);
      if (entry.isFile() && isStale(output)) rmSync(output);
    }
  }
}

function isStale(output) {
  const match = /^(.*)\.(js|js\.map|d\.ts)$/.exec(relative(dist, output));
  return match !== null && !existsSync(join(root, `${match[1]}.ts`));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = (await build()) ? 0 : 1;
