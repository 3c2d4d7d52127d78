/**
 * Today's order, for lab and simulator alone (cilium #44335): the node says that it holds `next`, from everybody, as
 * soon as its key file names it and before its inbound SAs exist. A wrapper around the agent's step: it changes what the
 * report claims, so what is lost is lost by the order, and proves no paths, as a probe would find out. Not a mode of the
 * agent: no configuration leads here.
 */
import { includesKey } from "../../../core/key-id.js";
import type { Report } from "../../../core/report.js";
import type { Observation } from "../../../core/rotation/observation.js";
import { draftReport, publishAtMs } from "../../../core/rotation/publish.js";
import type { AgentOptions, AgentState } from "../../../core/rotation/state.js";
import type { StepAgent } from "../../../runtime/agent-loop.js";

/** A step with the same state and the same effects, but for the report and probes. */
export function advertiseFirst(inner: StepAgent): StepAgent {
  return (state, observation, nowMs, options) => {
    const honest = inner(state, observation, nowMs, { ...options, provesPaths: false });
    const effects = honest.effects.filter((effect) => effect.kind !== "publish-report");
    const isReady = mayPublish(honest.state, observation);
    const report = isReady ? claimNext(honest.state, observation, options) : null;
    const atMs = report === null ? null : publishAtMs(report, honest.state, observation, nowMs, options);
    if (report === null || atMs === null) return { ...honest, effects };
    if (atMs > nowMs) return { ...honest, effects, wakeAtMs: earlier(honest.wakeAtMs, atMs) };
    return { ...honest, effects: [...effects, { kind: "publish-report", report }] };
  };
}

/** As the agent itself: one report at a time, and only when what it is built from is on disk. */
function mayPublish(state: AgentState, observation: Observation): boolean {
  const { inFlight, saved } = observation;
  const isSaved = state.durable === saved.durable && !inFlight.has("save-state");
  return isSaved && !inFlight.has("publish-report");
}

/**
 * The very first key is not claimed early: the failure of the field is one of rotations, and the
 * lab's traffic begins after the start. A refused key is not claimed either: that would be a lie of
 * another kind.
 */
function claimNext(
  state: AgentState,
  observation: Observation,
  options: AgentOptions,
): Report | null {
  const report = draftReport(state, observation, options);
  const { current, next, refused } = state.durable;
  if (report === null || current === null || next === null) return report;
  if (includesKey(report.holds, next) || includesKey(refused, next)) return report;
  return { ...report, holds: [...report.holds, next], through: observation.roster.revision };
}

function earlier(one: number | null, other: number): number {
  return one === null ? other : Math.min(one, other);
}
