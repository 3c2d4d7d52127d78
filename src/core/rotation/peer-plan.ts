/**
 * What to do about one peer: compares what should exist with what was read back, in stages that cannot lose a packet
 * (make before break). Invariants: an outbound policy selects only an SA that was read back and recorded; an outbound SA
 * with a recorded key is never added a second time (S4); nothing is deleted while a policy selects it.
 */
import { includesKey, type KeyId, type KeyIdentity } from "../key-id.js";
import type { RosterEntry } from "../node.js";
import type { Report } from "../report.js";
import {
  sameAction,
  type Direction,
  type Operation,
  type PolicyAction,
  type PolicyView,
  type SaSpec,
  type SaView,
} from "../sa.js";
import { splitSpi } from "../spi.js";
import { isCovered, type Context } from "./context.js";
import { isOfSameLives, type CheckpointNode } from "./durable.js";
import type { PeerKernel } from "./observation.js";
import { findPolicy, findSa, isRight, policyTo, saSpec, sameRemote, senderSpi, type Path } from "./path.js";

/** Stages in the order in which they must succeed. */
export const stageNames = ["block", "inbound", "outbound", "switch", "delete"] as const;
export type StageName = (typeof stageNames)[number];
export type PeerPlan = Readonly<Record<StageName, readonly Operation[]>>;
export type Draft = { readonly [name in StageName]: Operation[] };

export interface PeerInputs {
  readonly entry: RosterEntry | undefined;
  readonly kernel: PeerKernel;
  readonly report: Report | undefined;
  /** As it is on disk, not as it should be. */
  readonly recorded: CheckpointNode | undefined;
}

/** What one path is found to be, before its plan is carried out. */
export interface PathOutcome {
  readonly missing: readonly KeyIdentity[];
  readonly sending: KeyId | null;
  /** An SA that was recorded as sent with is gone: only a new incarnation may follow. */
  readonly lost: boolean;
}

/** The plan for a peer with nothing to do: one for all of them. */
const noPlan: PeerPlan = { block: [], inbound: [], outbound: [], switch: [], delete: [] };

export function planOf(draft: Draft): PeerPlan {
  return countOperations(draft) === 0 ? noPlan : draft;
}

export function emptyDraft(): Draft {
  return { block: [], inbound: [], outbound: [], switch: [], delete: [] };
}

export function countOperations(draft: Draft): number {
  return (
    draft.block.length + draft.inbound.length + draft.outbound.length + draft.switch.length + draft.delete.length
  );
}

export function planPath(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  path: Path,
  draft: Draft,
): PathOutcome {
  const missing = planInbound(context, entry, inputs, path, draft);
  const policy = findPolicy(inputs.kernel.policies, "out", path);
  const sending = selectedKey(context, entry, inputs.kernel, path, policy);
  const wanted = chooseKey(context, entry, inputs.report, sending);
  const lost = planOutbound(context, entry, inputs, path, { policy, sending, wanted }, draft);
  return { missing, sending, lost };
}

/** The SA of `keyId` on `path`, if it is there and right. */
export function hasSa(
  context: Context,
  entry: RosterEntry,
  kernel: PeerKernel,
  path: Path,
  direction: Direction,
  keyId: KeyId,
): boolean {
  const found = findSa(kernel.sas, direction, senderSpi(context, entry, direction, keyId), path);
  return found !== undefined && isRight(found, context, entry, path, keyId);
}

/** The keys that cannot be received yet: an SA without the policy that accepts what it decrypts is not enough. */
function planInbound(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  path: Path,
  draft: Draft,
): readonly KeyIdentity[] {
  const missing = context.hold.filter((key) => !hasSa(context, entry, inputs.kernel, path, "in", key.keyId));
  for (const key of missing) {
    if (!includesKey(context.installable, key)) continue;
    replaceSa(saSpec(context, entry, path, "in", key.keyId), inputs.kernel, path, draft.inbound);
  }
  const accept = findPolicy(inputs.kernel.policies, "in", path);
  if (accept?.action.kind === "accept") return missing;
  draft.inbound.push(policyTo(entry, path, "in", { kind: "accept" }));
  return context.hold;
}

function replaceSa(wanted: SaSpec, kernel: PeerKernel, path: Path, operations: Operation[]): void {
  const found = findSa(kernel.sas, wanted.direction, wanted.spi, path);
  if (found !== undefined) operations.push({ kind: "delete-sa", slot: found.slot });
  operations.push({ kind: "install-sa", sa: wanted });
}

/** The key that the outbound policy selects now, null when it blocks or selects an SA of another lifetime. */
function selectedKey(
  context: Context,
  entry: RosterEntry,
  kernel: PeerKernel,
  path: Path,
  policy: PolicyView | undefined,
): KeyId | null {
  if (policy?.action.kind !== "protect") return null;
  const { keyId } = splitSpi(policy.action.spi);
  const isOurs = policy.action.spi === senderSpi(context, entry, "out", keyId);
  return isOurs && hasSa(context, entry, kernel, path, "out", keyId) ? keyId : null;
}

/** The best covered candidate; otherwise what is in use goes on while it is held. */
function chooseKey(
  context: Context,
  entry: RosterEntry,
  report: Report | undefined,
  sending: KeyId | null,
): KeyIdentity | null {
  const covered = context.candidates.find((key) => isCovered(context, entry, report, key));
  return covered ?? context.hold.find((key) => key.keyId === sending) ?? null;
}

interface OutboundView {
  readonly policy: PolicyView | undefined;
  readonly sending: KeyId | null;
  readonly wanted: KeyIdentity | null;
}

function planOutbound(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  path: Path,
  view: OutboundView,
  draft: Draft,
): boolean {
  const { policy, sending, wanted } = view;
  const ready = wanted !== null && hasSa(context, entry, inputs.kernel, path, "out", wanted.keyId);
  const recorded = wanted !== null && isRecorded(context, entry, inputs.recorded, wanted);
  if (wanted !== null && ready && recorded) {
    const action: PolicyAction = { kind: "protect", spi: senderSpi(context, entry, "out", wanted.keyId) };
    if (policy === undefined || !sameAction(policy.action, action)) {
      draft.switch.push(policyTo(entry, path, "out", action));
    }
    return false;
  }
  const goesOn = context.hold.some((key) => key.keyId === sending);
  if (!goesOn && policy?.action.kind !== "block") {
    draft.block.push(policyTo(entry, path, "out", { kind: "block" }));
  }
  if (wanted === null || ready) return false;
  if (recorded) return true;
  if (includesKey(context.installable, wanted)) {
    replaceSa(saSpec(context, entry, path, "out", wanted.keyId), inputs.kernel, path, draft.outbound);
  }
  return false;
}

function isRecorded(
  context: Context,
  entry: RosterEntry,
  recorded: CheckpointNode | undefined,
  key: KeyIdentity,
): boolean {
  if (recorded === undefined || !isOfSameLives(context.self, entry, recorded)) return false;
  return includesKey(recorded.sentWith, key);
}

/** What no held key explains goes last, and never while a policy selects it. */
export function deleteUnwanted(
  context: Context,
  entry: RosterEntry,
  { kernel }: PeerInputs,
  routes: readonly Path[],
  draft: Draft,
): void {
  for (const sa of kernel.sas) {
    if (!isWanted(context, entry, routes, sa) && !isSelected(kernel.policies, sa) && !isReplaced(draft, sa)) {
      draft.delete.push({ kind: "delete-sa", slot: sa.slot });
    }
  }
  for (const policy of kernel.policies) {
    const known = routes.some((path) => path.family === policy.slot.family && sameRemote(path.remote, policy.slot.remote));
    if (!known) draft.delete.push({ kind: "delete-policy", policy: policy.slot });
  }
}

function isWanted(context: Context, entry: RosterEntry, routes: readonly Path[], sa: SaView): boolean {
  const { direction, spi, remote } = sa.slot;
  const key = context.hold.find(({ keyId }) => senderSpi(context, entry, direction, keyId) === spi);
  if (key === undefined) return false;
  return routes.some((path) => sameRemote(path.remote, remote) && isRight(sa, context, entry, path, key.keyId));
}

function isSelected(policies: readonly PolicyView[], sa: SaView): boolean {
  return policies.some(
    (policy) =>
      sa.slot.direction === "out" &&
      policy.action.kind === "protect" &&
      policy.action.spi === sa.slot.spi &&
      sameRemote(policy.slot.remote, sa.slot.remote),
  );
}

function isReplaced(draft: Draft, sa: SaView): boolean {
  const deletes = (operation: Operation): boolean => operation.kind === "delete-sa" && operation.slot === sa.slot;
  return draft.inbound.some(deletes) || draft.outbound.some(deletes);
}
