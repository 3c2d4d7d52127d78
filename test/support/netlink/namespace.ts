/**
 * Network namespaces inside one process, for tests: what is opened while the thread is in one stays
 * there. Needs a kernel where this process is root.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import koffi from "koffi";
import { RequestSocket } from "../../../src/adapters/netlink/socket/request-socket.js";
import { NetlinkDescriptor } from "../../../src/adapters/netlink/socket/descriptor.js";
import { loadLibc } from "../../../src/adapters/netlink/socket/libc.js";

const setns = koffi.load(null).func("int setns(int, int)") as (fd: number, kind: number) => number;
/** CLONE_NEWNET. */
const networkKind = 0x4000_0000;

export interface Namespace {
  readonly name: string;
  /** Runs in the namespace; must not wait. */
  within<T>(run: () => T): T;
  close(): void;
}

export function makeNamespace(name: string): Namespace {
  ip("netns", "add", name);
  const home = openSync("/proc/self/ns/net", "r");
  const there = openSync(`/run/netns/${name}`, "r");
  return {
    name,
    within(run) {
      enter(there);
      try {
        return run();
      } finally {
        enter(home);
      }
    },
    close() {
      closeSync(there);
      closeSync(home);
      ip("netns", "delete", name);
    },
  };
}

function enter(fd: number): void {
  if (setns(fd, networkKind) !== 0) throw new Error(`setns failed with ${koffi.errno()}`);
}

export async function openRequestSocketIn(namespace: Namespace): Promise<RequestSocket> {
  const libc = await loadLibc();
  return namespace.within(() => new RequestSocket(new NetlinkDescriptor(libc)));
}

/** @returns what `ip` printed; throws with its complaint when it fails */
export function ip(...args: readonly string[]): string {
  return execFileSync("ip", args, { encoding: "utf8" });
}

/** Many commands of `ip` in one process, which is much quicker. */
export function ipBatch(lines: readonly string[], namespace?: Namespace): void {
  const where = namespace === undefined ? [] : ["-n", namespace.name];
  execFileSync("ip", [...where, "-batch", "-"], { input: lines.join("\n"), encoding: "utf8" });
}

/**
 * Waits until the device called like its namespace carries. The kernel takes up a new link by and by (linkwatch), on a busy machine
 * seconds later; until then IPv6 has no route for what comes in, neighbour discovery's questions too. Who asks hears nothing, asks
 * again after a second, and keeps its packets meanwhile, as they were encrypted when they were sent: their key may go before they do.
 */
export async function awaitLink({ name }: Namespace): Promise<void> {
  while (!ip("-n", name, "link", "show", "dev", name).includes("state UP")) await pause(10);
}
