/**
 * Wrong rules, each around the real step: it sees a falsified observation or state, or its decision is changed. Every
 * one is a rule that an earlier draft had (design.md 4.7); the run that breaks it is in traces.test.ts.
 */
import type { FleetRecord } from "../../src/core/fleet/record.js";
import { stepController } from "../../src/core/fleet/step.js";
import { includesKey, type KeyIdentity } from "../../src/core/key-id.js";
import type { NodeName, RosterEntry, RosterRevision } from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { Observation } from "../../src/core/rotation/observation.js";
import type { AgentState } from "../../src/core/rotation/state.js";
import { stepAgent } from "../../src/core/rotation/step.js";
import type { StepAgent } from "../../src/runtime/agent-loop.js";
import type { StepController } from "../../src/runtime/controller-loop.js";
import { testKey } from "../support/fleet-snapshot.js";

function withObservation(change: (observation: Observation, state: AgentState) => Observation): StepAgent {
  return (state, observation, nowMs, options) => stepAgent(state, change(observation, state), nowMs, options);
}

/** Everybody is looked at in each step: what is falsified may be about peers that nothing touched. */
function withReports(observation: Observation, change: (report: Report, entry: RosterEntry) => Report): Observation {
  const reports = new Map<NodeName, Report>();
  for (const entry of observation.roster.entries.values()) {
    const report = observation.reports.get(entry.name);
    if (report !== undefined) reports.set(entry.name, change(report, entry));
  }
  return { ...observation, reports, touched: "all" };
}

/** join-3-steps, barrier: a pair is covered when the record covers the sender. */
export const coversBySender: StepAgent = withObservation((observation, state) => {
  const self = state.context?.self;
  if (self === undefined) return observation;
  const entries = new Map<NodeName, RosterEntry>();
  for (const [name, entry] of observation.roster.entries) {
    entries.set(name, { ...entry, revision: Math.min(entry.revision, self.revision) as RosterRevision });
  }
  return { ...observation, roster: { ...observation.roster, entries }, touched: "all" };
});

/** join-3-steps, pairwise: whoever is on the roster has staged what the sender has. */
export const assumesStaged: StepAgent = withObservation((observation, state) => {
  const reports = new Map(observation.reports);
  for (const { name, incarnationId } of observation.roster.entries.values()) {
    const known = observation.publishedReport;
    if (known === null || observation.reports.get(name)?.incarnationId === incarnationId) continue;
    const holds = state.context?.hold ?? [];
    reports.set(name, { ...known, node: name, incarnationId, holds, through: observation.roster.revision });
  }
  return { ...observation, reports, touched: "all" };
});

/** reboot-3-steps: reports without incarnation. */
export const ignoresIncarnations: StepAgent = withObservation((observation) =>
  withReports(observation, (report, { incarnationId }) => ({ ...report, incarnationId })),
);

/** stale-secret-18 and skip-9: "staged as newest", compared with `>=`. */
export const comparesNewest: StepAgent = withObservation((observation) =>
  withReports(observation, (report) => {
    const newest = Math.max(0, ...report.holds.map((key) => key.keyId));
    const upTo = Array.from({ length: newest }, (_, i) => testKey(i + 1));
    return { ...report, holds: upTo };
  }),
);

function withDurable(change: (state: AgentState, observation: Observation) => AgentState["durable"]): StepAgent {
  return (state, observation, nowMs, options) => {
    const durable = change(state, observation);
    return stepAgent(durable === state.durable ? state : { ...state, durable }, observation, nowMs, options);
  };
}

/** abort-pairwise-9: an abort deletes `next` at once. */
export const deletesRefused: StepAgent = withDurable(({ durable }) => {
  const isRefused = durable.next !== null && includesKey(durable.refused, durable.next);
  return isRefused ? { ...durable, next: null } : durable;
});

/** abort-after-retire-13: "nobody has retired", by what the node itself has done. */
export const forgetsItsWord: StepAgent = withDurable(({ durable }, { request }) =>
  durable.sendFloor === null || (request?.abort ?? null) === null ? durable : { ...durable, sendFloor: null },
);

/** abandon-11: `next` is abandoned for a newer key while this node does not send with it. */
export const abandonsUnsent: StepAgent = withDurable(({ durable, tally }, { keys }) => {
  const newest = keys.available.at(-1);
  const isOvertaken = durable.next !== null && newest !== undefined && newest.keyId > durable.next.keyId;
  return isOvertaken && tally.onNext === 0 ? { ...durable, next: null } : durable;
});

/** two-targets-deadlock-11: abandoning is forbidden altogether. */
export const neverAbandons: StepAgent = withObservation((observation, { durable }) => {
  const { next } = durable;
  if (next === null) return observation;
  const available = observation.keys.available.filter((key) => key.keyId <= next.keyId);
  return { ...observation, keys: { ...observation.keys, available } };
});

/** skip-bound-key: nobody's word for a key that this node skipped is heard. */
export const keepsSkipped: StepAgent = withObservation((observation, { durable }) =>
  withReports(observation, (report) => {
    const isOurs = [durable.current?.keyId, durable.next?.keyId].includes(report.sendingOldest ?? undefined);
    return isOurs ? report : { ...report, sendingOldest: null };
  }),
);

function withRecord(
  change: (record: FleetRecord, before: FleetRecord, newest: KeyIdentity | null, asked: string | null) => FleetRecord,
): StepController {
  return (state, observation, nowMs, options) => {
    const step = stepController(state, observation, nowMs, options);
    const before = observation.fleet?.record ?? null;
    if (before === null || observation.fleet === null || observation.inFlight.has("write-fleet")) return step;
    const write = step.effects.find((effect) => effect.kind === "write-fleet");
    const offered = [...observation.reports.values()].map((report) => report.available.at(-1));
    const newest = offered.reduce<KeyIdentity | null>((one, key) => ((key?.keyId ?? 0) > (one?.keyId ?? 0) ? (key ?? one) : one), null);
    const record = change(write?.record ?? before, before, newest, observation.request?.kind ?? null);
    if (record === (write?.record ?? before)) return step;
    const others = step.effects.filter((effect) => effect.kind !== "write-fleet");
    return { ...step, effects: [...others, { kind: "write-fleet", record, expectedVersion: observation.fleet.version }] };
  };
}

/** abort-barrier-16: an abort deletes the target at once. */
export const purgesAtOnce: StepController = withRecord((record) =>
  record.phase === "aborting" && !record.purge ? { ...record, purge: true } : record,
);

/** abort-after-retire-13, barrier: an abort is taken up in any phase. */
export const abortsWhileDraining: StepController = withRecord((record, before, _newest, asked) =>
  asked === "abort" && before.phase === "draining" ? { ...record, phase: "aborting", purge: false } : record,
);

/** abandon-barrier-14: the target changes after the first barrier too. */
export const changesTargetWhenStaged: StepController = withRecord((record, before, newest) => {
  const isOvertaken = newest !== null && newest.keyId > (before.target?.keyId ?? 0);
  return before.phase === "staged" && isOvertaken ? { ...record, phase: "staging", target: newest } : record;
});

/** exclude-after-outage: a lease's age is taken from the time of its last change, whoever saw that. */
export const trustsStoredAges: StepController = (state, observation, nowMs, options) => {
  const watchingSinceMs = observation.watchingSinceMs === null ? null : 0;
  const beats = new Map([...state.beats].map(([name, beat]) => [name, { ...beat, sinceMs: 0 }] as const));
  return stepController({ ...state, beats }, { ...observation, watchingSinceMs }, nowMs, options);
};
