/**
 * `/proc/net/xfrm_stat`: the XFRM error counters of the network namespace that this process is in.
 * They never go back; a counter that this version does not know is left out.
 */
import { readFile } from "node:fs/promises";
import { xfrmCounters, type XfrmCounterName, type XfrmCounters } from "../../core/xfrm-counters.js";
import { PortError } from "../port-error.js";

const statPath = "/proc/self/net/xfrm_stat";

/** @throws PortError `XFRM_STAT_UNREADABLE` on a kernel without CONFIG_XFRM_STATISTICS. */
export async function readXfrmStat(path = statPath): Promise<XfrmCounters> {
  try {
    return parseXfrmStat(await readFile(path, "latin1"));
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
