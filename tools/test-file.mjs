/**
 * Runs one test file in a process of its own, with node's test runner, and collects what came of
 * it.
 */
import { join } from "node:path";
import { run } from "node:test";
import { inspect } from "node:util";
import { root } from "./command.mjs";

/**
 * @typedef {object} FileResult
 * @property {string} file source of the test, relative to the root
 * @property {number} passed
 * @property {{ name: string, error: unknown }[]} failures
 * @property {{ name: string, reason: string }[]} skips
 * @property {string} stdout
 * @property {string} stderr
 * @property {string[]} warnings of the runner, e.g. about what a test left running
 * @property {number} seconds
 */

/**
 * @param {string} file
 * @param {number} timeoutMs the process is ended after this long
 * @returns {Promise<FileResult>}
 */
export async function runFile(file, timeoutMs) {
  const compiled = join(root, "dist", file.replace(/\.ts$/, ".js"));
  const result = {
    file,
    passed: 0,
    failures: [],
    skips: [],
    stdout: "",
    stderr: "",
    warnings: [],
    seconds: 0,
  };
  const startedMs = performance.now();
  for await (const event of run({ files: [compiled], timeout: timeoutMs })) {
    collect(event, result, compiled);
  }
  result.seconds = (performance.now() - startedMs) / 1_000;
  return result;
}

/** The runner's own counts, which come as diagnostics. */
const summaryLine = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /;

function collect({ type, data }, result, compiled) {
  if (type === "test:stdout") result.stdout += data.message;
  if (type === "test:stderr") result.stderr += data.message;
  if (type === "test:diagnostic" && !summaryLine.test(data.message))
    result.warnings.push(data.message);
  if (type === "test:pass") collectPass(data, result, compiled);
  if (type === "test:fail" && !isEcho(data)) {
    result.failures.push({ name: data.name, error: data.details.error });
  }
}

function collectPass({ name, skip, details }, result, compiled) {
  if (details.type === "suite") return;
  // The runner reports a file without tests as one that passed.
  if (name === compiled) result.failures.push({ name, error: "the file has no tests" });
  else if (skip !== undefined)
    result.skips.push({ name, reason: skip === true ? "no reason given" : skip });
  else result.passed += 1;
}

/** A suite or test that failed only because one inside it did is not counted twice. */
function isEcho({ details }) {
  return details.error?.failureType === "subtestsFailed";
}

/** @param {{ name: string, error: any }} failure */
export function describeFailure({ name, error }) {
  const cause = error?.cause ?? error;
  const text = typeof cause === "string" ? cause : inspect(cause, { depth: 6 });
  return `\n      not ok: ${name}\n${text.replaceAll(/^/gm, "      ")}\n`;
}
