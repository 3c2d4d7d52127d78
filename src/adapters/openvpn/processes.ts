/**
 * OpenVPN as processes of this machine. They outlive the program that started them, as kernel state does: a restart of the site takes
 * no tunnel down. What runs is read from /proc and never from a file of ours: a process belongs to a gateway when its arguments are
 * exactly ours, and is told from a later one with the same number by its start time. So a site that was killed between starting a
 * process and noting it finds it all the same.
 */
import { spawn } from "node:child_process";
import { open, readdir, readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";

export interface ProcessRef {
  readonly pid: number;
  /** Ticks after boot (proc(5), field 22). */
  readonly startTicks: string;
}

export interface FoundProcess extends ProcessRef {
  readonly configurationPath: string;
}

/**
 * Without a shell: a program and two arguments. Its errors go to a file; the rest is read over the management socket.
 * @throws PortError `OPENVPN_MISSING`, `OPENVPN_START_FAILED`
 */
export async function startProcess(
  program: string,
  configurationPath: string,
  errorPath: string,
): Promise<ProcessRef> {
  const errors = await open(errorPath, "w", 0o600);
  try {
    const pid = await spawned(program, configurationPath, errors.fd);
    const startTicks = await readStartTicks(pid);
    if (startTicks !== null) return { pid, startTicks };
    throw new PortError("OPENVPN_START_FAILED", `OpenVPN ended at once: ${await lastLine(errorPath)}`, true);
  } finally {
    await errors.close();
  }
}

function spawned(program: string, configurationPath: string, errors: number): Promise<number> {
  const child = spawn(program, ["--config", configurationPath], {
    cwd: "/",
    detached: true,
    env: {},
    stdio: ["ignore", "ignore", errors],
  });
  child.unref();
  return new Promise((started, failed) => {
    child.once("spawn", () => {
      started(child.pid!);
    });
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const message = `${program} cannot be run (${cause.code ?? cause.message}): install OpenVPN 2.6, or correct the path`;
      failed(new PortError("OPENVPN_MISSING", message, false, { cause }));
    });
  });
}

/** The process's own words about its end. */
export async function lastLine(errorPath: string): Promise<string> {
  const text = await readFile(errorPath, "utf8").catch(() => "");
  return text.trim().split("\n").at(-1)?.slice(0, limits.gatewayManagementLineMax) || "it said nothing";
}

export async function isAlive({ pid, startTicks }: ProcessRef): Promise<boolean> {
  return (await readStartTicks(pid)) === startTicks;
}

/** Every process whose arguments are `--config` and a file below the directory. */
export async function findProcesses(directory: string): Promise<readonly FoundProcess[]> {
  const found: FoundProcess[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const words = (await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "")).split("\0");
    const [, option, configurationPath, ...rest] = words;
    if (option !== "--config" || !configurationPath?.startsWith(`${directory}/`)) continue;
    if (rest.some((word) => word !== "")) continue;
    const startTicks = await readStartTicks(Number(name));
    if (startTicks !== null) found.push({ pid: Number(name), startTicks, configurationPath });
  }
  return found;
}

/** Asks it to end, and makes it end when it does not. The absent has ended. */
export async function endProcess(target: ProcessRef): Promise<void> {
  for (const [signal, patienceMs] of [
    ["SIGTERM", limits.gatewayStopMsMax],
    ["SIGKILL", limits.gatewayStopMsMax],
  ] as const) {
    if (!(await isAlive(target))) return;
    sendSignal(target.pid, signal);
    if (await hasEndedWithin(target, patienceMs)) return;
  }
  throw new PortError("OPENVPN_STUCK", `process ${target.pid} does not end`, true);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (cause) {
    // It ended since it was looked at.
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
  }
}

async function hasEndedWithin(target: ProcessRef, patienceMs: number): Promise<boolean> {
  const endMs = performance.now() + patienceMs;
  while (await isAlive(target)) {
    if (performance.now() > endMs) return false;
    await wait(limits.gatewayStopPollMs);
  }
  return true;
}

/** Null when there is no such process, or only its record that nobody has read. */
async function readStartTicks(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (text === null) return null;
  // The name of the program is in brackets and may hold anything.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const isGone = fields[0] === "Z" || fields[0] === "X";
  return isGone ? null : (fields[19] ?? null);
}
