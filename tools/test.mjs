/**
 * Builds, lints and runs the tests: `node tools/test.mjs [unit|long]`.
 *
 *   unit     only src/, the tests beside the code
 *   (none)   src/ and test/ without test/long/
 *   long     everything
 *
 * Unit tests run side by side; those of test/ start processes and measure time, so they run one
 * after the other. The last line is `N passed, N failed, N skipped`. In CI (CI=true) a skipped test
 * fails the run.
 */
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { root, runCommand } from "./command.mjs";
import { buildApiServer } from "./kube-apiserver.mjs";
import { installMissing } from "./system-packages.mjs";
import { describeFailure, runFile } from "./test-file.mjs";

const scopes = {
  unit: (file) => file.startsWith("src/"),
  default: (file) => !file.startsWith("test/long/"),
  long: () => true,
};

const unitTimeoutMs = 60_000;
const systemTimeoutMs = 1_800_000;
/** How often to say what is still running. */
const noticeEveryMs = 15_000;

/** What counts when there is nothing to run: the build or the lint failed and said why. */
const unsound = { passed: 0, failures: [{ name: "build and lint" }], skips: [] };

const scope = process.argv[2] ?? "default";
const selects = scopes[scope];
if (selects === undefined) {
  console.error(`unknown scope ${scope}: unit, long or none`);
  process.exitCode = 2;
} else {
  process.exitCode = await runAll(selects);
}

async function runAll(selects) {
  await installMissing();
  const isBuilt = await build();
  if (isBuilt && selects !== scopes.unit) await buildApiServer(); // Without it its tests skip, and say why.
  const isSound = isBuilt && (await runCommand("linting", "npm", ["run", "--silent", "lint"]));
  return report(isSound ? await runTests(listTests().filter(selects)) : [unsound]);
}

/**
 * Sources of the tests, relative to the root: what was deleted is not run, whatever dist/ holds.
 */
function listTests() {
  return ["src", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => join(folder, file))
      .sort(),
  );
}

async function runTests(files) {
  const units = files.filter(scopes.unit);
  const others = files.filter((file) => !scopes.unit(file));
  return [
    ...(await runPool(units, availableParallelism(), unitTimeoutMs)),
    ...(await runPool(others, 1, systemTimeoutMs)),
  ];
}

async function runPool(files, width, timeoutMs) {
  const waiting = [...files];
  const running = new Set();
  const results = [];
  const notice = setInterval(
    () => console.log(`      running: ${[...running].join(", ")}`),
    noticeEveryMs,
  );
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      running.add(file);
      const result = await runFile(file, timeoutMs);
      running.delete(file);
      results.push(result);
      printResult(result);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  clearInterval(notice);
  return results;
}

function printResult(result) {
  const { file, passed, failures, skips, stdout, seconds } = result;
  const mark = failures.length > 0 ? "FAIL" : "ok  ";
  const skipped = skips.length > 0 ? `, ${skips.length} skipped` : "";
  console.log(`${mark}  ${file}  ${passed} passed${skipped}  ${seconds.toFixed(1)} s`);
  if (stdout !== "") process.stdout.write(stdout);
  if (failures.length === 0) return;
  for (const failure of failures) console.log(describeFailure(failure));
  for (const warning of result.warnings) console.log(`      ${warning}`);
  if (result.stderr !== "") console.log(`stderr of ${file}:\n${result.stderr}`);
}

/** Prints the end of the run. @returns its exit code */
function report(results) {
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failures.length, 0);
  const skips = results.flatMap((result) => result.skips);
  for (const skip of skips) console.log(`skip  ${skip.name}: ${skip.reason}`);
  const isCi = process.env["CI"] === "true";
  if (isCi && skips.length > 0) console.log("FAIL  in CI nothing may skip");
  console.log(`${passed} passed, ${failed} failed, ${skips.length} skipped`);
  return failed > 0 || passed === 0 || (isCi && skips.length > 0) ? 1 : 0;
}
