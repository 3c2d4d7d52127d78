/**
 * One process at a time opens a store. The claim is a record in the store, made under LMDB's writer
 * lock, which dies with its holder; so two that start at once cannot both win, and a killed owner
 * leaves nothing to clean up.
 */
import { readFileSync } from "node:fs";
import type { Database } from "lmdb";
import { PortError } from "../../port-error.js";

/**
 * A process, told apart from a later one of the same number by boot and start time where the system
 * shows them.
 */
export interface StoreOwner {
  readonly pid: number;
  readonly bootId: string | null;
  readonly startTicks: string | null;
}

const ownerKey = "owner";

/** @throws PortError REGISTRY_STORE_IN_USE */
export function claimStore(meta: Database): void {
  meta.transactionSync(() => {
    const owner = meta.get(ownerKey) as StoreOwner | undefined;
    if (owner !== undefined && isRunning(owner)) {
      const message = `the registry's store is in use by process ${owner.pid}`;
      throw new PortError("REGISTRY_STORE_IN_USE", message, false);
    }
    meta.putSync(ownerKey, describeProcess(process.pid));
  });
}

export function releaseStore(meta: Database): void {
  meta.removeSync(ownerKey);
}

function isRunning(owner: StoreOwner): boolean {
  const now = describeProcess(owner.pid);
  if (now.bootId !== owner.bootId) return false;
  if (owner.startTicks !== null) return now.startTicks === owner.startTicks;
  return answersSignals(owner.pid);
}

function describeProcess(pid: number): StoreOwner {
  const bootId = readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? null;
  // proc(5): the name in parentheses may hold anything; start time is field 22, the 20th after it.
  const stat = readIfThere(`/proc/${pid}/stat`);
  const startTicks = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  return { pid, bootId, startTicks };
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM";
  }
}
