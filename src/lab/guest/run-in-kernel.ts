/**
 * Runs a program on a kernel that has ESP: this host's own, in fresh namespaces, or User-Mode
 * Linux. Either way the host's files are there at their own paths, and nothing that the program
 * makes outlives it: namespaces, addresses and SAs go with the guest, and the guest goes with this
 * process. docs/design/0021-a-real-kernel-for-tests.md says how it boots.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { guestScript } from "./guest-script.js";
import { linuxProgram, type KernelHost } from "./kernel-host.js";

export interface GuestOptions {
  readonly host: KernelHost;
  readonly workingFolder: string;
  /** The guest is ended after this long. */
  readonly timeoutMs: number;
  /** Of User-Mode Linux. */
  readonly memoryMib?: number;
  /** Kernel modules that stay unloaded, to see what their absence does. */
  readonly withoutModules?: readonly string[];
  /** Folders of the host that it may write to. */
  readonly writable?: readonly string[];
  /** Given, it gets standard error while the program runs, and the result has none. */
  readonly stderr?: (text: string) => void;
  /** Ends the guest at once, with everything in it. */
  readonly signal?: AbortSignal;
}

export interface GuestResult {
  /** Null when the program did not end in time, or the guest could not run it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Console of User-Mode Linux, empty on the host's own kernel. */
  readonly console: string;
}

const memoryMibDefault = 640;

/** Runs a program as root of a kernel with ESP. @param program absolute path */
export async function runInKernel(
  program: string,
  args: readonly string[],
  options: GuestOptions,
): Promise<GuestResult> {
  const { host, workingFolder, writable = [], withoutModules = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), "spindle-guest-"));
  try {
    mkdirSync(join(folder, "modules"));
    const script = join(folder, "init");
    const isLive = options.stderr !== undefined && host !== "native";
    const task = { host, folder, writable, program, args, workingFolder, withoutModules, isLive };
    writeFileSync(script, guestScript(task), { mode: 0o755 });
    const console = await follow(startGuest(options, folder, script), options);
    return { ...readResult(folder), console };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function startGuest({ host, memoryMib }: GuestOptions, folder: string, script: string): ChildProcess {
  const [program, args] =
    host === "native"
      ? ["unshare", ["--net", "--mount", "--pid", "--fork", "--kill-child", script]]
      : [linuxProgram, bootArguments(memoryMib ?? memoryMibDefault, folder, script)];
  // Standard input stays open as long as this process lives: when it closes, the guest ends itself.
  return spawn(program, args, { detached: true, stdio: ["pipe", "pipe", "pipe", "pipe"] });
}

function bootArguments(memoryMib: number, folder: string, script: string): string[] {
  return [
    `mem=${memoryMib}M`,
    "rootfstype=hostfs",
    "rootflags=/",
    "ro",
    `init=${script}`,
    `uml_dir=${folder}`,
    "con=null",
    "con0=fd:0,fd:1",
    "con1=null,fd:3",
    "quiet",
  ];
}

/** @returns what the guest wrote to its console */
async function follow(guest: ChildProcess, options: GuestOptions): Promise<string> {
  const { timeoutMs, stderr, signal } = options;
  let written = "";
  for (const stream of [guest.stdout, guest.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => (written += text));
  const live = guest.stdio[3] as Readable;
  live.setEncoding("utf8").on("data", (text: string) => stderr?.(text));
  const end = (): void => endGroup(guest);
  process.once("exit", end);
  signal?.addEventListener("abort", end, { once: true });
  const timer = setTimeout(end, timeoutMs);
  await new Promise<void>((resolve) => guest.once("close", resolve).once("error", resolve));
  clearTimeout(timer);
  process.removeListener("exit", end);
  signal?.removeEventListener("abort", end);
  end();
  return written;
}

/** User-Mode Linux runs each guest process in a process of the host, all in one group. */
function endGroup(guest: ChildProcess): void {
  if (guest.pid === undefined) return;
  try {
    process.kill(-guest.pid, "SIGKILL");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
  }
}

function readResult(folder: string): Omit<GuestResult, "console"> {
  const read = (name: string): string => {
    const path = join(folder, name);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  const status = read("status").trim();
  return {
    status: status === "" ? null : Number(status),
    stdout: read("stdout"),
    stderr: read("stderr"),
  };
}
