/**
 * The clock of the machine. Time is CLOCK_MONOTONIC: milliseconds since boot, so it goes on through
 * a restart of the program and never jumps. It stands still while the machine sleeps, as the timers
 * do.
 */
import type { Clock } from "../../ports/clock.js";

const nanosecondsPerMs = 1_000_000;
/** `setTimeout` takes 31 bits; a longer delay would fire at once. */
const delayMsMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs,
  wallAt: () => new Date().toISOString(),
  setTimer,
  defer: (callback) => {
    setImmediate(callback);
  },
};

function nowMs(): number {
  return Number(process.hrtime.bigint()) / nanosecondsPerMs;
}

function setTimer(atMs: number, callback: () => void): () => void {
  let timer = setTimeout(fire, delayUntil(atMs));
  // Timers may fire up to a millisecond early, and long ones are waited for in parts.
  function fire(): void {
    if (nowMs() >= atMs) callback();
    else timer = setTimeout(fire, delayUntil(atMs));
  }
  return () => {
    clearTimeout(timer);
  };
}

function delayUntil(atMs: number): number {
  return Math.min(Math.max(Math.ceil(atMs - nowMs()), 0), delayMsMax);
}
