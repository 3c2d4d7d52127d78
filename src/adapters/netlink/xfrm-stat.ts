/**
 * `/proc/net/xfrm_stat`: the XFRM error counters of one network namespace, the one that the thread
 * was in when the file was opened. They never go back. Newer kernels have counters that this version
 * does not know: they are read all the same.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { limits } from "../../core/limits.js";
import type { XfrmCounters } from "../../core/xfrm-counters.js";
import { PortError } from "../port-error.js";

/** Of the thread, not of the process: a thread may be in a namespace of its own. */
const statPath = "/proc/thread-self/net/xfrm_stat";

export interface XfrmStat {
  /** @throws PortError `XFRM_STAT_UNREADABLE` */
  read(): XfrmCounters;
  close(): void;
}

/** @throws PortError `XFRM_STAT_UNREADABLE` on a kernel without CONFIG_XFRM_STATISTICS. */
export function openXfrmStat(path = statPath): XfrmStat {
  const fd = orUnreadable(() => openSync(path, "r"));
  const buffer = Buffer.alloc(limits.xfrmStatBytesMax);
  return {
    read: () => {
      const length = orUnreadable(() => readSync(fd, buffer, 0, buffer.length, 0));
      return parseXfrmStat(buffer.toString("latin1", 0, length));
    },
    close: () => closeSync(fd),
  };
}

function orUnreadable<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    const message = `the kernel's XFRM counters cannot be read: ${words}`;
    throw new PortError("XFRM_STAT_UNREADABLE", message, true, { cause });
  }
}

/** One counter a line: its name, white space, its value. What is no counter is left out, and so are lines beyond the limit. */
export function parseXfrmStat(text: string): XfrmCounters {
  const lines = text.split("\n").map((line) => /^(Xfrm[A-Za-z0-9]+)\s+(\d+)$/.exec(line));
  const counters = lines.flatMap((found) => (found === null ? [] : [[found[1], Number(found[2])] as const]));
  return Object.fromEntries(counters.slice(0, limits.xfrmCountersMax)) as XfrmCounters;
}
