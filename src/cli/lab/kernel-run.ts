/**
 * Where a lab on the kernel's dataplane runs: here, if this host's kernel has ESP and lets us, else
 * in User-Mode Linux, as the same command with the same options, whose report comes back as JSON.
 */
import { fileURLToPath } from "node:url";
import { findKernelHost } from "../../lab/guest/kernel-host.js";
import { runInKernel, type GuestResult } from "../../lab/guest/run-in-kernel.js";
import { LabError } from "../../lab/lab-error.js";
import type { LabOptions } from "../../lab/options.js";
import type { LabReport } from "../../lab/report.js";
import { CliError } from "../exit.js";
import type { Shell } from "../shell.js";

const main = fileURLToPath(new URL("../main.js", import.meta.url));
/** A Node.js process of the lab needs some 70 MiB; there is one for each node, controller and lab. */
const memoryMibPerProcess = 100;
const memoryMibOfKernel = 256;
const rotationMsMax = 120_000;
const startMsMax = 240_000;

/** Is a guest needed? The command in the guest must not start another. @throws CliError KERNEL_UNAVAILABLE where not even that is possible */
export function needsGuest({ dataplane }: LabOptions, { env }: Shell): boolean {
  if (dataplane !== "kernel" || env["SPINDLE_LAB_GUEST"] !== undefined) return false;
  const host = findKernelHost();
  if (typeof host === "string") return host === "user-mode-linux";
  throw new CliError({
    exitCode: 2,
    code: "KERNEL_UNAVAILABLE",
    message: `--dataplane kernel needs a kernel with ESP: ${host.missing}`,
    hint: "install what is missing, or leave --dataplane out: userspace needs nothing",
  });
}

/** @param recordDirectory for recordings of all agents and the controller, null for none */
export async function runInGuest(
  options: LabOptions,
  shell: Shell,
  recordDirectory: string | null,
): Promise<LabReport> {
  refuseKeep(options);
  shell.stderr.write("this host's kernel lacks ESP: starting User-Mode Linux\n");
  const signal = shell.interrupted();
  const words = wordsOf(options, recordDirectory);
  const result = await runInKernel("/usr/bin/env", ["SPINDLE_LAB_GUEST=1", process.execPath, main, ...words], {
    host: "user-mode-linux",
    workingFolder: process.cwd(),
    timeoutMs: startMsMax + options.rotations * (rotationMsMax + 4 * options.slowNodeMs),
    memoryMib: memoryMibOfKernel + (options.nodes + 2) * memoryMibPerProcess,
    writable: recordDirectory === null ? [] : [recordDirectory],
    stderr: (text) => void shell.stderr.write(text),
    signal,
  });
  if (signal.aborted) throw new LabError("LAB_INTERRUPTED", "the lab was interrupted");
  return readReport(result);
}

/** What is kept would be gone with the guest. */
function refuseKeep({ keep }: LabOptions): void {
  if (!keep) return;
  throw new CliError({
    exitCode: 2,
    code: "BAD_USAGE",
    message: "--keep does not reach into User-Mode Linux, which this host's kernel needs for ESP",
    hint: "use --record DIRECTORY, or a host whose kernel has ESP",
  });
}

function wordsOf(options: LabOptions, recordDirectory: string | null): readonly string[] {
  const { nodes, rotations, rate, coordination, order, slowNodeMs, drainMs, jitter } = options;
  const { dataplane, ipv6, encapsulation, ipsecMode, seed } = options;
  const values = {
    nodes,
    rotations,
    rate,
    coordination,
    order,
    "slow-node": `${slowNodeMs}ms`,
    drain: `${drainMs}ms`,
    jitter,
    dataplane,
    encapsulation,
    "ipsec-mode": ipsecMode,
    seed,
    ...(recordDirectory === null ? {} : { record: recordDirectory }),
  };
  const flags = Object.entries(values).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  return ["lab", "--json", ...flags, ...(ipv6 ? ["--ipv6"] : [])];
}

function readReport({ status, stdout, console }: GuestResult): LabReport {
  if ((status === 0 || status === 1) && stdout.startsWith("{")) {
    const value = JSON.parse(stdout) as LabReport;
    if ("rotations" in value) return value;
  }
  const how = status === null ? "ended before the lab did" : `the lab in it ended with code ${status}`;
  const message = `User-Mode Linux: ${how}\n${console.trim()}`;
  throw new LabError("LAB_PROGRAM_FAILED", message);
}
