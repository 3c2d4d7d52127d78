/** Mutants of abort and of changing the target: what may be taken back, when, and after whose word (design 4.7). */
import { includesKey } from "../../core/key-id.js";
import { stepController } from "../../core/fleet/step.js";
import type { StepController } from "../../runtime/controller-loop.js";
import { withDurable, withObservation, withRecord, withReports } from "./falsify.js";
import { everywhere, type Mutant } from "./mutant.js";

/** abort-pairwise-9: an abort deletes `next` at once. */
const deletesRefused = withDurable(({ durable }) => {
  const isRefused = durable.next !== null && includesKey(durable.refused, durable.next);
  return isRefused ? { ...durable, next: null } : durable;
});

/** abort-barrier-16: the same for the target of the fleet. */
const purgesAtOnce = withRecord((record) =>
  record.phase === "aborting" && !record.purge ? { ...record, purge: true } : record,
);

/** abort-after-retire-13: "nobody has retired", by what the node itself has done. */
const forgetsItsWord = withDurable(({ durable }, { request }) =>
  durable.sendFloor === null || (request?.abort ?? null) === null ? durable : { ...durable, sendFloor: null },
);

/** abort-after-retire-13, barrier: an abort is taken up in any phase. */
const abortsWhileDraining = withRecord((record, { before, observation }) =>
  observation.request?.kind === "abort" && before.phase === "draining"
    ? { ...record, phase: "aborting", purge: false }
    : record,
);

/** abandon-11: `next` is abandoned for a newer key while this node does not send with it. */
const abandonsUnsent = withDurable(({ durable, tally }, { keys }) => {
  const newest = keys.available.at(-1);
  const isOvertaken = durable.next !== null && newest !== undefined && newest.keyId > durable.next.keyId;
  return isOvertaken && tally.onNext === 0 ? { ...durable, next: null } : durable;
});

/** abandon-barrier-14: the target changes after the first barrier too. */
const changesTargetWhenStaged = withRecord((record, { before, newest }) => {
  const isOvertaken = newest !== null && newest.keyId > (before.target?.keyId ?? 0);
  return before.phase === "staged" && isOvertaken ? { ...record, phase: "staging", target: newest } : record;
});

/** two-targets-deadlock-11: abandoning is forbidden altogether. */
const neverAbandons = withObservation((observation, { durable }) => {
  const { next } = durable;
  if (next === null) return observation;
  const available = observation.keys.available.filter((key) => key.keyId <= next.keyId);
  return { ...observation, keys: { ...observation.keys, available } };
});

/** skip-bound-key: nobody's word for a key that this node skipped is heard. */
const keepsSkipped = withObservation((observation, { durable }, { coordination }) => {
  if (coordination === "barrier") return observation;
  return withReports(observation, (report) => {
    const isOurs = [durable.current?.keyId, durable.next?.keyId].includes(report.sendingOldest ?? undefined);
    return isOurs ? report : { ...report, sendingOldest: null };
  });
});

/** exclude-after-outage: a lease's age is taken from the time of its last change, whoever saw that. */
const trustsStoredAges: StepController = (state, observation, nowMs, options) => {
  const watchingSinceMs = observation.watchingSinceMs === null ? null : 0;
  const beats = new Map([...state.beats].map(([name, beat]) => [name, { ...beat, sinceMs: 0 }] as const));
  return stepController({ ...state, beats }, { ...observation, watchingSinceMs }, nowMs, options);
};

export const abandonmentMutants: readonly Mutant[] = [
  {
    name: "abort-one-phase",
    without: "an aborted key is deleted only after everybody has refused it (abort-pairwise-9, abort-barrier-16)",
    changes: { ...everywhere(deletesRefused), controllerStep: purgesAtOnce },
  },
  {
    name: "abort-after-retire",
    without: "nobody goes back to a key that somebody may have retired (abort-after-retire-13)",
    changes: { ...everywhere(forgetsItsWord), controllerStep: abortsWhileDraining },
  },
  {
    name: "abandon-reported",
    without: "a key that was reported is not dropped for a newer one without both barriers (abandon-11, abandon-barrier-14)",
    changes: { ...everywhere(abandonsUnsent), controllerStep: changesTargetWhenStaged },
  },
  {
    name: "never-abandon",
    without: "a staged key is left for a newer one (two-targets-deadlock-11)",
    changes: everywhere(neverAbandons),
  },
  {
    name: "keep-skipped",
    without: "a key that was skipped is refused when peers are bound to it (skip-bound-key)",
    changes: everywhere(keepsSkipped),
  },
  {
    name: "exclude-after-outage",
    without: "a node is silent only when this leader saw its lease unchanged for long enough",
    changes: { controllerStep: trustsStoredAges },
  },
];
