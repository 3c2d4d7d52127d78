/**
 * Runs a program on a kernel that has ESP: this host's own, in fresh namespaces, where it can and
 * may; else User-Mode Linux, which boots as an ordinary process and needs no privileges. Either way
 * the repository is visible at its own path, and nothing that the program makes outlives it:
 * namespaces, addresses and SAs go with the guest, and the guest goes with this process.
 * docs/design/0021-a-real-kernel-for-tests.md says how it boots.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guestScript } from "./guest-script.js";
import { root } from "./repository.js";

export type KernelHost = "native" | "user-mode-linux";

export interface GuestOptions {
  /** The guest is ended after this long. */
  readonly timeoutMs: number;
  /** Kernel modules that stay unloaded, to see what their absence does. */
  readonly withoutModules?: readonly string[];
}

export interface GuestResult {
  /** Null when the program did not end in time, or the guest could not run it. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Console of User-Mode Linux, empty on the host's own kernel. */
  readonly console: string;
}

const linuxProgram = "/usr/bin/linux.uml";

/**
 * @param withoutModules from a kernel of our own modules can be withheld, never from the host's
 * @returns which kernel can be used, or why none can
 */
export function findKernelHost(
  withoutModules: readonly string[] = [],
): KernelHost | { readonly missing: string } {
  if (withoutModules.length === 0 && hostHasEsp()) return "native";
  const programs = [linuxProgram, "/sbin/modprobe", "/sbin/ip", "/usr/bin/unshare"];
  const absent = programs.filter((program) => !existsSync(program));
  if (absent.length === 0) return "user-mode-linux";
  return { missing: `needs ${absent.join(", ")}: apt-get install user-mode-linux kmod iproute2` };
}

/**
 * Runs a program as root of a kernel with ESP, in the repository's folder.
 * @param program absolute path
 */
export async function runInKernel(
  program: string,
  args: readonly string[],
  options: GuestOptions,
): Promise<GuestResult> {
  const host = findKernelHost(options.withoutModules);
  if (typeof host !== "string") throw new Error(host.missing);
  const folder = mkdtempSync(join(tmpdir(), "spindle-guest-"));
  try {
    mkdirSync(join(folder, "modules"));
    const script = join(folder, "init");
    writeFileSync(script, guestScript({ host, folder, program, args, root, ...options }), {
      mode: 0o755,
    });
    const console = await runGuest(startGuest(host, folder, script), options.timeoutMs);
    return { ...readResult(folder), console };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Can this process make a network namespace and an ESP SA in it? */
function hostHasEsp(): boolean {
  const key = `0x${"00".repeat(20)}`;
  const add =
    `ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000001 ` +
    `mode transport aead 'rfc4106(gcm(aes))' ${key} 128`;
  return spawnSync("unshare", ["--net", "sh", "-c", add]).status === 0;
}

function startGuest(host: KernelHost, folder: string, script: string): ChildProcess {
  const [program, args] =
    host === "native"
      ? ["unshare", ["--net", "--mount", "--pid", "--fork", "--kill-child", script]]
      : [linuxProgram, bootArguments(folder, script)];
  // Standard input stays open as long as this process lives: when it closes, the guest ends itself.
  return spawn(program, args, { detached: true, stdio: ["pipe", "pipe", "pipe"] });
}

function bootArguments(folder: string, script: string): string[] {
  return [
    "mem=640M",
    "rootfstype=hostfs",
    "rootflags=/",
    "ro",
    `init=${script}`,
    `uml_dir=${folder}`,
    "con=null",
    "con0=fd:0,fd:1",
    "quiet",
  ];
}

/** @returns what the guest wrote to its console */
async function runGuest(guest: ChildProcess, timeoutMs: number): Promise<string> {
  let written = "";
  for (const stream of [guest.stdout, guest.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => (written += text));
  const end = (): void => endGroup(guest);
  process.once("exit", end);
  const timer = setTimeout(end, timeoutMs);
  await new Promise<void>((resolve) => guest.once("close", resolve).once("error", resolve));
  clearTimeout(timer);
  process.removeListener("exit", end);
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
