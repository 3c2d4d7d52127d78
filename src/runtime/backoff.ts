/** How long a failed effect, or a peer whose operations failed, waits before it is tried again. */
import { limits } from "../core/limits.js";

/** @param attempts failures in a row, 1 for the first */
export function backoffMs(attempts: number): number {
  return Math.min(limits.retryMsMax, limits.retryMsMin * 2 ** Math.min(attempts - 1, 10));
}
