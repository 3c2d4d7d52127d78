/**
 * A large fleet needs a larger heap than Node.js takes by itself, and that can only be said at its start: so the program
 * starts itself again with the heap that the fleet wants, on the same terminal.
 */
import { spawn } from "node:child_process";
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { CliError } from "../exit.js";
import type { Shell } from "../shell.js";

const mebibyte = 1024 * 1024;
/**
 * Live at the top of a rotation, with 500 nodes of degree 8 and 64 behind a barrier: 4.6 kB for each ordered pair and 24 kB
 * for each node; a full mesh of 150 pairwise was within that. As much again is for what waits to be collected.
 */
const bytesPerPair = 2 * 4_700;
const bytesPerNode = 2 * 25_000;
const bytesAtLeast = 512 * mebibyte;
/** The rest of the machine needs some, too. */
const shareMax = 0.85;

/**
 * What is new is copied when this much of it has come (MiB), and most of a fleet's news stays: with 16, as Node.js takes by itself,
 * four times as often, and a tenth of the time goes there.
 */
const youngAtLeast = 32;
const youngMax = 64;

/** Bytes of heap for a fleet of `nodes`, each with `peers`. */
export function heapBytesFor(nodes: number, peers: number): number {
  return bytesAtLeast + nodes * bytesPerNode + nodes * peers * bytesPerPair;
}

/**
 * @returns true when another process has done the work and set the exit code
 * @throws CliError `FLEET_TOO_LARGE` when this machine has not that much memory
 */
export async function runWithHeap(bytes: number, shell: Shell): Promise<boolean> {
  if (bytes <= getHeapStatistics().heap_size_limit) return false;
  checkMemory(bytes);
  if (process.execArgv.some((argument) => argument.startsWith(heapFlag))) return false;
  const child = spawn(process.execPath, [...heapFlagsFor(bytes), ...process.argv.slice(1)], { stdio: "inherit" });
  // On SIGINT the terminal tells both; SIGTERM reaches this process alone.
  shell.interrupted().addEventListener("abort", () => child.kill("SIGTERM"));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", resolve);
  });
  shell.exitWith(exitCodes.find((known) => known === code) ?? 1);
  return true;
}

/** @throws CliError `FLEET_TOO_LARGE` when this machine, or the container that this runs in, has not that much memory */
export function checkMemory(bytes: number): void {
  // Where nothing bounds the container, Node.js tells a number beyond all memory, or 0.
  const available = Math.min(totalmem(), process.constrainedMemory() || Infinity) * shareMax;
  if (bytes > available) throw tooLarge(bytes, available);
}

const heapFlag = "--max-old-space-size=";

/** Flags of Node.js for a heap of so many bytes. */
export function heapFlagsFor(bytes: number): readonly string[] {
  const young = [`--min-semi-space-size=${youngAtLeast}`, `--max-semi-space-size=${youngMax}`];
  return [`${heapFlag}${Math.ceil(bytes / mebibyte)}`, ...young];
}

const exitCodes = [0, 1, 2, 3, 4] as const;

function tooLarge(bytes: number, available: number): CliError {
  const gibibytes = (of: number): string => `${(of / 1024 / mebibyte).toFixed(1)} GiB`;
  return new CliError({
    exitCode: 2,
    code: "FLEET_TOO_LARGE",
    message: `this fleet wants about ${gibibytes(bytes)} of memory, and ${gibibytes(available)} can be had here`,
    hint: "fewer nodes, or a smaller --degree",
  });
}
