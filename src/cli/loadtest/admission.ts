/** Puts the nodes of a load test on the roster, so that its agents start as those of a fleet that is there. */
import type { IncarnationId } from "../../core/node.js";
import type { RegistryPort } from "../../ports/registry.js";
import { addressesOf, nodeNameOf } from "./agent.js";
import { randomIncarnationId } from "./incarnation.js";

/** Registrations under way at the same time: what a leader on Kubernetes announces in one write. */
const underWayMax = 16;

/** @returns one incarnation for each node @throws PortError as `register` does */
export async function admitNodes(
  registry: RegistryPort,
  agents: number,
  signal: AbortSignal,
): Promise<readonly IncarnationId[]> {
  const ids = Array.from({ length: agents }, randomIncarnationId);
  const waiting = ids.entries();
  const admitRest = async (): Promise<void> => {
    for (const [index, id] of waiting) {
      if (signal.aborted) return;
      await admitOne(registry, index, id);
    }
  };
  await Promise.all(Array.from({ length: underWayMax }, admitRest));
  return ids;
}

function admitOne(registry: RegistryPort, index: number, incarnationId: IncarnationId): Promise<void> {
  const request = { name: nodeNameOf(index), incarnationId, addresses: addressesOf(index) };
  return new Promise((resolve, reject) => {
    registry.register(request, (result) => {
      if (result.ok) resolve();
      else reject(new Error(`${request.name} was not admitted: ${result.error.code}: ${result.error.message}`));
    });
  });
}
