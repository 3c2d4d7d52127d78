/** Rules that were in the protocol until the model checker found the run that breaks them. */
import { includesKey } from "../core/key-id.js";
import type { Report } from "../core/report.js";
import type { Observation } from "../core/rotation/observation.js";
import type { AgentOptions, AgentState } from "../core/rotation/state.js";
import { stepAgent } from "../core/rotation/step.js";
import type { StepAgent } from "../runtime/agent-machine.js";

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

export const ownMutants: ReadonlyMap<string, StepAgent> = new Map([
  ["purge-while-planning", purgesWhilePlanning],
  ["report-before-reading", reportsBeforeReading],
]);
