/**
 * Agents of `spindle loadtest` (real loops and registry, simulated kernels) with their controller, in
 * the process of a test.
 */
import type { TestContext } from "node:test";
import { connectRegistry, type RegistryTarget } from "../../src/adapters/registry/connect.js";
import { systemClock } from "../../src/adapters/system/clock.js";
import { LoadAgent } from "../../src/cli/loadtest/agent.js";
import { randomIncarnationId } from "../../src/cli/loadtest/incarnation.js";
import { LoadCounter } from "../../src/cli/loadtest/load-counter.js";
import { startController } from "../../src/cli/loadtest/run.js";
import { TurnQueue } from "../../src/cli/loadtest/turn-queue.js";
import { VirtualTime } from "../../src/sim/engine/virtual-time.js";
import { key } from "../contract/registry-records.js";

export interface JoiningFleet {
  readonly join: (index: number) => Promise<LoadAgent>;
}

const tickMs = 5;

/** Ends with the test. */
export async function startJoiningFleet(
  context: TestContext,
  target: RegistryTarget,
  coordination: "barrier" | "pairwise",
): Promise<JoiningFleet> {
  const time = new VirtualTime();
  time.runUntil(systemClock.nowMs());
  const ticking = setInterval(() => time.runUntil(systemClock.nowMs()), tickMs);
  const clock = { ...systemClock, defer: new TurnQueue().defer };
  const counter = new LoadCounter(systemClock.nowMs);
  const registry = await connectRegistry(target);
  const { stop: stopController } = startController({ coordination }, target, registry);
  const agents: LoadAgent[] = [];
  context.after(() => {
    for (const agent of agents) agent.stop();
    stopController();
    registry.close();
    clearInterval(ticking);
  });
  const jitter = { enabled: false, mode: "uniform", maxMs: 0, minNodes: 2 } as const;
  const failed = (message: string): never => {
    throw new Error(message);
  };
  const join = async (index: number): Promise<LoadAgent> => {
    const incarnationId = randomIncarnationId();
    const options = { index, incarnationId, coordination, jitter, target, counter, clock, time, failed };
    const agent = await LoadAgent.start(options, [key(1)]);
    agents.push(agent);
    return agent;
  };
  return { join };
}
