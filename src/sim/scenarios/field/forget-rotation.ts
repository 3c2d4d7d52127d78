/**
 * Controllers of the field that keep a rotation in memory. `forgetRotation`: one that comes up in the middle takes the
 * newer key for the one in use and the rotation for done. `rotateAgain`: one that is told of another key in the middle
 * turns to it at once, although the first may be in use (swarmkit #1954).
 */
import type { ControllerEffect, ControllerObservation } from "../../../core/fleet/controller-state.js";
import type { FleetRecord } from "../../../core/fleet/record.js";
import { stepController } from "../../../core/fleet/step.js";
import { isNewer, sameKey, type KeyIdentity, type KeyRing } from "../../../core/key-id.js";
import type { NodeName } from "../../../core/node.js";
import type { Report } from "../../../core/report.js";
import type { StepController } from "../../../runtime/controller-loop.js";

/** For all controllers of one fleet: each remembers the rotations that it started itself. */
export function forgetRotation(): StepController {
  const started = new Map<string, number>();
  return (state, observation, nowMs, options) => {
    const step = stepController(state, observation, nowMs, options);
    const before = observation.fleet?.record?.rotation ?? 0;
    const begun = writtenRecord(step.effects);
    if (begun !== null && begun.rotation > before) started.set(options.name, begun.rotation);
    const record = observation.fleet?.record ?? null;
    const isForgotten = record !== null && record.target !== null && started.get(options.name) !== record.rotation;
    return isForgotten ? withRecord(step, observation, endOf(record)) : step;
  };
}

function endOf(record: FleetRecord): FleetRecord {
  const through = record.through.filter((mark) => sameKey(mark.key, record.target));
  return { ...record, phase: "steady", current: record.target, target: null, through };
}

export const rotateAgain: StepController = (state, observation, nowMs, options) => {
  const newest = newestOffered(observation, options.ring);
  const step = stepController(state, newest === null ? observation : withOnly(observation, newest), nowMs, options);
  const record = observation.fleet?.record ?? null;
  if (record === null || (record.phase !== "staged" && record.phase !== "draining")) return step;
  if (newest === null || record.target === null || !isNewer(newest.keyId, record.target.keyId, options.ring)) return step;
  const again: FleetRecord = { ...record, phase: "staging", target: newest, rotation: record.rotation + 1 };
  return withRecord(step, observation, again);
};

/** Older keys that nodes still offer are no concern of it. */
function withOnly(observation: ControllerObservation, newest: KeyIdentity): ControllerObservation {
  const reports = new Map<NodeName, Report>();
  for (const [name, report] of observation.reports) reports.set(name, { ...report, available: [newest] });
  return { ...observation, reports };
}

function newestOffered(observation: ControllerObservation, ring: KeyRing): KeyIdentity | null {
  let newest: KeyIdentity | null = null;
  for (const { available } of observation.reports.values()) {
    const offered = available.at(-1);
    if (offered === undefined) continue;
    if (newest === null || isNewer(offered.keyId, newest.keyId, ring)) newest = offered;
  }
  return newest;
}

function writtenRecord(effects: readonly ControllerEffect[]): FleetRecord | null {
  return effects.find((effect) => effect.kind === "write-fleet")?.record ?? null;
}

/** The wrong record instead of the right one, by the same compare-and-set, and only from a leader. */
function withRecord(
  step: ReturnType<StepController>,
  observation: ControllerObservation,
  record: FleetRecord,
): ReturnType<StepController> {
  if (observation.fleet === null || !observation.leading || observation.inFlight.has("write-fleet")) return step;
  const others = step.effects.filter((effect) => effect.kind !== "write-fleet");
  const write = { kind: "write-fleet", record, expectedVersion: observation.fleet.version } as const;
  return { ...step, effects: [...others, write] };
}
