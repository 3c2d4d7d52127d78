/**
 * What to do about one peer, in stages that cannot lose a packet (make before break). Made when it is about to be carried
 * out: a fleet of peers that wait for their turn keeps no operations. Nothing is deleted while a policy selects it.
 */
import { includesKey, type KeyId } from "../key-id.js";
import type { RosterEntry } from "../node.js";
import { coveredAction } from "../policy-level.js";
import { policySlotOf, type Endpoint, type Operation } from "../sa.js";
import { keyIdOf } from "../spi.js";
import type { Context } from "./context.js";
import { saSlot, sendsTo, type HeldPolicy, type HeldSa } from "./held.js";
import type { PeerKernel } from "./observation.js";
import {
  findSa,
  isAt,
  isCommon,
  isOfSender,
  isOn,
  isRight,
  networksBetween,
  pathBetween,
  policyTo,
  saSpec,
  senderSpi,
  type Path,
} from "./path.js";
import { viewPaths, type PathView, type PeerInputs } from "./path-view.js";

/** Stages in the order in which they must succeed. */
export const stageNames = ["block", "inbound", "outbound", "switch", "delete"] as const;
export type StageName = (typeof stageNames)[number];
export type PeerPlan = Readonly<Record<StageName, readonly Operation[]>>;
type Draft = { readonly [name in StageName]: Operation[] };

export function planPeer(context: Context, inputs: PeerInputs): PeerPlan {
  const draft: Draft = { block: [], inbound: [], outbound: [], switch: [], delete: [] };
  const { entry, kernel } = inputs;
  if (entry === undefined) {
    planDeparted(context, kernel, draft);
    return draft;
  }
  for (const view of viewPaths(context, entry, inputs)) planPath(context, entry, kernel, view, draft);
  planDeletions(context, entry, kernel, draft);
  return draft;
}

export function isEmpty(plan: PeerPlan): boolean {
  return stageNames.every((name) => plan[name].length === 0);
}

/** Outbound policies go first: one that stayed behind its SA would keep packets from whoever has the address next. */
function planDeparted(context: Context, kernel: PeerKernel, draft: Draft): void {
  if (context.mayDelete) {
    for (const policy of kernel.policies) {
      const stage = policy.direction === "out" ? draft.block : draft.delete;
      stage.push({ kind: "delete-policy", policy: policySlotOf(policy) });
    }
  }
  for (const sa of kernel.sas) {
    if (mayGo(context, sa)) draft.delete.push({ kind: "delete-sa", slot: saSlot(sa) });
  }
}

/** May an SA of a departed peer be deleted? A key that is not held goes even while deletions are held (S5). */
export function mayGo(context: Context, { spi }: HeldSa): boolean {
  if (context.mayDelete) return true;
  const keyId = keyIdOf(spi);
  return !context.hold.some((key) => key.keyId === keyId);
}

function planPath(context: Context, entry: RosterEntry, kernel: PeerKernel, view: PathView, draft: Draft): void {
  const path = pathBetween(context.self, entry, view.family);
  if (path === null) return;
  const { networks } = view;
  const { selects, adds, blocks } = view.outbound;
  for (const key of view.absent) {
    if (includesKey(context.installable, key)) replaceSa(context, entry, kernel, path, "in", key.keyId, draft.inbound);
  }
  if (view.isOffLevel) draft.inbound.push(policyTo(entry, path, networks, "in", view.inbound));
  if (blocks) draft.block.push(policyTo(entry, path, networks, "out", view.uncovered));
  if (adds !== null) replaceSa(context, entry, kernel, path, "out", adds.keyId, draft.outbound);
  if (selects === null) return;
  const spi = senderSpi(context, entry, "out", selects.keyId);
  draft.switch.push(policyTo(entry, path, networks, "out", coveredAction(context.level, spi)));
}

/** What is in the slot and is not it makes room in the same stage. Paths of one family share their SAs. */
function replaceSa(
  context: Context,
  entry: RosterEntry,
  kernel: PeerKernel,
  path: Path,
  direction: "in" | "out",
  keyId: KeyId,
  operations: Operation[],
): void {
  const sa = saSpec(context, entry, path, direction, keyId);
  const isPlanned = (operation: Operation): boolean =>
    operation.kind === "install-sa" && operation.sa.spi === sa.spi && operation.sa.key.family === path.family;
  if (operations.some(isPlanned)) return;
  const found = findSa(kernel.sas, direction, sa.spi, entry, path.family);
  if (found !== undefined) operations.push({ kind: "delete-sa", slot: saSlot(found) });
  operations.push({ kind: "install-sa", sa });
}

/** What no held key explains goes last, and never while a policy selects it. */
function planDeletions(context: Context, entry: RosterEntry, kernel: PeerKernel, draft: Draft): void {
  for (const sa of kernel.sas) {
    if (isUnwanted(context, entry, kernel, sa) && !isReplaced(draft, sa)) {
      draft.delete.push({ kind: "delete-sa", slot: saSlot(sa) });
    }
  }
  for (const policy of kernel.policies) {
    if (isAstray(context, entry, policy)) draft.delete.push({ kind: "delete-policy", policy: policySlotOf(policy) });
  }
}

function isReplaced(draft: Draft, { direction, spi, remote }: HeldSa): boolean {
  const deletes = (operation: Operation): boolean =>
    operation.kind === "delete-sa" &&
    operation.slot.spi === spi &&
    operation.slot.direction === direction &&
    operation.slot.remote === remote;
  return draft.inbound.some(deletes) || draft.outbound.some(deletes);
}

/** Would `planDeletions` find anything? What is only replaced is work of its path. */
export function hasUnwanted(context: Context, entry: RosterEntry, kernel: PeerKernel): boolean {
  for (const sa of kernel.sas) if (isUnwanted(context, entry, kernel, sa)) return true;
  for (const policy of kernel.policies) if (isAstray(context, entry, policy)) return true;
  return false;
}

function isUnwanted(context: Context, entry: RosterEntry, { policies }: PeerKernel, sa: HeldSa): boolean {
  return !isWanted(context, entry, sa) && !isSelected(policies, sa);
}

function isWanted(context: Context, entry: RosterEntry, sa: HeldSa): boolean {
  const { direction, spi, remote } = sa;
  const keyId = keyIdOf(spi);
  if (!isOfSender(context, entry, direction, spi)) return false;
  for (const key of context.hold) {
    if (key.keyId !== keyId) continue;
    const family = familyAt(context, entry, remote);
    return family !== null && isRight(sa, context, entry);
  }
  return false;
}

function familyAt(context: Context, entry: RosterEntry, remote: Endpoint): Path["family"] | null {
  if (isAt(remote, entry, "ipv4") && isCommon(context.self, entry, "ipv4")) return "ipv4";
  return isAt(remote, entry, "ipv6") && isCommon(context.self, entry, "ipv6") ? "ipv6" : null;
}

function isSelected(policies: readonly HeldPolicy[], { direction, spi, remote }: HeldSa): boolean {
  if (direction !== "out") return false;
  for (const policy of policies) {
    const { action, remote: at } = policy;
    if (action.kind !== "protect" || action.spi !== spi) continue;
    if (at === remote || (sendsTo(policy) === remote.address && hasPort(policy, remote))) return true;
  }
  return false;
}

/** A policy through a tunnel does not say the port. */
function hasPort({ local, remote: at }: HeldPolicy, remote: Endpoint): boolean {
  return local !== undefined || at.udpPort === remote.udpPort;
}

/** Of an address, a family or networks that the two have not in common. */
function isAstray(context: Context, entry: RosterEntry, policy: HeldPolicy): boolean {
  for (const networks of networksBetween(context.self, entry, policy.family)) {
    if (isOn(policy, entry, policy.family, networks)) return false;
  }
  return true;
}
