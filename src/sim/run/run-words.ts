/** A run in words: what is special about it, and the command that runs it again. */
import type { SimulationOptions } from "./simulation-options.js";

/** What is special about the run, for the causes of violations. */
export function labelOf({ order, mutant }: SimulationOptions): string | null {
  const parts = [order === "advertise-first" ? "order = advertise-first" : null, mutant === null ? null : `mutant = ${mutant.name}`];
  const told = parts.filter((part) => part !== null);
  return told.length === 0 ? null : told.join(", ");
}

/** Every option by name, so that it stays the same run when a default changes. */
export function replayOf(options: SimulationOptions): string {
  const { nodes, degree, seed, rotations, coordination, order, jitter, jitterMaxMs, slowNodeMs, cpuShare, emergency, keyDistributionMs, drainMs, rate, registryRate, mutant } = options;
  return [
    `spindle simulate --nodes ${nodes} --rotations ${rotations} --seed ${seed} --coordination ${coordination} --order ${order}`,
    `--rate ${rate} --drain ${drainMs}ms --key-distribution ${keyDistributionMs}ms --jitter ${jitter === "off" ? "off" : `${jitterMaxMs}ms --jitter-mode ${jitter}`}`,
    ...(degree === null ? [] : [`--degree ${degree}`]),
    ...(slowNodeMs === 0 ? [] : [`--slow-node ${slowNodeMs}ms`]),
    ...(cpuShare === 1 ? [] : [`--cpu-share ${cpuShare}`]),
    ...(emergency ? ["--emergency"] : []),
    ...(registryRate === null ? [] : [`--registry-rate ${registryRate}`]),
    ...(mutant === null ? [] : [`--mutant ${mutant.name}`]),
  ].join(" ");
}
