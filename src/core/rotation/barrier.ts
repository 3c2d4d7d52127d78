/**
 * Evidence from the fleet record: the controller has looked at every report, and the record says what may be done.
 * The record's own phase decides; an agent that missed phases acts on the one it sees now.
 */
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import type { FleetRecord } from "../fleet/record.js";
import type { Directive } from "./context.js";
import type { DurableState } from "./durable.js";
import type { Observation } from "./observation.js";

export interface SeenFleet {
  readonly version: number;
  readonly record: FleetRecord;
}

/** The newest record ever seen: a lagging replica never takes an agent back. */
export function newestFleet(durable: DurableState, observed: Observation["fleet"]): SeenFleet | null {
  if (observed === null) return durable.fleet;
  if (durable.fleet !== null && durable.fleet.version >= observed.version) return durable.fleet;
  return observed;
}

export function barrierDirective(durable: DurableState, usable: readonly KeyIdentity[], waited: boolean): Directive | null {
  if (durable.fleet === null) return null;
  const { version, record } = durable.fleet;
  if (record.current === null && record.target === null && record.levels === undefined) return null;
  const isGone = (key: KeyIdentity): boolean => sameKey(key, durable.retired);
  const hold = wantedKeys(record, waited).filter((key) => !isGone(key));
  const aborting = record.phase === "aborting";
  return {
    current: record.current,
    next: record.target,
    hold,
    installable: hold.filter((key) => includesKey(usable, key) && !(aborting && sameKey(key, record.target))),
    candidates: candidatesOf(record).filter((key) => !isGone(key) && !includesKey(record.refused, key)),
    refused: record.refused,
    evidence: { kind: "barrier", version, record },
    drainAllowed: record.phase === "draining",
    retireEarly: !record.leftBehind,
    aborting,
    emergency: record.emergency,
    drainMs: record.drainMs,
    retireMs: record.retireMs,
  };
}

function wantedKeys(record: FleetRecord, waited: boolean): readonly KeyIdentity[] {
  const hasTarget =
    record.phase === "staged" ||
    record.phase === "draining" ||
    (record.phase === "staging" && (waited || record.emergency)) ||
    (record.phase === "aborting" && !record.purge);
  return [record.current, hasTarget ? record.target : null].filter((key) => key !== null);
}

/**
 * While staged only the target may be taken up anew: a node that reported "only the target" must not go back for a peer
 * that joins. Whoever is on the old key stays on it until covered.
 */
function candidatesOf(record: FleetRecord): readonly KeyIdentity[] {
  const best = record.phase === "staged" || record.phase === "draining" ? record.target : record.current;
  return best === null ? [] : [best];
}

/** The key that a jitter wait is for, null when this phase has none. */
export function awaitedTarget(durable: DurableState): KeyIdentity | null {
  const record = durable.fleet?.record;
  if (record?.phase !== "staging" || record.emergency || record.current === null) return null;
  return record.target;
}
