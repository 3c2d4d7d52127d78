/**
 * `/proc/net/xfrm_stat`: the XFRM error counters of one network namespace, the one that the thread
 * was in when the file was opened. They never go back; a counter that this version does not know
 * is left out.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { xfrmCounters, type XfrmCounterName, type XfrmCounters } from "../../core/xfrm-counters.js";
import { PortError } from "../port-error.js";

/** Of the thread, not of the process: a thread may be in a namespace of its own. */
const statPath = "/proc/thread-self/net/xfrm_stat";
/** 28 counters of some 35 characters, and room for those of newer kernels. */
const statBytesMax = 4_096;

export interface XfrmStat {
  /** @throws PortError `XFRM_STAT_UNREADABLE` */
  read(): XfrmCounters;
  close(): void;
}

/** @throws PortError `XFRM_STAT_UNREADABLE` on a kernel without CONFIG_XFRM_STATISTICS. */
export function openXfrmStat(path = statPath): XfrmStat {
  const fd = orUnreadable(() => openSync(path, "r"));
  const buffer = Buffer.alloc(statBytesMax);
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

/** One counter a line: its name, white space, its value. */
export function parseXfrmStat(text: string): XfrmCounters {
  const counters: Partial<Record<XfrmCounterName, number>> = {};
  for (const line of text.split("\n")) {
    const [name = "", value = ""] = line.split(/\s+/);
    if (isKnown(name) && /^\d+$/.test(value)) counters[name] = Number(value);
  }
  return counters;
}

function isKnown(name: string): name is XfrmCounterName {
  return Object.hasOwn(xfrmCounters, name);
}
