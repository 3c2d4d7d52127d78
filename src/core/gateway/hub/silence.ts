/** Which sites were not heard for so long that they count as silent, and since when. Pure; ages are on the hub's own clock. */
import { sides, type Side } from "../link.js";
import type { LinkReports } from "../readiness.js";
import type { LinkRecord } from "../record.js";
import type { HubCondition } from "./state.js";

/**
 * The record with its silent sites marked; the same one when nothing changed.
 * @param listeningMs how long the hub has been able to hear: no site is silent for longer than that
 */
export function withSilence(record: LinkRecord, reports: LinkReports, listeningMs: number, wallMs: number, silentMs: number): LinkRecord {
  const before = record.silentSinceWallMs;
  const sinceOf = (side: Side): number | null => {
    const quietMs = Math.min(reports[side]?.ageMs ?? Infinity, listeningMs);
    if (quietMs > silentMs) return before[side] ?? wallMs - Math.round(quietMs);
    // Heard, or not yet listened for long enough to say otherwise.
    return (reports[side]?.ageMs ?? Infinity) <= silentMs ? null : before[side];
  };
  const after = { server: sinceOf("server"), client: sinceOf("client") };
  return sides.every((side) => before[side] === after[side]) ? record : { ...record, silentSinceWallMs: after };
}

export function silentConditions({ link, silentSinceWallMs }: LinkRecord, wallMs: number): readonly HubCondition[] {
  return sides.flatMap((side) => {
    const since = silentSinceWallMs[side];
    if (since === null) return [];
    const seconds = Math.round((wallMs - since) / 1_000);
    const message = `link ${link.name}: site ${link[side]} was not heard for ${seconds} s`;
    return [{ code: "GATEWAY_SITE_SILENT", link: link.name, message }];
  });
}
