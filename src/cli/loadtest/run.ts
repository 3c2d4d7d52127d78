/**
 * One run of a load test: an empty registry, N agents join, everybody's key file changes at once,
 * and what that rotation cost until every agent was at rest on the new key.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { connectRegistry, type RegistryTarget } from "../../adapters/registry/connect.js";
import { systemClock } from "../../adapters/system/clock.js";
import { limits } from "../../core/limits.js";
import type { JitterOptions } from "../../core/jitter.js";
import type { CheckValue, KeyId, KeyIdentity } from "../../core/key-id.js";
import type { Log } from "../../ports/log.js";
import { LabError } from "../../lab/lab-error.js";
import { ControllerLoop, type ControllerLoopOptions } from "../../runtime/controller-loop.js";
import { VirtualTime } from "../../sim/engine/virtual-time.js";
import { LoadAgent } from "./agent.js";
import { countingRegistry, LoadCounter } from "./counting-registry.js";
import type { LoadServer } from "./servers.js";

export interface RunKind {
  readonly name: "pairwise" | "pairwise, jitter" | "pairwise, slotted" | "barrier";
  readonly coordination: "barrier" | "pairwise";
  readonly jitter: "off" | JitterOptions["mode"];
}

export const runKinds: readonly RunKind[] = [
  { name: "pairwise", coordination: "pairwise", jitter: "off" },
  { name: "pairwise, jitter", coordination: "pairwise", jitter: "uniform" },
  { name: "pairwise, slotted", coordination: "pairwise", jitter: "slotted" },
  { name: "barrier", coordination: "barrier", jitter: "off" },
];

export interface LoadRunOptions {
  readonly agents: number;
  readonly jitterMaxMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface LoadRun {
  readonly name: RunKind["name"];
  /** From the first start until everybody is at rest on the first key. */
  readonly joinMs: number;
  /** From the change of the key files until everybody is at rest on the new key; null: not in time. */
  readonly convergeMs: number | null;
  readonly writes: number;
  readonly writesPerAgent: number;
  readonly watchEvents: number;
  readonly watchEventsPerAgent: number;
  readonly peakEventsPerSecond: number;
  readonly leaseRenewals: number;
  /** Of the registry's servers, over the rotation; null where they do not say. */
  readonly cpuSeconds: number | null;
  readonly sentBytes: number | null;
  readonly forcedRetires: number;
}

const firstKey = keyOf(1);
const secondKey = keyOf(2);
/** How often the simulated parts are driven along. */
const tickMs = 5;
const lookMs = 20;
/** Joins in one go: a scale-up. */
const joinBatch = 50;

export async function runLoad(
  kind: RunKind,
  server: LoadServer,
  options: LoadRunOptions,
): Promise<LoadRun> {
  const time = new VirtualTime();
  time.runUntil(systemClock.nowMs());
  const ticking = setInterval(() => time.runUntil(systemClock.nowMs()), tickMs);
  const counter = new LoadCounter(systemClock.nowMs);
  const agents: LoadAgent[] = [];
  const controller = await startController(kind, server.target, counter);
  try {
    return await measure(kind, server, options, { time, counter, agents });
  } finally {
    for (const agent of agents) agent.stop();
    controller();
    clearInterval(ticking);
  }
}

interface Scene {
  readonly time: VirtualTime;
  readonly counter: LoadCounter;
  readonly agents: LoadAgent[];
}

async function measure(
  kind: RunKind,
  server: LoadServer,
  options: LoadRunOptions,
  scene: Scene,
): Promise<LoadRun> {
  const { counter, agents } = scene;
  const joinedMs = systemClock.nowMs();
  await join(kind, server.target, options, scene);
  if (!(await allAtRest(agents, firstKey, options))) {
    const message = `${options.agents} agents were not at rest after ${options.timeoutMs} ms`;
    throw new LabError("LAB_START_TIMEOUT", message);
  }
  const startedMs = systemClock.nowMs();
  const before = await server.usage();
  counter.reset();
  for (const agent of agents) agent.offer([firstKey, secondKey]);
  const isDone = await allAtRest(agents, secondKey, options);
  const convergeMs = isDone ? Math.round(systemClock.nowMs() - startedMs) : null;
  const after = await server.usage();
  return {
    name: kind.name,
    joinMs: Math.round(startedMs - joinedMs),
    convergeMs,
    writes: counter.writes,
    writesPerAgent: counter.writes / options.agents,
    watchEvents: counter.watchEvents,
    watchEventsPerAgent: counter.watchEvents / options.agents,
    peakEventsPerSecond: counter.peakEventsPerSecond,
    leaseRenewals: counter.leaseRenewals,
    cpuSeconds: difference(before.cpuSeconds, after.cpuSeconds),
    sentBytes: difference(before.sentBytes, after.sentBytes),
    forcedRetires: agents.reduce((sum, agent) => sum + agent.forcedRetires, 0),
  };
}

async function join(
  kind: RunKind,
  target: RegistryTarget,
  { agents: count, jitterMaxMs, signal }: LoadRunOptions,
  { time, counter, agents }: Scene,
): Promise<void> {
  const mode = kind.jitter === "off" ? "uniform" : kind.jitter;
  const jitter = { enabled: kind.jitter !== "off", mode, maxMs: jitterMaxMs, minNodes: 2 };
  const failed = (message: string): never => {
    throw new Error(message);
  };
  while (agents.length < count && !signal.aborted) {
    const first = agents.length;
    const size = Math.min(joinBatch, count - first);
    const batch = Array.from({ length: size }, (_, offset) => {
      const { coordination } = kind;
      const agent = { index: first + offset, coordination, jitter, target, counter, time, failed };
      return LoadAgent.start(agent, [firstKey]);
    });
    agents.push(...(await Promise.all(batch)));
  }
}

/** False when the time is over or the run was interrupted. */
async function allAtRest(
  agents: readonly LoadAgent[],
  key: KeyIdentity,
  { agents: count, timeoutMs, signal }: LoadRunOptions,
): Promise<boolean> {
  const untilMs = systemClock.nowMs() + timeoutMs;
  while (systemClock.nowMs() < untilMs && !signal.aborted) {
    if (agents.every((agent) => agent.isAtRest(key, count - 1))) return true;
    await sleep(lookMs);
  }
  return false;
}

/**
 * The controller of a barrier run, with a connection of its own; on Kubernetes also in a pairwise
 * run, as the one that leads admits the nodes. Returns how it ends.
 */
async function startController(
  { coordination }: RunKind,
  target: RegistryTarget,
  counter: LoadCounter,
): Promise<() => void> {
  const isNeeded = coordination === "barrier" || target.kind === "kubernetes";
  if (!isNeeded) return () => undefined;
  const registry = countingRegistry(await connectRegistry(target), counter);
  if (coordination === "pairwise") {
    registry.campaign(controllerOptions.name, controllerOptions.leaseMs, () => undefined);
    return () => registry.close();
  }
  const loop = new ControllerLoop(controllerOptions, { clock: systemClock, registry, log: silent });
  loop.start();
  return () => {
    loop.stop();
    registry.close();
  };
}

const controllerOptions: ControllerLoopOptions = {
  name: "loadtest",
  ring: 255,
  start: "auto",
  slow: "wait",
  silent: "wait",
  silentMs: limits.silentMsDefault,
  excludeShareMax: limits.excludeShareMaxDefault,
  stageDeadlineMs: limits.stageDeadlineMsDefault,
  retireDeadlineMs: limits.retireDeadlineMsDefault,
  emergencyDeadlineMs: limits.emergencyDeadlineMsDefault,
  drainMs: 1_000,
  jitterMaxMs: 0,
  jitterMinNodes: 2,
  keyDistributionMs: 0,
  leaseMs: limits.leaseMsDefault,
};

const silent: Log = { write: () => undefined };

function keyOf(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: `${keyId}`.padStart(32, "0") as CheckValue };
}

function difference(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before;
}
