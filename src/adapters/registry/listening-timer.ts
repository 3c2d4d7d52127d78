/**
 * A time-out for somebody else's answer. Timers of Node.js fire before sockets are read, so that a program which was busy
 * itself for longer than the time-out would blame the server for it, ask again, and be busier still. Here the time is
 * counted in parts between which sockets are read; a part that ended late counts as one part.
 */
import type { Stop } from "../../ports/failure.js";

/** Also what an answer may take of round trips between busy spells: connecting, TLS, asking. */
const parts = 10;

/** Calls back after `ms` of listening, unless stopped before. */
export function afterListening(ms: number, callback: () => void): Stop {
  let heard = 0;
  const timer = setInterval(() => {
    heard += 1;
    if (heard < parts) return;
    clearInterval(timer);
    callback();
  }, ms / parts);
  return () => clearInterval(timer);
}
