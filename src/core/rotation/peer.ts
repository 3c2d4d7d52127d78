/**
 * One peer: compares what should exist with what was read back, and says what to do, in stages that cannot lose a
 * packet (make before break). Invariants: an outbound policy selects only an SA that was read back and recorded; an
 * outbound SA with a recorded key is never added a second time (S4); nothing is deleted while a policy selects it.
 */
import { includesKey, sameKey, type KeyId, type KeyIdentity } from "../key-id.js";
import { isEvidence, type Report } from "../report.js";
import type { RosterEntry, RosterRevision } from "../node.js";
import {
  sameAction,
  type Operation,
  type PolicyAction,
  type PolicyView,
  type SaSpec,
  type SaView,
} from "../sa.js";
import { splitSpi } from "../spi.js";
import { isCounted, isCovered, type Context } from "./context.js";
import { isOfSameLives, type CheckpointNode } from "./durable.js";
import type { PeerKernel } from "./observation.js";
import {
  findPolicy,
  findSa,
  isRight,
  paths,
  policyTo,
  saSpec,
  sameRemote,
  type Path,
} from "./path.js";

/** Stages in the order in which they must succeed. */
export const stageNames = ["block", "inbound", "outbound", "switch", "delete"] as const;
export type StageName = (typeof stageNames)[number];
export type PeerPlan = Readonly<Record<StageName, readonly Operation[]>>;

export interface PeerFacts {
  readonly live: boolean;
  readonly counted: boolean;
  readonly revision: RosterRevision;
  readonly missingCurrent: boolean;
  readonly missingNext: boolean;
  /** What the outbound policies select; the older one when two address families differ. */
  readonly sending: "current" | "next" | "other" | "blocked";
  readonly covered: boolean;
  /** Holds keys, and neither of ours: a rotation or more ahead or behind. */
  readonly stranger: boolean;
  readonly sendsOnlyNext: boolean;
  readonly refusesNext: boolean;
  /** Waits for our word about a key that we never took up. */
  readonly refusesOther: boolean;
  readonly refusedAndOlder: boolean;
  readonly coveredForCurrent: boolean;
  readonly currentPackets: number;
  readonly sasIn: number;
  readonly sasOut: number;
  readonly policiesIn: number;
  readonly policiesOut: number;
  /** Keys whose outbound SAs were read back: to be recorded before they are selected. */
  readonly sentWith: readonly KeyIdentity[];
  readonly outboundLost: boolean;
  /** Departed, and something is left that may not be deleted yet. */
  readonly leftovers: boolean;
  readonly operations: number;
  readonly plan: PeerPlan;
}

export interface PeerInputs {
  readonly entry: RosterEntry | undefined;
  readonly kernel: PeerKernel;
  readonly report: Report | undefined;
  /** As it is on disk, not as it should be. */
  readonly recorded: CheckpointNode | undefined;
}

type Draft = { readonly [name in StageName]: Operation[] };

export function evaluatePeer(context: Context, inputs: PeerInputs): PeerFacts {
  if (inputs.entry === undefined) return departedFacts(context, inputs.kernel);
  const draft: Draft = { block: [], inbound: [], outbound: [], switch: [], delete: [] };
  const routes = paths(context.self, inputs.entry);
  const sends = routes.map((path) => planPath(context, inputs.entry as RosterEntry, inputs, path, draft));
  deleteUnwanted(context, inputs, routes, draft);
  return liveFacts(context, inputs.entry, inputs, sends, draft);
}

interface PathOutcome {
  readonly missing: readonly KeyIdentity[];
  readonly sending: KeyId | null;
  readonly lost: boolean;
}

function planPath(context: Context, entry: RosterEntry, inputs: PeerInputs, path: Path, draft: Draft): PathOutcome {
  const missing = planInbound(context, entry, inputs, path, draft);
  const policy = findPolicy(inputs.kernel.policies, "out", path);
  const sending = selectedKey(context, entry, inputs.kernel, path, policy);
  const wanted = chooseKey(context, entry, inputs.report, sending);
  const lost = planOutbound(context, entry, inputs, path, { policy, sending, wanted }, draft);
  return { missing, sending, lost };
}

function planInbound(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  path: Path,
  draft: Draft,
): readonly KeyIdentity[] {
  const missing = context.hold.filter((key) => {
    const wanted = saSpec(context, entry, path, "in", key.keyId);
    const found = findSa(inputs.kernel.sas, wanted);
    if (found !== undefined && isRight(found, wanted)) return false;
    if (includesKey(context.installable, key)) replaceSa(wanted, found, draft.inbound);
    return true;
  });
  const accept = findPolicy(inputs.kernel.policies, "in", path);
  if (accept?.action.kind !== "accept") {
    draft.inbound.push(policyTo(entry, path, "in", { kind: "accept" }));
  }
  return missing;
}

function replaceSa(wanted: SaSpec, found: SaView | undefined, operations: Operation[]): void {
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
  const keyId = splitSpi(policy.action.spi).keyId;
  const wanted = saSpec(context, entry, path, "out", keyId);
  const found = findSa(kernel.sas, wanted);
  return found !== undefined && isRight(found, wanted) && policy.action.spi === wanted.spi ? keyId : null;
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

/** True when an SA that was recorded as sent with is gone: only a new incarnation may follow. */
function planOutbound(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  path: Path,
  view: OutboundView,
  draft: Draft,
): boolean {
  const { policy, sending, wanted } = view;
  const ready = wanted !== null && hasOutbound(context, entry, inputs.kernel, path, wanted.keyId);
  const recorded = wanted !== null && isRecorded(context, entry, inputs.recorded, wanted);
  if (wanted !== null && ready && recorded) {
    const action: PolicyAction = { kind: "protect", spi: saSpec(context, entry, path, "out", wanted.keyId).spi };
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
    const spec = saSpec(context, entry, path, "out", wanted.keyId);
    replaceSa(spec, findSa(inputs.kernel.sas, spec), draft.outbound);
  }
  return false;
}

function hasOutbound(context: Context, entry: RosterEntry, kernel: PeerKernel, path: Path, keyId: KeyId): boolean {
  const wanted = saSpec(context, entry, path, "out", keyId);
  const found = findSa(kernel.sas, wanted);
  return found !== undefined && isRight(found, wanted);
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
function deleteUnwanted(context: Context, inputs: PeerInputs, routes: readonly Path[], draft: Draft): void {
  const entry = inputs.entry as RosterEntry;
  for (const sa of inputs.kernel.sas) {
    if (!isWanted(context, entry, routes, sa) && !isSelected(inputs.kernel.policies, sa) && !isReplaced(draft, sa)) {
      draft.delete.push({ kind: "delete-sa", slot: sa.slot });
    }
  }
  for (const policy of inputs.kernel.policies) {
    const known = routes.some((path) => path.family === policy.slot.family && sameRemote(path.remote, policy.slot.remote));
    if (!known) draft.delete.push({ kind: "delete-policy", policy: policy.slot });
  }
}

function isWanted(context: Context, entry: RosterEntry, routes: readonly Path[], sa: SaView): boolean {
  return routes.some((path) =>
    context.hold.some((key) => {
      const wanted = saSpec(context, entry, path, sa.slot.direction, key.keyId);
      return wanted.spi === sa.slot.spi && sameRemote(path.remote, sa.slot.remote) && isRight(sa, wanted);
    }),
  );
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

/** A key that is not held goes even while deletions are held (S5). */
function isHeld(context: Context, sa: SaView): boolean {
  return context.hold.some((key) => key.keyId === splitSpi(sa.slot.spi).keyId);
}

function departedFacts(context: Context, kernel: PeerKernel): PeerFacts {
  const draft: Draft = { block: [], inbound: [], outbound: [], switch: [], delete: [] };
  if (context.mayDelete) {
    for (const policy of kernel.policies) draft.delete.push({ kind: "delete-policy", policy: policy.slot });
  }
  for (const sa of kernel.sas) {
    if (context.mayDelete || !isHeld(context, sa)) draft.delete.push({ kind: "delete-sa", slot: sa.slot });
  }
  const something = kernel.sas.length + kernel.policies.length > 0;
  return {
    ...kernelCounts(kernel),
    live: false,
    counted: false,
    revision: 0 as RosterRevision,
    missingCurrent: false,
    missingNext: false,
    sending: "blocked",
    covered: false,
    stranger: false,
    sendsOnlyNext: false,
    refusesNext: false,
    refusesOther: false,
    refusedAndOlder: false,
    coveredForCurrent: false,
    currentPackets: 0,
    sentWith: [],
    outboundLost: false,
    leftovers: something,
    operations: draft.delete.length,
    plan: draft,
  };
}

function liveFacts(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  sends: readonly PathOutcome[],
  draft: Draft,
): PeerFacts {
  const { report } = inputs;
  const { current, next } = context;
  const sending = sendingOf(context, sends);
  const stranger = sending === "blocked" && isStranger(context, entry, report);
  const best = context.candidates[0];
  const isMissing = (key: KeyIdentity | null): boolean =>
    sends.some((path) => path.missing.some((missing) => sameKey(missing, key)));
  const counts = kernelCounts(inputs.kernel);
  // Without a spread: this is made for every peer that changed, and a spread costs more than all that it is made of.
  return {
    sasIn: counts.sasIn,
    sasOut: counts.sasOut,
    policiesIn: counts.policiesIn,
    policiesOut: counts.policiesOut,
    live: true,
    counted: isCounted(context, entry),
    revision: entry.revision,
    missingCurrent: isMissing(current),
    missingNext: next !== null && (isMissing(next) || !includesKey(context.hold, next)),
    sending,
    covered: best !== undefined && isCovered(context, entry, report, best),
    stranger,
    sendsOnlyNext: next !== null && (stranger || sendsOnly(entry, report, next)),
    refusesNext: next !== null && isPresent(entry, report) && includesKey(report?.refused ?? [], next),
    refusesOther: unknownRefusals(context, entry, report).length > 0,
    refusedAndOlder: next !== null && refusedAndOlder(entry, report, next),
    coveredForCurrent: current !== null && isEvidence(report, entry, current) && reaches(report, context),
    currentPackets: packetsOf(inputs.kernel.sas, current),
    sentWith: outboundKeys(context, entry, inputs.kernel),
    outboundLost: sends.some((path) => path.lost),
    leftovers: false,
    operations: Object.values(draft).reduce((sum, operations) => sum + operations.length, 0),
    plan: draft,
  };
}

function kernelCounts(kernel: PeerKernel): Pick<PeerFacts, "sasIn" | "sasOut" | "policiesIn" | "policiesOut"> {
  const sasIn = kernel.sas.filter((sa) => sa.slot.direction === "in").length;
  const policiesIn = kernel.policies.filter((policy) => policy.slot.direction === "in").length;
  return { sasIn, sasOut: kernel.sas.length - sasIn, policiesIn, policiesOut: kernel.policies.length - policiesIn };
}

function sendingOf(context: Context, sends: readonly PathOutcome[]): PeerFacts["sending"] {
  if (sends.length === 0 || sends.some((path) => path.sending === null)) return "blocked";
  if (sends.some((path) => path.sending === context.current?.keyId)) return "current";
  return sends.every((path) => path.sending === context.next?.keyId) ? "next" : "other";
}

function isPresent(entry: RosterEntry, report: Report | undefined): boolean {
  return report?.incarnationId === entry.incarnationId;
}

function reaches(report: Report | undefined, context: Context): boolean {
  return report !== undefined && report.through >= context.self.revision;
}

/** It reported, knowing us, what it holds, and we have none of it: neither end can send, nor will with these keys. */
function isStranger(context: Context, entry: RosterEntry, report: Report | undefined): boolean {
  if (report === undefined || !isPresent(entry, report) || !reaches(report, context)) return false;
  const { holds, refused } = report;
  const receives = holds.filter((key) => !includesKey(refused, key));
  return receives.length > 0 && !receives.some((key) => sameKey(key, context.current) || sameKey(key, context.next));
}

/**
 * Nothing older than `next`; a peer that has begun the rotation after this one may send with a newer key besides. A
 * reporter says null only while it has no peers; we are its peer, so null is no word that it sends with `next`.
 */
function sendsOnly(entry: RosterEntry, report: Report | undefined, next: KeyIdentity): boolean {
  return isPresent(entry, report) && report?.sendingOldest === next.keyId;
}

function refusedAndOlder(entry: RosterEntry, report: Report | undefined, next: KeyIdentity): boolean {
  return isPresent(entry, report) && includesKey(report?.refused ?? [], next) && report?.sendingNewest !== next.keyId;
}

/** Keys that the peer refused and that we neither have in use nor refused as well. */
export function unknownRefusals(
  context: Context,
  entry: RosterEntry,
  report: Report | undefined,
): readonly KeyIdentity[] {
  if (report === undefined || report.refused.length === 0 || !isPresent(entry, report)) return [];
  const known = [context.current, context.next, ...context.refused].filter((key) => key !== null);
  return report.refused.filter((key) => !includesKey(known, key));
}

function packetsOf(sas: readonly SaView[], key: KeyIdentity | null): number {
  return sas.reduce((sum, sa) => (isInboundOf(sa, key) ? sum + sa.packets : sum), 0);
}

function isInboundOf(sa: SaView, key: KeyIdentity | null): boolean {
  return sa.slot.direction === "in" && splitSpi(sa.slot.spi).keyId === key?.keyId;
}

function outboundKeys(context: Context, entry: RosterEntry, kernel: PeerKernel): readonly KeyIdentity[] {
  const routes = paths(context.self, entry);
  if (routes.length === 0) return [];
  return context.hold.filter((key) => routes.every((path) => hasOutbound(context, entry, kernel, path, key.keyId)));
}
