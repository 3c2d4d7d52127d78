/**
 * The one writer of the roster, run by the leading controller. Level-triggered: SpindleReports are
 * who wants to be on the roster, SpindleNodes are who is, and it makes the second follow the first.
 * What to allot is decided by ../admission.ts, as in every registry.
 *
 * A term begins by reading all and by carrying out what the leader before announced. It ends with
 * the first thing that does not go as it should, and another begins after a pause. Two leaders do no
 * harm: the ledger's compare-and-set lets one of them announce.
 */
import { limits } from "../../../core/limits.js";
import type { Stop } from "../../../ports/failure.js";
import type { Log } from "../../../ports/log.js";
import { systemClock } from "../../system/clock.js";
import { backoffMs, pause } from "../backoff.js";
import { portErrorOf } from "../settle.js";
import type { ApiClient } from "./api-client.js";
import { judgeRecords } from "./record-judge.js";
import { RosterTerm, type RosterOptions } from "./roster-term.js";

/** A term that lasted this long was a good one: the next may begin soon. */
const goodTermMs = 30_000;

export function leadRoster(client: ApiClient, log: Log, options: Partial<RosterOptions> = {}): Stop {
  const stopping = new AbortController();
  const { followNodes = false, sweepMs = limits.resyncMs } = options;
  void judgeRecords(client, log, stopping.signal);
  void run(client, log, { followNodes, sweepMs }, stopping.signal);
  return () => stopping.abort();
}

async function run(client: ApiClient, log: Log, options: RosterOptions, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted && !client.signal.aborted; attempt++) {
    const startedMs = systemClock.nowMs();
    try {
      await new RosterTerm(client, log, options, signal).run();
      return;
    } catch (cause) {
      const { code, message } = portErrorOf(cause);
      if (signal.aborted || client.signal.aborted) return;
      log.write("warn", "roster not led, trying again", { code, why: message });
    }
    if (systemClock.nowMs() - startedMs > goodTermMs) attempt = 0;
    const waitMs = backoffMs(attempt, limits.registryReconnectMsMin, limits.registryReconnectMsMax);
    await pause(waitMs, signal);
  }
}
