/**
 * Runs something at once and after each change. Changes that come while it runs, or in four times
 * as long after it, are one: a fleet of ten thousand that reports all at once must not be summed up
 * ten thousand times.
 */
import { systemClock } from "../../adapters/system/clock.js";
import type { Clock } from "../../ports/clock.js";
import type { Stop } from "../../ports/failure.js";
import type { Changing } from "./wait.js";

const pauseFactor = 4;

export function runAfterChanges(
  changing: Changing,
  run: () => void,
  clock: Pick<Clock, "nowMs" | "setTimer"> = systemClock,
): Stop {
  let [dueMs, cancel]: [number, Stop | null] = [0, null];
  const runNow = (): void => {
    cancel = null;
    const startedMs = clock.nowMs();
    run();
    const endedMs = clock.nowMs();
    dueMs = endedMs + pauseFactor * (endedMs - startedMs);
  };
  runNow();
  const stop = changing.onChange(() => {
    cancel ??= clock.setTimer(dueMs, runNow);
  });
  return () => {
    stop();
    cancel?.();
  };
}
