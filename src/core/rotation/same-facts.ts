/** Are two findings about one peer the same? Then the earlier one is kept, and nothing that holds it changes. */
import { includesKey, type KeyIdentity } from "../key-id.js";
import type { PeerFacts } from "./peer.js";

/** Plans are compared as objects: one with operations is new, the one without is always the same. */
export function sameFacts(one: PeerFacts, other: PeerFacts): boolean {
  return sameCounts(one, other) && sameKernel(one, other) && sameEvidence(one, other);
}

function sameCounts(one: PeerFacts, other: PeerFacts): boolean {
  return (
    one.live === other.live &&
    one.counted === other.counted &&
    one.revision === other.revision &&
    one.currentPackets === other.currentPackets &&
    one.sasIn === other.sasIn &&
    one.sasOut === other.sasOut &&
    one.policiesIn === other.policiesIn &&
    one.policiesOut === other.policiesOut
  );
}

function sameKernel(one: PeerFacts, other: PeerFacts): boolean {
  return (
    one.plan === other.plan &&
    one.operations === other.operations &&
    one.missingCurrent === other.missingCurrent &&
    one.missingNext === other.missingNext &&
    one.sending === other.sending &&
    one.outboundLost === other.outboundLost &&
    one.leftovers === other.leftovers &&
    sameKeys(one.sentWith, other.sentWith)
  );
}

function sameEvidence(one: PeerFacts, other: PeerFacts): boolean {
  return (
    one.covered === other.covered &&
    one.stranger === other.stranger &&
    one.sendsOnlyNext === other.sendsOnlyNext &&
    one.refusesNext === other.refusesNext &&
    one.refusesOther === other.refusesOther &&
    one.boundToOther === other.boundToOther &&
    one.usesNext === other.usesNext &&
    one.refusedAndOlder === other.refusedAndOlder &&
    one.coveredForCurrent === other.coveredForCurrent
  );
}

function sameKeys(one: readonly KeyIdentity[], other: readonly KeyIdentity[]): boolean {
  return one === other || (one.length === other.length && one.every((key) => includesKey(other, key)));
}
