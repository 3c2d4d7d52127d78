/** Watches a rotation that waits for the key which the controller makes, until it begins or nobody waits for it any more. */
import type { FleetRecord } from "../../core/fleet/record.js";
import { awaitedWords } from "./awaited-text.js";
import { fleetLines, watchLines, type FollowOptions } from "./follow.js";
import type { FleetWatch } from "./fleet-watch.js";
import type { Waited } from "./wait.js";

/** Steady, and a rotation is on its way. */
export function isAwaited({ phase, awaited }: FleetRecord): boolean {
  return phase === "steady" && awaited !== undefined;
}

/** @returns the record in which a rotation has begun since `asked`, null when the awaited one was withdrawn */
export function watchAwaited(
  fleet: FleetWatch,
  asked: FleetRecord,
  options: FollowOptions,
): Promise<Waited<{ readonly begun: FleetRecord | null }>> {
  const check = (): { readonly begun: FleetRecord | null } | null => {
    const record = fleet.fleet;
    if (record === null) return null;
    if (record.rotation > asked.rotation) return { begun: record };
    return record.awaited === undefined ? { begun: null } : null;
  };
  const rotationLines = fleetLines(fleet, options.shell);
  const lines = (): readonly string[] => {
    const awaited = fleet.fleet?.awaited;
    return awaited === undefined ? rotationLines() : [awaitedWords(awaited, offering(fleet, awaited.keyId))];
  };
  return watchLines(fleet, check, options, lines);
}

function offering(fleet: FleetWatch, keyId: number | null): string {
  const { roster, reports } = fleet.snapshot();
  const names = [...roster.entries.keys()];
  const found = names.filter((name) => reports.get(name)?.available.some((key) => key.keyId === keyId) === true);
  return `${found.length} of ${names.length} nodes`;
}
