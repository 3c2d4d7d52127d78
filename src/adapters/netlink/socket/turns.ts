/** Leaves the event loop to others. */
import { setImmediate as immediate, setTimeout as timeout } from "node:timers/promises";

export function nextTurn(): Promise<void> {
  return immediate();
}

export function pause(ms: number): Promise<void> {
  return timeout(ms);
}
