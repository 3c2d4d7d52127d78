/**
 * Whose failure an operation is. A failure must hold back someone that the plan was for: one that holds back nobody is
 * tried again at once, for ever.
 */
import type { NodeName } from "../core/node.js";
import type { Operation } from "../core/sa.js";
import type { Spi } from "../core/spi.js";
import { slotForeign, type FailedOperation } from "../ports/kernel.js";

/** The name under which SAs and policies are kept that no known node explains. */
export const unexplained = "" as NodeName;

/**
 * The first failed operation of each peer. Who is at an address can have changed since the plan was made, and an SA that
 * nobody explains is at somebody's address: such a failure is of the unexplained, or else of the whole plan.
 * @param peers whom the plan was for
 * @param peerOf who is concerned, by what is known now
 */
export function failuresByPeer(
  peers: readonly NodeName[],
  failed: readonly FailedOperation[],
  peerOf: (operation: Operation) => NodeName,
): ReadonlyMap<NodeName, FailedOperation> {
  const failures = new Map<NodeName, FailedOperation>();
  for (const failure of failed) {
    const peer = peerOf(failure.operation);
    const others = peers.includes(unexplained) ? [unexplained] : peers;
    for (const name of peers.includes(peer) ? [peer] : others) {
      if (!failures.has(name)) failures.set(name, failure);
    }
  }
  return failures;
}

/** The first SPI of ours that a foreign SA holds towards a peer. Inbound SPIs are the peers': a new one of ours is no help. */
export function takenSpiOf(failed: readonly FailedOperation[]): Spi | null {
  for (const { operation, code } of failed) {
    if (code !== slotForeign || operation.kind !== "install-sa") continue;
    if (operation.sa.direction === "out") return operation.sa.spi;
  }
  return null;
}
