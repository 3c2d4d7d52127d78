/** What `spindle plan` says beforehand against what the simulator measures: within a factor of two, at several sizes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { planRotation, type CoordinationPlan } from "../../src/core/fleet/plan.js";
import { limits } from "../../src/core/limits.js";
import { Simulation } from "../../src/sim/run/simulation.js";
import { simulationDefaults, type SimulationOptions } from "../../src/sim/run/simulation-options.js";
import type { SimulationResult } from "../../src/sim/run/simulation-result.js";

/** A packet a second: the traffic is not what is measured here. */
const quiet: SimulationOptions = { ...simulationDefaults, rate: 1 };

function measure(options: SimulationOptions): SimulationResult {
  const simulation = new Simulation(options);
  while (simulation.advance());
  const result = simulation.finish();
  assert.ok(result.ok, "the run counts");
  return result;
}

function plan(options: SimulationOptions): CoordinationPlan {
  const { nodes, registryRate, jitter, jitterMaxMs, keyDistributionMs, drainMs, coordination } = options;
  return planRotation({
    nodes,
    stagingMs: null,
    registryRate: registryRate ?? 1e9,
    jitterMaxMs: jitter === "off" ? 0 : jitterMaxMs,
    jitterMinNodes: 0,
    keyDistributionMs,
    stageDeadlineMs: limits.stageDeadlineMsDefault,
    retireDeadlineMs: limits.retireDeadlineMsDefault,
    drainMs,
  })[coordination];
}

function assertClose(what: string, planned: number, measured: number): void {
  const isClose = planned <= 2 * measured && measured <= 2 * planned;
  assert.ok(isClose, `${what}: planned ${planned}, measured ${measured}`);
}

const cases: readonly Partial<SimulationOptions>[] = [
  { nodes: 3 },
  { nodes: 10, rotations: 2 },
  { nodes: 60 },
  { nodes: 60, keyDistributionMs: 0 },
  { nodes: 40, jitter: "uniform", jitterMaxMs: 20_000 },
  { nodes: 40, jitter: "slotted", jitterMaxMs: 20_000 },
  { nodes: 30, registryRate: 100 },
  { nodes: 6, coordination: "pairwise" },
  { nodes: 10, coordination: "pairwise" },
  { nodes: 40, coordination: "pairwise" },
  { nodes: 40, coordination: "pairwise", keyDistributionMs: 0 },
  { nodes: 40, coordination: "pairwise", jitter: "uniform", jitterMaxMs: 20_000 },
  { nodes: 25, coordination: "pairwise", registryRate: 500 },
];

for (const changes of cases) {
  test(`plan and simulator agree: ${JSON.stringify(changes)}`, () => {
    const options = { ...quiet, ...changes };
    const planned = plan(options);
    const { rotations, registry } = measure(options);
    const [first] = rotations;
    assertClose("events", planned.events * rotations.length, registry.watchEvents);
    assertClose("writes", planned.writes * rotations.length, registry.writes);
    assertClose("earliest retire", planned.earliestRetireMs, first?.retiredMs ?? 0);
    assertClose("total", planned.totalMs, first?.durationMs ?? 0);
    // Above its capacity a registry spreads the peak by itself, by being late.
    if (planned.withinCapacity) assertClose("peak", planned.peakEventsPerSecond, registry.peakEventsPerSecond);
    else assert.ok(registry.lagMsMax > 100, "the simulated registry is late, too");
  });
}
