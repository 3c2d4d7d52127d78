/**
 * Cases that run inside a kernel with ESP, all in one guest because each boot costs seconds. The
 * host's test file lists the same cases by name and reports what the guest found.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { inspect } from "node:util";
import {
  findKernelHost,
  runInKernel,
  type GuestOptions,
  type GuestResult,
} from "./kernel-host.js";

export interface KernelCase {
  readonly name: string;
  readonly run: () => Promise<void> | void;
}

interface CaseResult {
  readonly name: string;
  readonly error: string | null;
  readonly ms: number;
}

/** In the guest: runs each case and prints one line of JSON for it. */
export async function runCases(cases: readonly KernelCase[]): Promise<void> {
  for (const { name, run } of cases) {
    const startMs = performance.now();
    let error: string | null = null;
    try {
      await run();
    } catch (cause) {
      error = inspect(cause, { depth: 6 });
    }
    const result: CaseResult = { name, error, ms: Math.round(performance.now() - startMs) };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

/**
 * On the host: a test for each case. In CI a missing kernel fails them.
 * @param args of Node.js: the guest's program and its arguments
 */
export function declareCases(
  cases: readonly KernelCase[],
  args: readonly string[],
  options: GuestOptions,
): void {
  const host = findKernelHost(options.withoutModules);
  const skip = typeof host === "string" ? false : host.missing;
  let guest: GuestResult | null = null;
  before(async () => {
    if (skip === false) guest = await runInKernel(process.execPath, args, options);
  });
  for (const { name } of cases) {
    test(`kernel: ${name}`, { skip }, () => {
      assert.ok(guest !== null);
      const result = resultsOf(guest).find((one) => one.name === name);
      if (result === undefined) assert.fail(`the guest did not get there:\n${outputOf(guest)}`);
      if (result.error !== null) assert.fail(result.error);
    });
  }
}

function resultsOf(guest: GuestResult): readonly CaseResult[] {
  return guest.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as CaseResult);
}

function outputOf({ status, stdout, stderr, console }: GuestResult): string {
  return `status ${status}\n${stdout}\n${stderr}\n${console}`;
}
