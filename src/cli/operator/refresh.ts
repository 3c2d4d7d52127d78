/** Keeps what has no watch current, while a command shows it. */
import { systemClock } from "../../adapters/system/clock.js";
import type { Stop } from "../../ports/failure.js";
import type { FleetWatch } from "./fleet-watch.js";

const everyMs = 1_000;

export function refreshEverySecond(fleet: FleetWatch): Stop {
  let cancel = systemClock.setTimer(systemClock.nowMs() + everyMs, refresh);
  function refresh(): void {
    fleet.refresh();
    cancel = systemClock.setTimer(systemClock.nowMs() + everyMs, refresh);
  }
  return () => cancel();
}
