/** Keeps what has no watch current, while a command needs it. */
import { systemClock } from "../../adapters/system/clock.js";
import type { Stop } from "../../ports/failure.js";
import type { FleetWatch } from "./fleet-watch.js";

export function refreshEvery(fleet: FleetWatch, everyMs: number): Stop {
  let cancel = systemClock.setTimer(systemClock.nowMs() + everyMs, refresh);
  function refresh(): void {
    fleet.refresh();
    cancel = systemClock.setTimer(systemClock.nowMs() + everyMs, refresh);
  }
  return () => cancel();
}
