/**
 * For how long an exception has been there, where the registry does not say: since this command saw
 * it first. So it is told by the commands that keep watching, and it is never more than the truth.
 */
import { systemClock } from "../../adapters/system/clock.js";
import type { FleetSummary } from "../../core/fleet/summary.js";
import type { Clock } from "../../ports/clock.js";

export type FillAges = (summary: FleetSummary) => FleetSummary;

export function makeAges(clock: Pick<Clock, "nowMs"> = systemClock): FillAges {
  let since = new Map<string, number>();
  return (summary) => {
    const nowMs = clock.nowMs();
    const before = since;
    since = new Map();
    const exceptions = summary.exceptions.map((exception) => {
      const name = `${exception.node} ${exception.why}`;
      const sinceMs = before.get(name) ?? nowMs;
      since.set(name, sinceMs);
      return { ...exception, forMs: exception.forMs ?? Math.round(nowMs - sinceMs) };
    });
    return { ...summary, exceptions };
  };
}
