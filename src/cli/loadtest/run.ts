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
import type { IncarnationId } from "../../core/node.js";
import type { Stop } from "../../ports/failure.js";
import type { Log } from "../../ports/log.js";
import type { RegistryPort } from "../../ports/registry.js";
import { LabError } from "../../lab/lab-error.js";
import { ControllerLoop, type ControllerLoopOptions } from "../../runtime/controller-loop.js";
import { admitNodes } from "./admission.js";
import { countingRegistry } from "./counting-registry.js";
import { LoadFleet, type FleetPlan } from "./fleet.js";
import { LoadCounter } from "./load-counter.js";
import type { LoadServer } from "./servers.js";

export interface RunKind {
  readonly name: "pairwise" | "pairwise-jitter" | "pairwise-slotted" | "barrier";
  readonly coordination: "barrier" | "pairwise";
  readonly jitter: "off" | JitterOptions["mode"];
}

export const runKinds: readonly RunKind[] = [
  { name: "pairwise", coordination: "pairwise", jitter: "off" },
  { name: "pairwise-jitter", coordination: "pairwise", jitter: "uniform" },
  { name: "pairwise-slotted", coordination: "pairwise", jitter: "slotted" },
  { name: "barrier", coordination: "barrier", jitter: "off" },
];

export interface LoadRunOptions {
  readonly agents: number;
  readonly jitterMaxMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Told what it does at the moment, for people. */
  readonly now: (doing: string) => void;
}

export interface LoadRun {
  readonly name: RunKind["name"];
  /** From the first start until everybody is at rest on the first key. */
  readonly joinMs: number;
  /** From the change of the key files until everybody is at rest on the new key; null: not in time. */
  readonly convergeMs: number | null;
  /** On the new key when the run ended. */
  readonly agentsAtRest: number;
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
const lookMs = 50;

export async function runLoad(kind: RunKind, server: LoadServer, options: LoadRunOptions): Promise<LoadRun> {
  const counter = new LoadCounter(systemClock.nowMs);
  const registry = countingRegistry(await connectRegistry(server.target), counter);
  const leading = startController(kind, server.target, registry);
  try {
    const startedMs = systemClock.nowMs();
    options.now("admitting nodes");
    const incarnationIds = await admitNodes(registry, options.agents, options.signal);
    const fleet = new LoadFleet(planOf(kind, server.target, incarnationIds, options), counter);
    try {
      const untilAll = (key: KeyIdentity, doing: string): Promise<boolean> =>
        untilAtRest(fleet, key, options, () => `${doing}${leading.phase()}`);
      if (!(await untilAll(firstKey, "starting"))) throw notStarted(kind, fleet, options);
      const joinMs = Math.round(systemClock.nowMs() - startedMs);
      return { name: kind.name, joinMs, ...(await rotate(fleet, counter, server, options, untilAll)) };
    } finally {
      await fleet.stop();
    }
  } finally {
    leading.stop();
    registry.close();
  }
}

function notStarted({ name }: RunKind, fleet: LoadFleet, { agents, timeoutMs }: LoadRunOptions): LabError {
  const atRest = fleet.atRestOn(firstKey);
  const message = `${name}: ${atRest} of ${agents} agents were at rest after ${timeoutMs} ms, ${fleet.started} had started`;
  return new LabError("LAB_START_TIMEOUT", message);
}

function planOf(
  { coordination, jitter: mode }: RunKind,
  target: RegistryTarget,
  incarnationIds: readonly IncarnationId[],
  { jitterMaxMs: maxMs }: LoadRunOptions,
): FleetPlan {
  const jitter = { enabled: mode !== "off", mode: mode === "off" ? "uniform" : mode, maxMs, minNodes: 2 } as const;
  return { incarnationIds, coordination, jitter, target, keys: [firstKey] };
}

async function rotate(
  fleet: LoadFleet,
  counter: LoadCounter,
  server: LoadServer,
  options: LoadRunOptions,
  untilAll: (key: KeyIdentity, doing: string) => Promise<boolean>,
): Promise<Omit<LoadRun, "name" | "joinMs">> {
  const startedMs = systemClock.nowMs();
  const before = await server.usage();
  counter.reset();
  fleet.offer([firstKey, secondKey]);
  const isDone = await untilAll(secondKey, "rotating");
  const convergeMs = isDone ? Math.round(systemClock.nowMs() - startedMs) : null;
  const after = await server.usage();
  const { writes, watchEvents, peakEventsPerSecond, leaseRenewals } = counter;
  return {
    convergeMs,
    agentsAtRest: fleet.atRestOn(secondKey),
    writes,
    writesPerAgent: writes / options.agents,
    watchEvents,
    watchEventsPerAgent: watchEvents / options.agents,
    peakEventsPerSecond,
    leaseRenewals,
    cpuSeconds: difference(before.cpuSeconds, after.cpuSeconds),
    sentBytes: difference(before.sentBytes, after.sentBytes),
    forcedRetires: fleet.forcedRetires,
  };
}

/** False when the time is over or the run was interrupted. */
async function untilAtRest(
  fleet: LoadFleet,
  key: KeyIdentity,
  { agents, timeoutMs, signal, now }: LoadRunOptions,
  doing: () => string,
): Promise<boolean> {
  const untilMs = systemClock.nowMs() + timeoutMs;
  while (systemClock.nowMs() < untilMs && !signal.aborted) {
    const atRest = fleet.atRestOn(key);
    const started = fleet.started < agents ? `${fleet.started} of ${agents} started` : `${atRest} of ${agents} at rest`;
    now(`${doing()}, ${started}`);
    if (atRest === agents) return true;
    await sleep(lookMs);
  }
  return false;
}

export interface Leading {
  readonly stop: Stop;
  /** Of the fleet, for people: empty where there is none. */
  readonly phase: () => string;
}

/** The controller of a barrier run; on Kubernetes also in a pairwise run, as the one that leads admits the nodes. */
export function startController(
  { coordination }: Pick<RunKind, "coordination">,
  target: RegistryTarget,
  registry: RegistryPort,
): Leading {
  if (coordination === "barrier") {
    const loop = new ControllerLoop(controllerOptions, { clock: systemClock, registry, log: silent });
    loop.start();
    const phase = (): string => loop.inspect().record?.phase ?? "no record";
    return { stop: () => loop.stop(), phase: () => `, the fleet is ${phase()}` };
  }
  const isAdmitting = target.kind === "kubernetes";
  const { name, leaseMs } = controllerOptions;
  return { stop: isAdmitting ? registry.campaign(name, leaseMs, () => undefined) : () => undefined, phase: () => "" };
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
