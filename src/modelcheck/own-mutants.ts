/** Guards that only the model checker takes away: rules that it found to be wrong, and those around an exclusion. */
import { stepController } from "../core/fleet/step.js";
import { silenceMs } from "../core/fleet/stragglers.js";
import { includesKey } from "../core/key-id.js";
import type { Report } from "../core/report.js";
import type { Observation } from "../core/rotation/observation.js";
import type { AgentOptions, AgentState } from "../core/rotation/state.js";
import { stepAgent } from "../core/rotation/step.js";
import type { StepAgent } from "../runtime/agent-machine.js";
import type { StepController } from "../runtime/controller-machine.js";

/**
 * A refused key is deleted as soon as nobody sends with it, although a plan under way is about to: the agent then
 * reports older keys alone, and its peers delete the key that it sends with.
 */
const purgesWhilePlanning: StepAgent = (state, observation, nowMs, options) => {
  const { durable, tally } = state;
  const isRefused = durable.next !== null && includesKey(durable.refused, durable.next);
  const isFree = tally.counted > 0 && tally.refusedAndOlder === tally.counted && tally.usingNext === 0;
  const purged = isRefused && isFree && observation.inFlight.has("apply");
  return stepAgent(purged ? { ...state, durable: { ...durable, next: null } } : state, observation, nowMs, options);
};

/** An agent that starts reports at once, before it has read its kernel: "refused, and sends with nothing". */
const reportsBeforeReading: StepAgent = (state, observation, nowMs, options) => {
  const step = stepAgent(state, observation, nowMs, options);
  const report = emptyReport(step.state, observation, options);
  if (report === null) return step;
  return { ...step, effects: [...step.effects, { kind: "publish-report", report }] };
};

/** Null when the agent has reported, or may report something true. */
function emptyReport({ context, durable }: AgentState, observation: Observation, options: AgentOptions): Report | null {
  const self = observation.roster.entries.get(options.name);
  const isAdmitted = self !== undefined && self.incarnationId === durable.incarnation?.id;
  const hasReported = observation.publishedReport !== null || observation.inFlight.has("publish-report");
  if (!isAdmitted || hasReported || context !== null || durable !== observation.saved.durable) return null;
  return {
    schemaVersion: 1,
    node: options.name,
    incarnationId: self.incarnationId,
    available: observation.keys.available,
    holds: [],
    sendingOldest: null,
    sendingNewest: null,
    refused: durable.refused,
    exclusionEpoch: 0,
    stagingMs: null,
    through: 0 as Report["through"],
    waitingFor: null,
    waitingMs: null,
    retired: durable.lastRetired,
  };
}

/** An excluded node counts again as soon as it is heard of, before it has staged what others may send with. */
const returnsUnstaged: StepController = (state, observation, nowMs, options) => {
  const record = observation.fleet?.record ?? null;
  const step = stepController(state, observation, nowMs, options);
  if (record === null || observation.fleet === null || observation.inFlight.has("write-fleet")) return step;
  const excluded = record.excluded.filter(({ name }) => silenceMs(step.state, observation, name, nowMs) >= options.silentMs);
  if (excluded.length === record.excluded.length) return step;
  const returned = { ...record, excluded, exclusionEpoch: record.exclusionEpoch + 1 };
  const write = { kind: "write-fleet", record: returned, expectedVersion: observation.fleet.version } as const;
  return { ...step, effects: [...step.effects.filter(({ kind }) => kind !== "write-fleet"), write] };
};

/** At the second barrier a word counts that was given before its giver knew who counts again. */
const countsOldWords: StepController = (state, observation, nowMs, options) => {
  const exclusionEpoch = observation.fleet?.record?.exclusionEpoch ?? 0;
  const reports = new Map([...observation.reports].map(([name, report]) => [name, { ...report, exclusionEpoch }] as const));
  return stepController(state, { ...observation, reports }, nowMs, options);
};

export interface OwnMutant {
  readonly step?: StepAgent;
  readonly controllerStep?: StepController;
}

export const ownMutants: ReadonlyMap<string, OwnMutant> = new Map<string, OwnMutant>([
  ["purge-while-planning", { step: purgesWhilePlanning }],
  ["report-before-reading", { step: reportsBeforeReading }],
  ["return-unstaged", { controllerStep: returnsUnstaged }],
  ["old-words", { controllerStep: countsOldWords }],
]);
