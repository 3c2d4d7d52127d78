/**
 * Words for the columns of `kubectl get`, which show one value each and cannot compute. They are
 * written beside a record and never read.
 */
import type { FleetRecord } from "../../../core/fleet/record.js";
import { includesKey, type KeyIdentity } from "../../../core/key-id.js";
import type { Report } from "../../../core/report.js";

export interface ReportWords {
  readonly shownPhase: string;
  readonly shownKeys: string;
  readonly shownSending: string;
}

export function reportWords(report: Report): ReportWords {
  const { sendingOldest: oldest, sendingNewest: newest } = report;
  const both = oldest === newest ? String(newest) : `${oldest}, ${newest}`;
  return {
    shownPhase: phaseOf(report),
    shownKeys: idsOf(report.holds),
    shownSending: newest === null ? "none" : both,
  };
}

export function fleetWords({ current, target }: FleetRecord): { readonly shownKeys: string } {
  return { shownKeys: idsOf([current, target].filter((key) => key !== null)) };
}

/** Where this node stands, as far as its report alone tells. */
function phaseOf(report: Report): string {
  const newest = report.available.at(-1);
  if (report.waitingFor !== null) return "waiting";
  if (newest === undefined) return "no key";
  if (includesKey(report.refused, newest)) return "aborting";
  if (!includesKey(report.holds, newest)) return "staging";
  if (report.sendingNewest !== null && report.sendingNewest !== newest.keyId) return "staged";
  if (report.sendingOldest !== report.sendingNewest) return "switching";
  return report.holds.length > 1 ? "switched" : "steady";
}

function idsOf(keys: readonly KeyIdentity[]): string {
  return keys.length === 0 ? "none" : keys.map(({ keyId }) => keyId).join(", ");
}
