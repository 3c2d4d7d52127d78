/** Waiting for an old tunnel to become idle: by its byte counters in both directions, and at the longest for a while. */
import type { GatewayView } from "../report.js";
import type { Drain, SiteOptions } from "./state.js";

/** @param view null when the old gateway is no longer there or not up: nothing can be on its way through it */
export function drainOn(before: Drain | undefined, number: number, view: GatewayView | null, nowMs: number, options: SiteOptions): Drain {
  const bytes = view === null ? 0 : view.bytesIn + view.bytesOut;
  const isSame = before?.number === number;
  const sinceMs = isSame ? before.sinceMs : nowMs;
  const quietSinceMs = isSame && before.bytes === bytes ? before.quietSinceMs : nowMs;
  const isIdle = view === null || nowMs - quietSinceMs >= options.drainMs;
  const isDrained = (isSame && before.isDrained) || isIdle || nowMs - sinceMs >= options.drainMsMax;
  return { number, bytes, quietSinceMs, sinceMs, isDrained };
}

/** The time was up, and there was traffic still. */
export function isForced(drain: Drain, nowMs: number, options: SiteOptions): boolean {
  return nowMs - drain.sinceMs >= options.drainMsMax && nowMs - drain.quietSinceMs < options.drainMs;
}
