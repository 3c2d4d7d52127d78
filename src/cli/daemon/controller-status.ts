/** What a controller says of itself and its fleet, computed from its loop at each request. */
import { checkPreflight } from "../../core/fleet/preflight.js";
import { findStragglers, silenceMs, whyExcluded } from "../../core/fleet/stragglers.js";
import { newFleet } from "../../core/fleet/record.js";
import type { NodeName } from "../../core/node.js";
import type { ControllerStatus, NodeException, RegistryWrites, Verdict } from "../../http/status.js";
import type { ControllerLoopOptions, ControllerView } from "../../runtime/controller-loop.js";
import type { ControllerConfig } from "../config/controller.js";
import { version } from "../version.js";

export function controllerStatus(
  view: ControllerView,
  config: ControllerConfig,
  options: ControllerLoopOptions,
  writes: RegistryWrites,
  nowMs: number,
): ControllerStatus {
  const { state, observation } = view;
  const record = view.record ?? newFleet;
  const forMs = state.seen === null ? 0 : Math.max(0, Math.round(nowMs - state.seen.sinceMs));
  const silentFor = (name: NodeName): number => Math.round(silenceMs(state, observation, name, nowMs));
  const found = findStragglers(record, state, observation, nowMs, options);
  const stragglers = found.filter((note): note is typeof note & { kind: "slow" | "silent" } => note.kind !== "excluded");
  return {
    schemaVersion: 1,
    kind: "controller",
    version,
    name: config.name,
    leading: view.leading,
    coordination: config.coordination,
    rotation: record.rotation,
    phase: record.phase,
    phaseForMs: forMs,
    current: record.current,
    target: record.target,
    nodes: view.roster.entries.size,
    excluded: record.excluded.flatMap(({ name }): readonly NodeException[] => {
      const entry = view.roster.entries.get(name);
      if (entry === undefined) return [];
      return [{ node: name, why: whyExcluded(record, observation.reports.get(name), entry), forMs: silentFor(name) }];
    }),
    stragglers: stragglers.map(({ name, kind, why }) => ({ node: name, kind, why, forMs })),
    timeLeftMs: timeLeft(view, options, nowMs),
    conditions: state.conditions,
    registry: { connected: view.roster.complete, forMs: sinceMs(observation.watchingSinceMs, nowMs) },
    registryWrites: writes,
  };
}

function timeLeft(view: ControllerView, options: ControllerLoopOptions, nowMs: number): number | null {
  const { record, state, roster } = view;
  if (record === null || record.phase === "steady" || state.started === null) return null;
  const preflight = checkPreflight(roster.entries.size, state.stagingMs, record.emergency, options);
  return Math.max(0, Math.round(preflight.estimateMs - (nowMs - state.started.atMs)));
}

function sinceMs(atMs: number | null, nowMs: number): number {
  return atMs === null ? 0 : Math.max(0, Math.round(nowMs - atMs));
}

export function controllerHealth(): Verdict {
  return { ok: true, reasons: [] };
}

/** A controller is ready when it sees the whole registry; whether it leads does not matter. */
export function controllerReadiness(view: ControllerView, coordination: "barrier" | "pairwise"): Verdict {
  const isReady = coordination === "pairwise" || view.roster.complete;
  return isReady ? { ok: true, reasons: [] } : { ok: false, reasons: ["the registry is not listed yet"] };
}
