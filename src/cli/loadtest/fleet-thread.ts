/**
 * A part of a load test's fleet in a thread of its own: a thousand agents in one heap would stop each other for every
 * collection of garbage. Starts its agents, hands them new key files, and says in shared memory how many are at rest.
 */
import { constants, setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../adapters/system/clock.js";
import { assert } from "../../core/assert.js";
import type { KeyIdentity } from "../../core/key-id.js";
import { VirtualTime } from "../../sim/engine/virtual-time.js";
import { LoadAgent } from "./agent.js";
import { startedCell, type Offer, type ThreadPlan } from "./fleet.js";
import { LoadCounter } from "./load-counter.js";
import { TurnQueue } from "./turn-queue.js";

/** How often the simulated parts are driven along, and how far before sockets are read again. */
const tickMs = 5;
const sliceMs = 1;
const lookMs = 20;
/** Looking at every agent costs as much as some of their steps. */
const showMs = 100;
/**
 * Agents that start together: the next ones wait until these have staged. Who starts costs the registry a listing, and in
 * pairwise coordination an event to everyone for each report: all at once are a herd of their own, before the rotation.
 */
const startBatch = 5;

/** Of this thread alone: on Linux 0 is who asks. In a fleet the registry's machine runs no agents, so here it goes first. */
const thisThread = 0;

async function run(plan: ThreadPlan): Promise<void> {
  setPriority(thisThread, constants.priority.PRIORITY_BELOW_NORMAL);
  const time = new VirtualTime();
  time.runUntil(systemClock.nowMs());
  drive(time);
  const agents: LoadAgent[] = [];
  let { keys } = plan;
  parentPort?.on("message", (offer: Offer) => {
    keys = offer.keys;
    for (const agent of agents) agent.offer(keys);
  });
  setInterval(() => show(agents, keys, plan), showMs);
  await startAll(plan, time, agents);
}

/** In slices: what happened in all kernels of the thread at once would keep every agent of it from its sockets. */
function drive(time: VirtualTime): void {
  const nowMs = systemClock.nowMs();
  time.runUntil(Math.min(time.nowMs + sliceMs, nowMs));
  if (time.nowMs < nowMs) setImmediate(drive, time);
  else setTimeout(drive, tickMs, time);
}

async function startAll(plan: ThreadPlan, time: VirtualTime, agents: LoadAgent[]): Promise<void> {
  const counter = new LoadCounter(systemClock.nowMs, plan.counts);
  const clock = { ...systemClock, defer: new TurnQueue().defer };
  const failed = (message: string): never => {
    throw new Error(message);
  };
  while (agents.length < plan.incarnationIds.length) {
    const from = agents.length;
    const ids = plan.incarnationIds.slice(from, from + startBatch);
    const starting = ids.map((incarnationId, offset) => {
      const { coordination, jitter, target } = plan;
      const index = plan.first + from + offset;
      return LoadAgent.start({ index, incarnationId, coordination, jitter, target, counter, clock, time, failed }, plan.keys);
    });
    const batch = await Promise.all(starting);
    agents.push(...batch);
    while (!batch.every((agent) => agent.isStaged)) await sleep(lookMs);
  }
}

function show(agents: readonly LoadAgent[], keys: readonly KeyIdentity[], plan: ThreadPlan): void {
  const standing = new Int32Array(plan.standing);
  Atomics.store(standing, 0, agents.reduce((sum, agent) => sum + agent.forcedRetires, 0));
  Atomics.store(standing, startedCell, agents.length);
  for (const key of keys) {
    const atRest = agents.filter((agent) => agent.isAtRest(key, plan.agents - 1)).length;
    Atomics.store(standing, key.keyId, atRest);
  }
}

assert(parentPort !== null, "this is a thread");
await run(workerData as ThreadPlan);
