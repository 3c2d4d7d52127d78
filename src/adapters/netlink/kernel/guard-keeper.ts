/**
 * Keeps the guard's policies in the kernel: installed before anything else, compared at every dump,
 * put back when somebody took them, and removed when they are no longer wanted. A roster change never
 * touches them.
 */
import { slotForeign } from "../../../ports/kernel.js";
import { PortError } from "../../port-error.js";
import type { ListedPolicy, XfrmPolicy } from "../codec/model.js";
import { appendGetPolicy, appendPolicy, readPolicy, slotTextOf } from "../codec/policy.js";
import { kernelFailure } from "../socket/failures.js";
import type { RequestSocket } from "../socket/request-socket.js";
import { guardPolicies } from "./guard.js";
import { isOwnPolicy, peerPriority } from "./ownership.js";
import { remove } from "./removal.js";
import type { LocalNode } from "./local-node.js";

/** Is it one of ours that no peer's slot names? */
export function isGuardPolicy({ priority }: ListedPolicy, { ownership }: LocalNode): boolean {
  return priority !== ownership.priority + peerPriority;
}

/**
 * @param present what `isGuardPolicy` said of those listed
 * @returns how many were missing, other than wanted, or too many
 * @throws PortError `DATAPLANE_SLOT_FOREIGN` when another program has a policy for one of the CIDRs
 */
export async function keepGuard(
  socket: RequestSocket,
  local: LocalNode,
  present: readonly ListedPolicy[],
): Promise<number> {
  const wanted = new Map(wantedPolicies(local).map((policy) => [textOf(policy), policy]));
  const excess = present.filter((policy) => !wanted.delete(textOf(policy)));
  const missing = [...wanted.values()];
  const held = missing.length === 0 ? [] : await install(socket, local, missing);
  // What was replaced is not removed after it: the slot is the new policy's.
  const replaced = new Set(missing.map(slotTextOf));
  const policies = excess.filter((policy) => !replaced.has(slotTextOf(policy)));
  await remove(socket, { sas: [], policies });
  if (held[0] !== undefined) throw heldByAnother(held[0]);
  return missing.length + policies.length;
}

export function wantedPolicies({ guard, addresses, ownership }: LocalNode): readonly XfrmPolicy[] {
  return guard === null ? [] : guardPolicies(guard, addresses, ownership);
}

/** @returns those whose slot another program has; the others are in place */
async function install(
  socket: RequestSocket,
  local: LocalNode,
  policies: readonly XfrmPolicy[],
): Promise<readonly XfrmPolicy[]> {
  const holders = await socket.getMany(policies, appendGetPolicy, readPolicy);
  const isForeign = (place: number): boolean => {
    const holder = holders[place]!;
    return "found" in holder && holder.found !== null && !isOwnPolicy(holder.found, local.ownership);
  };
  const free = policies.filter((_, place) => !isForeign(place));
  const [refused] = await socket.send(free, (batch, policy) => appendPolicy(batch, "set", policy));
  if (refused !== undefined) throw kernelFailure(refused.error);
  return policies.filter((_, place) => isForeign(place));
}

function heldByAnother({ direction, selector: { source, destination } }: XfrmPolicy): PortError {
  const from = `${source.address}/${source.length}`;
  const slot = `${direction} ${from} to ${destination.address}/${destination.length}`;
  const message = `a policy that is not ours holds ${slot}, which policy.cidrs must block`;
  return new PortError(slotForeign, message, true);
}

function textOf(policy: XfrmPolicy | ListedPolicy): string {
  return `${slotTextOf(policy)} ${policy.verdict} ${policy.priority} ${policy.templates.length}`;
}
