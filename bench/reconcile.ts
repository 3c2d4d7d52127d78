/** What it costs an agent at rest to read its whole kernel back and find all as it was. */
import type { IncarnationId } from "../src/core/node.js";
import { stepAgent } from "../src/core/rotation/step.js";
import type { KernelDump } from "../src/ports/kernel.js";
import { settleFleet } from "./settled-agent.js";

const rounds = 9;

/** @returns processor time of a dump that is taken in and a step over all peers, milliseconds: the median of some rounds */
export function reconcileMs(peers: number): number {
  const { fleet, last } = settleFleet("barrier", peers);
  const { state, nowMs, options } = last();
  const node = fleet.node(options.name);
  const world = node.agent?.loop.inspect()?.world.copy();
  if (world === undefined) throw new Error("the agent does not run");
  const taken: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = world.beginDump();
    let dump: KernelDump | null = null;
    node.kernel.port(() => true).dump(
      (slot) => world.recognise(slot),
      (result) => (dump = result.ok ? result.value : null),
    );
    fleet.run(100);
    if (dump === null) throw new Error("the kernel does not answer");
    const before = process.cpuUsage();
    world.seeDump(dump, start, nowMs);
    const { effects } = stepAgent(state, world.observe("" as IncarnationId, 0), nowMs, options);
    taken.push(process.cpuUsage(before).user / 1_000);
    if (effects.some(({ kind }) => kind === "apply")) throw new Error("something was to do");
  }
  return taken.sort((one, other) => one - other)[rounds >> 1] ?? 0;
}
