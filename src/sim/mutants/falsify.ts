/** Ways to put a wrong rule around a real step: it sees a falsified observation or state, or its decision is changed. */
import type { ControllerObservation } from "../../core/fleet/controller-state.js";
import type { FleetRecord } from "../../core/fleet/record.js";
import { stepController } from "../../core/fleet/step.js";
import { includesKey, type KeyIdentity } from "../../core/key-id.js";
import type { NodeName, RosterEntry } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import type { Effect } from "../../core/rotation/effect.js";
import type { Observation } from "../../core/rotation/observation.js";
import type { AgentOptions, AgentState } from "../../core/rotation/state.js";
import { stepAgent } from "../../core/rotation/step.js";
import type { StepAgent } from "../../runtime/agent-loop.js";
import type { StepController } from "../../runtime/controller-loop.js";

export function withObservation(
  change: (observation: Observation, state: AgentState, options: AgentOptions) => Observation,
): StepAgent {
  return (state, observation, nowMs, options) =>
    stepAgent(state, change(observation, state, options), nowMs, options);
}

type ChangeReport = (report: Report, entry: RosterEntry) => Report;

/** Everybody is looked at in each step: what is falsified may be about peers that nothing touched. */
export function withReports(observation: Observation, change: ChangeReport): Observation {
  return { ...observation, reports: changeReports(observation, change), touched: "all" };
}

/** A controller that sees falsified reports. */
export function withControllerReports(
  change: (observation: ControllerObservation) => ChangeReport,
): StepController {
  return (state, observation, nowMs, options) => {
    const reports = changeReports(observation, change(observation));
    return stepController(state, { ...observation, reports }, nowMs, options);
  };
}

function changeReports(
  { roster, reports }: Pick<Observation, "roster" | "reports">,
  change: ChangeReport,
): ReadonlyMap<NodeName, Report> {
  const changed = new Map<NodeName, Report>();
  for (const entry of roster.entries.values()) {
    const report = reports.get(entry.name);
    if (report !== undefined) changed.set(entry.name, change(report, entry));
  }
  return changed;
}

export function withDurable(
  change: (state: AgentState, observation: Observation, options: AgentOptions) => AgentState["durable"],
): StepAgent {
  return (state, observation, nowMs, options) => {
    const durable = change(state, observation, options);
    const falsified = durable === state.durable ? state : { ...state, durable };
    return stepAgent(falsified, observation, nowMs, options);
  };
}

export function withEffects(
  change: (effect: Effect, state: AgentState, options: AgentOptions) => Effect,
): StepAgent {
  return (state, observation, nowMs, options) => {
    const step = stepAgent(state, observation, nowMs, options);
    return { ...step, effects: step.effects.map((effect) => change(effect, step.state, options)) };
  };
}

/** What a controller's decision is falsified from. */
export interface Decision {
  readonly before: FleetRecord;
  /** The newest key that any node offers, null while none does. */
  readonly newest: KeyIdentity | null;
  readonly observation: ControllerObservation;
}

/** A controller that writes another record than the real one would. */
export function withRecord(change: (record: FleetRecord, decision: Decision) => FleetRecord): StepController {
  return (state, observation, nowMs, options) => {
    const step = stepController(state, observation, nowMs, options);
    const { fleet, inFlight } = observation;
    const before = fleet?.record ?? null;
    if (before === null || fleet === null || inFlight.has("write-fleet")) return step;
    const written = step.effects.find((effect) => effect.kind === "write-fleet")?.record ?? before;
    const record = change(written, { before, newest: newestOffered(observation), observation });
    if (record === written) return step;
    const others = step.effects.filter((effect) => effect.kind !== "write-fleet");
    return { ...step, effects: [...others, { kind: "write-fleet", record, expectedVersion: fleet.version }] };
  };
}

function newestOffered({ reports }: ControllerObservation): KeyIdentity | null {
  let newest: KeyIdentity | null = null;
  for (const { available } of reports.values()) {
    const last = available.at(-1);
    if (last !== undefined && last.keyId > (newest?.keyId ?? 0)) newest = last;
  }
  return newest;
}

/** Every key that a report names, oldest first. No simulated run goes around the ring. */
export function knownKeys(reports: Iterable<Report>, own: readonly KeyIdentity[]): readonly KeyIdentity[] {
  const found = [...own];
  for (const { holds, available } of reports) {
    for (const key of [...holds, ...available]) if (!includesKey(found, key)) found.push(key);
  }
  return found.sort((one, other) => one.keyId - other.keyId);
}
