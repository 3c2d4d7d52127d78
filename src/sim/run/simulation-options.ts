/** What one measured run is: size, rules, what is in the way. Durations are milliseconds. */
import type { ControllerOptions } from "../../core/fleet/controller-state.js";
import type { KeyId } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import type { NodeName } from "../../core/node.js";
import type { AgentOptions } from "../../core/rotation/state.js";
import { stepAgent } from "../../core/rotation/step.js";
import type { Operation } from "../../core/sa.js";
import type { AgentPorts, StepAgent } from "../../runtime/agent-loop.js";
import type { Mutant } from "../mutants/mutant.js";
import { ringMesh } from "../model/mesh.js";
import type { SimOptions } from "../options.js";
import { advertiseFirst } from "../scenarios/field/advertise-first.js";

export interface SimulationOptions {
  readonly nodes: number;
  /** Peers that each node talks to: the nearest on a ring, an even number; null for all others. */
  readonly degree: number | null;
  readonly seed: number;
  readonly rotations: number;
  readonly coordination: "barrier" | "pairwise";
  readonly order: "stage-first" | "advertise-first";
  readonly jitter: "off" | "uniform" | "slotted";
  readonly jitterMaxMs: number;
  /** The last rotation is an emergency: its old key is declared compromised. */
  readonly emergency: boolean;
  /** Added to the staging of one node, drawn from the seed; 0 for none. */
  readonly slowNodeMs: number;
  /** What this node gets of its CPU while it stages, above 0 and at most 1. */
  readonly cpuShare: number;
  /** A new key file reaches each node within this time. */
  readonly keyDistributionMs: number;
  readonly drainMs: number;
  /** Packets per second from each node to each peer. */
  readonly rate: number;
  /** Events per second that the registry delivers to all watchers together; null for no bound. */
  readonly registryRate: number | null;
  readonly mutant: Mutant | null;
}

export const simulationDefaults: SimulationOptions = {
  nodes: 50,
  degree: null,
  seed: 1,
  rotations: 1,
  coordination: "barrier",
  order: "stage-first",
  jitter: "off",
  jitterMaxMs: 30_000,
  emergency: false,
  slowNodeMs: 0,
  cpuShare: 1,
  keyDistributionMs: limits.keyDistributionMsDefault,
  drainMs: limits.drainMsDefault,
  rate: 50,
  registryRate: null,
  mutant: null,
};

/** One netlink operation, and what it varies by: libraries.md's figures for batches in a plain kernel. */
const operationMsMin = 0.02;
const operationMsSpread = 0.03;

/** Production's durations, so that a simulated rotation takes as long as a real one. */
export function simOptionsOf(options: SimulationOptions, names: readonly NodeName[], slowNode: NodeName | null): SimOptions {
  const { coordination, degree, order, seed, rate, mutant } = options;
  const step: StepAgent = order === "advertise-first" ? advertiseFirst(stepAgent) : stepAgent;
  const base: SimOptions = {
    seed,
    coordination,
    agent: agentOptions(options),
    controller: controllerOptions(options),
    packetIntervalMs: 1_000 / rate,
    ...(degree === null ? {} : { mesh: ringMesh(names, degree) }),
    operationMs: (prng) => operationMsMin + prng.share() * operationMsSpread,
    ...(order === "advertise-first" ? { step: () => step } : {}),
    ...mutant?.changes,
  };
  return slowNode === null ? base : withSlowStaging(base, slowNode, options.slowNodeMs);
}

function agentOptions({ jitter, jitterMaxMs, drainMs }: SimulationOptions): Partial<AgentOptions> & { leaseMs: number } {
  const mode = jitter === "slotted" ? "slotted" : "uniform";
  return {
    jitter: { enabled: jitter !== "off", mode, maxMs: jitterMaxMs, minNodes: 0 },
    drainMs,
    retireDeadlineMs: limits.retireDeadlineMsDefault,
    emergencyDeadlineMs: limits.emergencyDeadlineMsDefault,
    reportIntervalMs: limits.reportIntervalMsDefault,
    resyncMs: limits.resyncMs,
    leaseMs: limits.leaseMsDefault,
  };
}

function controllerOptions(options: SimulationOptions): Partial<ControllerOptions> & { leaseMs: number } {
  return {
    silentMs: limits.silentMsDefault,
    excludeShareMax: limits.excludeShareMaxDefault,
    stageDeadlineMs: limits.stageDeadlineMsDefault,
    retireDeadlineMs: limits.retireDeadlineMsDefault,
    emergencyDeadlineMs: limits.emergencyDeadlineMsDefault,
    drainMs: options.drainMs,
    jitterMaxMs: options.jitter === "off" ? 0 : options.jitterMaxMs,
    keyDistributionMs: options.keyDistributionMs,
    leaseMs: limits.leaseMsDefault,
  };
}

/**
 * On one node, the first inbound SAs of a key to rotate to take so much longer: a kernel without CPU. What is asked of it
 * meanwhile waits behind them.
 */
function withSlowStaging(base: SimOptions, slowNode: NodeName, slowMs: number): SimOptions {
  const seen = new Set<KeyId>();
  const isFirst = (stages: readonly (readonly Operation[])[]): boolean => {
    const isStart = seen.size === 0;
    const fresh = stages.flat().flatMap(inboundKey).filter((keyId) => !seen.has(keyId));
    for (const keyId of fresh) seen.add(keyId);
    return !isStart && fresh.length > 0;
  };
  const wrapAgentPorts = (name: NodeName, ports: AgentPorts): AgentPorts => {
    const wrapped = base.wrapAgentPorts?.(name, ports) ?? ports;
    return name === slowNode ? { ...wrapped, kernel: delayed(wrapped, (stages) => (isFirst(stages) ? slowMs : 0)) } : wrapped;
  };
  return { ...base, wrapAgentPorts };
}

function delayed(
  { kernel, clock }: AgentPorts,
  delayMs: (stages: readonly (readonly Operation[])[]) => number,
): AgentPorts["kernel"] {
  let freeAtMs = 0;
  const whenFree = (afterMs: number, request: () => void): void => {
    freeAtMs = Math.max(freeAtMs, clock.nowMs()) + afterMs;
    if (freeAtMs <= clock.nowMs()) request();
    else clock.setTimer(freeAtMs, request);
  };
  return {
    ...kernel,
    apply: (stages, recognise, done) => whenFree(delayMs(stages), () => kernel.apply(stages, recognise, done)),
    dump: (recognise, done) => whenFree(0, () => kernel.dump(recognise, done)),
  };
}

function inboundKey(operation: Operation): readonly KeyId[] {
  return operation.kind === "install-sa" && operation.sa.direction === "in" ? [operation.sa.key.keyId] : [];
}
