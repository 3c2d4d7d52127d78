/** One peer as facts: what is in the kernel for it, what its report says, and whether that leaves something to do. */
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { isEvidence, type Report } from "../report.js";
import type { RosterEntry } from "../node.js";
import { proofOn } from "../probe.js";
import { isCounted, isCovered, reaches, type Context } from "./context.js";
import type { PeerKernel } from "./observation.js";
import { hasSa } from "./path.js";
import { hasWork, viewPaths, type PathView, type PeerInputs } from "./path-view.js";
import { bitIf, fact, type PeerFacts } from "./peer-facts.js";
import { hasUnwanted, mayGo } from "./peer-plan.js";

const noKeys: readonly KeyIdentity[] = [];

/** What a look at a peer finds. */
export interface Findings {
  readonly facts: PeerFacts;
  /** Keys whose outbound SAs were read back: to be recorded before they are selected. */
  readonly sentWith: readonly KeyIdentity[];
}

export function evaluatePeer(context: Context, inputs: PeerInputs): Findings {
  const { entry, kernel } = inputs;
  if (entry === undefined) return { facts: departedBits(context, kernel), sentWith: noKeys };
  const paths = viewPaths(context, entry, inputs);
  const sending = sendingBit(context, paths);
  const facts =
    fact.live |
    sending |
    kernelBits(context, entry, kernel, paths) |
    proofBits(context, entry, inputs, paths) |
    evidenceBits(context, entry, inputs.report, sending);
  return { facts, sentWith: outboundKeys(context, entry, kernel, paths) };
}

function departedBits(context: Context, kernel: PeerKernel): number {
  const { sas, policies } = kernel;
  const mayWork = (context.mayDelete && policies.length > 0) || sas.some((sa) => mayGo(context, sa));
  return fact.blocked | bitIf(sas.length + policies.length > 0, "leftovers") | bitIf(mayWork, "work");
}

function kernelBits(context: Context, entry: RosterEntry, kernel: PeerKernel, paths: readonly PathView[]): number {
  const { current, next, hold } = context;
  const lacksCurrent = current !== null && lacks(context, paths, current);
  const holdsNext = next !== null && includesKey(hold, next);
  const lacksNext = next !== null && holdsNext && lacks(context, paths, next);
  const isDone = !paths.some((path) => hasWork(context, path)) && !hasUnwanted(context, entry, kernel);
  return (
    bitIf(lacksCurrent, "missingCurrent") |
    bitIf(next !== null && (lacksNext || !holdsNext), "missingNext") |
    bitIf(lacksCurrent || lacksNext, "incomplete") |
    bitIf(next !== null && paths.some(({ sending }) => sending === next.keyId), "usesNext") |
    bitIf(paths.some(({ outbound }) => outbound.lost), "outboundLost") |
    bitIf(paths.some(({ isPlain }) => isPlain), "plain") |
    bitIf(!isDone, "work")
  );
}

function proofBits(context: Context, entry: RosterEntry, { proofs }: PeerInputs, paths: readonly PathView[]): number {
  let bits = 0;
  for (const { family, outbound } of paths) {
    if (outbound.proves === null) continue;
    const proof = proofOn(proofs, context.self, entry, family, outbound.proves);
    bits |= fact.unproven | bitIf(proof?.outcome.kind === "failed", "unanswered");
  }
  return bits;
}

/** Can a key not be received? An SA without the policy that accepts what it decrypts is not enough. */
function lacks({ hold }: Context, paths: readonly PathView[], key: KeyIdentity): boolean {
  for (const { accepts, absent } of paths) if (includesKey(accepts ? absent : hold, key)) return true;
  return false;
}

/** One address family on the old key is enough to be on it, even if the other is blocked. */
function sendingBit({ current, next }: Context, paths: readonly PathView[]): number {
  let isBlocked = paths.length === 0;
  let isNext = true;
  for (const { sending } of paths) {
    if (sending !== null && sending === current?.keyId) return fact.onCurrent;
    if (sending === null) isBlocked = true;
    if (sending !== next?.keyId) isNext = false;
  }
  if (isBlocked) return fact.blocked;
  return isNext ? fact.onNext : fact.onOther;
}

function evidenceBits(context: Context, entry: RosterEntry, report: Report | undefined, sending: number): number {
  const { current, next } = context;
  const best = context.candidates[0];
  const always =
    bitIf(isCounted(context, entry), "counted") |
    bitIf(best !== undefined && isCovered(context, entry, report, best), "covered");
  if (report?.incarnationId !== entry.incarnationId) return always;
  const isStranger = sending === fact.blocked && sharesNoKey(context, report);
  const refusesNext = next !== null && includesKey(report.refused, next);
  return (
    always |
    bitIf(isStranger, "stranger") |
    bitIf(next !== null && (isStranger || report.sendingOldest === next.keyId), "sendsOnlyNext") |
    bitIf(refusesNext, "refusesNext") |
    bitIf(refusesNext && report.sendingNewest !== next.keyId, "refusedAndOlder") |
    bitIf(unknownRefusals(context, entry, report).length > 0, "refusesOther") |
    bitIf(unknownWord(context, entry, report) !== null, "boundToOther") |
    bitIf(current !== null && isEvidence(report, entry, current) && reaches(report, context, entry), "coveredForCurrent")
  );
}

/** It reported, knowing us, what it holds, and we have none of it: neither end can send, nor will with these keys. */
function sharesNoKey(context: Context, report: Report): boolean {
  if (report.through < context.self.revision) return false;
  const { holds, refused } = report;
  const receives = holds.filter((key) => !includesKey(refused, key));
  return receives.length > 0 && !receives.some((key) => sameKey(key, context.current) || sameKey(key, context.next));
}

/** Keys that the peer refused and that we neither have in use nor refused as well. */
export function unknownRefusals(
  context: Context,
  entry: RosterEntry,
  report: Report | undefined,
): readonly KeyIdentity[] {
  if (report === undefined || report.refused.length === 0 || report.incarnationId !== entry.incarnationId) return noKeys;
  const { current, next, refused } = context;
  return report.refused.filter((key) => !sameKey(key, current) && !sameKey(key, next) && !includesKey(refused, key));
}

/** The only key that the peer sends with, when we neither have it in use nor refused it; otherwise null. */
export function unknownWord(context: Context, entry: RosterEntry, report: Report | undefined): KeyIdentity | null {
  if (report === undefined || report.sendingOldest === null || report.incarnationId !== entry.incarnationId) return null;
  const key = report.holds.find(({ keyId }) => keyId === report.sendingOldest);
  if (key === undefined || sameKey(key, context.current) || sameKey(key, context.next)) return null;
  return includesKey(context.refused, key) ? null : key;
}

function outboundKeys(
  context: Context,
  entry: RosterEntry,
  kernel: PeerKernel,
  paths: readonly PathView[],
): readonly KeyIdentity[] {
  if (paths.length === 0) return noKeys;
  const isThere = ({ keyId }: KeyIdentity): boolean =>
    paths.every(({ family }) => hasSa(context, entry, kernel, family, "out", keyId));
  return context.hold.every(isThere) ? context.hold : context.hold.filter(isThere);
}
