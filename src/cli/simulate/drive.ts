/** Runs one simulation to its end, in slices with the event loop in between: for progress, and for Ctrl-C. */
import { setImmediate } from "node:timers/promises";
import { systemClock } from "../../adapters/system/clock.js";
import { Simulation } from "../../sim/run/simulation.js";
import type { SimulationOptions } from "../../sim/run/simulation-options.js";
import type { SimulationResult } from "../../sim/run/simulation-result.js";
import { count, seconds } from "../lab/progress-lines.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";

/** Real time between two looks at the event loop. */
const burstMs = 50;

/** @param title what the run is, in front of its progress; empty for a single run */
export async function driveSimulation(options: SimulationOptions, title: string, shell: Shell): Promise<SimulationResult> {
  const signal = shell.interrupted();
  const startedMs = systemClock.nowMs();
  const simulation = new Simulation(options);
  const progress = startProgress({ stream: shell.stderr, lines: () => [`${title}${describe(simulation, startedMs)}`] });
  try {
    while (!signal.aborted && runBurst(simulation)) await setImmediate();
  } finally {
    progress.stop();
  }
  return simulation.finish();
}

/** @returns false when the run has ended */
function runBurst(simulation: Simulation): boolean {
  const endMs = systemClock.nowMs() + burstMs;
  do {
    if (!simulation.advance()) return false;
  } while (systemClock.nowMs() < endMs);
  return true;
}

function describe(simulation: Simulation, startedMs: number): string {
  const { virtualMs, doing, packetsLost } = simulation.progress;
  const elapsed = seconds(systemClock.nowMs() - startedMs);
  return `${seconds(virtualMs)} of virtual time in ${elapsed}  ${doing}  lost ${count(packetsLost)}`;
}
