/**
 * One peer as facts: what is in the kernel for it, what its report says, and the plan that follows. All questions about
 * the fleet are counts of these (tally.ts).
 */
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { isEvidence, type Report } from "../report.js";
import type { RosterEntry, RosterRevision } from "../node.js";
import type { SaView } from "../sa.js";
import { splitSpi } from "../spi.js";
import { isCounted, isCovered, type Context } from "./context.js";
import type { PeerKernel } from "./observation.js";
import { paths, type Path } from "./path.js";
import {
  countOperations,
  deleteUnwanted,
  emptyDraft,
  hasSa,
  planOf,
  planPath,
  type Draft,
  type PathOutcome,
  type PeerInputs,
  type PeerPlan,
} from "./peer-plan.js";

export interface PeerFacts {
  readonly live: boolean;
  readonly counted: boolean;
  readonly revision: RosterRevision;
  readonly missingCurrent: boolean;
  readonly missingNext: boolean;
  /** What the outbound policies select; the older one when two address families differ. */
  readonly sending: "current" | "next" | "other" | "blocked";
  /** Some address family sends with `next`, whatever the others do. */
  readonly usesNext: boolean;
  readonly covered: boolean;
  /** Holds keys, and neither of ours: a rotation or more ahead or behind. */
  readonly stranger: boolean;
  readonly sendsOnlyNext: boolean;
  readonly refusesNext: boolean;
  /** Waits for our word about a key that we never took up. */
  readonly refusesOther: boolean;
  /** Sends only with a key that we have not taken up, and waits for us to do the same. */
  readonly boundToOther: boolean;
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

export function evaluatePeer(context: Context, inputs: PeerInputs): PeerFacts {
  const { entry } = inputs;
  if (entry === undefined) return departedFacts(context, inputs.kernel);
  const draft = emptyDraft();
  const routes = paths(context.self, entry);
  const sends = routes.map((path) => planPath(context, entry, inputs, path, draft));
  deleteUnwanted(context, entry, inputs, routes, draft);
  return liveFacts(context, entry, inputs, { routes, sends, draft });
}

/** A key that is not held goes even while deletions are held (S5). */
function isHeld(context: Context, sa: SaView): boolean {
  return context.hold.some((key) => key.keyId === splitSpi(sa.slot.spi).keyId);
}

/** Outbound policies go first: one that stayed behind its SA would keep packets from whoever has the address next. */
function departedFacts(context: Context, kernel: PeerKernel): PeerFacts {
  const draft = emptyDraft();
  if (context.mayDelete) {
    for (const { slot } of kernel.policies) {
      const stage = slot.direction === "out" ? draft.block : draft.delete;
      stage.push({ kind: "delete-policy", policy: slot });
    }
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
    usesNext: false,
    covered: false,
    stranger: false,
    sendsOnlyNext: false,
    refusesNext: false,
    refusesOther: false,
    boundToOther: false,
    refusedAndOlder: false,
    coveredForCurrent: false,
    currentPackets: 0,
    sentWith: [],
    outboundLost: false,
    leftovers: something,
    operations: countOperations(draft),
    plan: planOf(draft),
  };
}

interface Planned {
  readonly routes: readonly Path[];
  readonly sends: readonly PathOutcome[];
  readonly draft: Draft;
}

function liveFacts(context: Context, entry: RosterEntry, inputs: PeerInputs, planned: Planned): PeerFacts {
  const { report, kernel } = inputs;
  const { routes, sends, draft } = planned;
  const { current, next } = context;
  const sending = sendingOf(context, sends);
  const stranger = sending === "blocked" && isStranger(context, entry, report);
  const best = context.candidates[0];
  const counts = kernelCounts(kernel);
  // Without a spread: this is made for every peer that changed, and a spread costs more than all that it is made of.
  return {
    sasIn: counts.sasIn,
    sasOut: counts.sasOut,
    policiesIn: counts.policiesIn,
    policiesOut: counts.policiesOut,
    live: true,
    counted: isCounted(context, entry),
    revision: entry.revision,
    missingCurrent: current !== null && isMissing(sends, current),
    missingNext: next !== null && (isMissing(sends, next) || !includesKey(context.hold, next)),
    sending,
    usesNext: next !== null && sends.some((path) => path.sending === next.keyId),
    covered: best !== undefined && isCovered(context, entry, report, best),
    stranger,
    sendsOnlyNext: next !== null && (stranger || sendsOnly(entry, report, next)),
    refusesNext: next !== null && isPresent(entry, report) && includesKey(report?.refused ?? [], next),
    refusesOther: unknownRefusals(context, entry, report).length > 0,
    boundToOther: unknownWord(context, entry, report) !== null,
    refusedAndOlder: next !== null && refusedAndOlder(entry, report, next),
    coveredForCurrent: current !== null && isEvidence(report, entry, current) && reaches(report, context),
    currentPackets: packetsOf(kernel.sas, current),
    sentWith: outboundKeys(context, entry, kernel, routes),
    outboundLost: sends.some((path) => path.lost),
    leftovers: false,
    operations: countOperations(draft),
    plan: planOf(draft),
  };
}

function isMissing(sends: readonly PathOutcome[], key: KeyIdentity): boolean {
  return sends.some(({ missing }) => includesKey(missing, key));
}

function kernelCounts(kernel: PeerKernel): Pick<PeerFacts, "sasIn" | "sasOut" | "policiesIn" | "policiesOut"> {
  let sasIn = 0;
  for (const sa of kernel.sas) if (sa.slot.direction === "in") sasIn += 1;
  let policiesIn = 0;
  for (const policy of kernel.policies) if (policy.slot.direction === "in") policiesIn += 1;
  return { sasIn, sasOut: kernel.sas.length - sasIn, policiesIn, policiesOut: kernel.policies.length - policiesIn };
}

/** One address family on the old key is enough to be on it, even if the other is blocked. */
function sendingOf(context: Context, sends: readonly PathOutcome[]): PeerFacts["sending"] {
  if (sends.some((path) => path.sending === context.current?.keyId)) return "current";
  if (sends.length === 0 || sends.some((path) => path.sending === null)) return "blocked";
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

/** The only key that the peer sends with, when we neither have it in use nor refused it; otherwise null. */
export function unknownWord(context: Context, entry: RosterEntry, report: Report | undefined): KeyIdentity | null {
  if (report === undefined || report.sendingOldest === null || !isPresent(entry, report)) return null;
  const key = report.holds.find(({ keyId }) => keyId === report.sendingOldest);
  if (key === undefined || sameKey(key, context.current) || sameKey(key, context.next)) return null;
  return includesKey(context.refused, key) ? null : key;
}

function packetsOf(sas: readonly SaView[], key: KeyIdentity | null): number {
  if (key === null) return 0;
  let packets = 0;
  for (const sa of sas) {
    if (sa.slot.direction === "in" && splitSpi(sa.slot.spi).keyId === key.keyId) packets += sa.packets;
  }
  return packets;
}

function outboundKeys(
  context: Context,
  entry: RosterEntry,
  kernel: PeerKernel,
  routes: readonly Path[],
): readonly KeyIdentity[] {
  if (routes.length === 0) return [];
  const isThere = (key: KeyIdentity): boolean =>
    routes.every((path) => hasSa(context, entry, kernel, path, "out", key.keyId));
  return context.hold.every(isThere) ? context.hold : context.hold.filter(isThere);
}
