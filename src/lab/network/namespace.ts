/**
 * Network namespaces of this process. A namespace has no name in the file system: it lives as long
 * as a process is in it or this one holds its descriptor, so a lab that is killed leaves none
 * behind. What is opened, and which program is started, while the thread is inside stays there.
 * Needs a Linux kernel on which this process may make namespaces (CAP_SYS_ADMIN).
 */
import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { endianness } from "node:os";
import { LabError } from "../lab-error.js";

export interface NetworkNamespace {
  readonly name: string;
  /** By which other programs find it while this process holds it: `/proc/PID/fd/NUMBER`. */
  readonly path: string;
  /**
   * Runs with the thread inside; must not wait. Programs started in it are inside for good, and
   * sockets that are bound or connected in it; Node.js binds its own later, so open those by number.
   */
  within<T>(run: () => T): T;
  /** Commands of `ip`, one a line, all in one process inside. @throws LabError */
  ip(lines: readonly string[]): void;
  /** It goes when no process is in it any more, and its links with it. */
  close(): void;
}

/** CLONE_NEWNET of sched.h. */
const networkKind = 0x4000_0000;
const ownPath = "/proc/thread-self/ns/net";

interface SystemCalls {
  setns(fd: number, kind: number): number;
  unshare(kind: number): number;
  errno(): number;
}

export type MakeNamespace = (name: string) => NetworkNamespace;

/** @throws LabError LAB_NETWORK_UNAVAILABLE where namespaces cannot be made at all */
export async function openNamespaces(): Promise<MakeNamespace> {
  const calls = await loadCalls();
  return (name) => makeNamespace(calls, name);
}

async function loadCalls(): Promise<SystemCalls> {
  if (process.platform !== "linux" || endianness() !== "LE")
    throw unavailable("network namespaces need Linux");
  const { default: koffi } = await import("koffi");
  const library = koffi.load(null);
  return {
    setns: library.func("int setns(int, int)"),
    unshare: library.func("int unshare(int)"),
    errno: () => koffi.errno(),
  };
}

function makeNamespace(calls: SystemCalls, name: string): NetworkNamespace {
  const home = openSync(ownPath, "r");
  const there = openNew(calls, home, name);
  let isOpen = true;
  const within = <T>(run: () => T): T => {
    enter(calls, there, name);
    try {
      return run();
    } finally {
      enter(calls, home, "its own");
    }
  };
  return {
    name,
    path: `/proc/${process.pid}/fd/${there}`,
    within,
    ip: (lines) => runIp(name, lines, within),
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      closeSync(there);
      closeSync(home);
    },
  };
}

/** The thread is back at home when it returns. */
function openNew(calls: SystemCalls, home: number, name: string): number {
  if (calls.unshare(networkKind) !== 0) {
    const errno = calls.errno();
    closeSync(home);
    throw unavailable(`namespace ${name} cannot be made (error ${errno}): run it as root`);
  }
  const there = openSync(ownPath, "r");
  enter(calls, home, "its own");
  return there;
}

function enter(calls: SystemCalls, fd: number, name: string): void {
  if (calls.setns(fd, networkKind) === 0) return;
  throw unavailable(`the thread cannot enter namespace ${name} (error ${calls.errno()})`);
}

function runIp(name: string, lines: readonly string[], within: NetworkNamespace["within"]): void {
  const input = `${lines.join("\n")}\n`;
  const { error, status, stderr } = within(() =>
    spawnSync("ip", ["-batch", "-"], { input, encoding: "utf8" }),
  );
  if (error !== undefined) throw unavailable(`ip cannot be run (${error.message}): install iproute2`);
  if (status !== 0) throw unavailable(`ip failed in namespace ${name}: ${stderr.trim()}`);
}

function unavailable(message: string): LabError {
  return new LabError("LAB_NETWORK_UNAVAILABLE", message);
}
