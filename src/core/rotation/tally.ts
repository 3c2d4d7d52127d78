/** Counts over all peers, kept up to date peer by peer so that a fleet-wide question costs nothing to ask. */
import type { PeerFacts } from "./peer.js";

export interface Tally {
  /** Live peers, ourselves not among them. */
  readonly peers: number;
  /** Live peers that are not excluded. The counts below are of these unless they say otherwise. */
  readonly counted: number;
  /** Of all live peers: some inbound SA of the key is not in the kernel. */
  readonly missingCurrent: number;
  readonly missingNext: number;
  readonly onCurrent: number;
  readonly onNext: number;
  readonly onOther: number;
  /** Peers towards which any address family sends with `next`. */
  readonly usingNext: number;
  /** Of all live peers: nothing can be sent to them. */
  readonly blocked: number;
  /** Of all live peers: the pair is covered for the best candidate. */
  readonly covered: number;
  /** Pairwise: what the peer's report says. Strangers share no key with us. */
  readonly strangers: number;
  readonly sendsOnlyNext: number;
  readonly refusesNext: number;
  readonly refusesOther: number;
  readonly boundToOther: number;
  readonly refusedAndOlder: number;
  readonly coveredForCurrent: number;
  /** Packets that passed the inbound SAs of `current`, excluded peers included. */
  readonly currentPackets: number;
  readonly sasIn: number;
  readonly sasOut: number;
  readonly policiesIn: number;
  readonly policiesOut: number;
  /** Departed nodes of which something is left. */
  readonly departed: number;
  /** A recorded outbound SA is gone: its counter must not start again (S4). */
  readonly outboundLost: number;
}

export const noTally: Tally = {
  peers: 0,
  counted: 0,
  missingCurrent: 0,
  missingNext: 0,
  onCurrent: 0,
  onNext: 0,
  onOther: 0,
  usingNext: 0,
  blocked: 0,
  covered: 0,
  strangers: 0,
  sendsOnlyNext: 0,
  refusesNext: 0,
  refusesOther: 0,
  boundToOther: 0,
  refusedAndOlder: 0,
  coveredForCurrent: 0,
  currentPackets: 0,
  sasIn: 0,
  sasOut: 0,
  policiesIn: 0,
  policiesOut: 0,
  departed: 0,
  outboundLost: 0,
};

type Counts = { -readonly [name in keyof Tally]: Tally[name] };

export function addToTally(tally: Tally, added: readonly PeerFacts[], removed: readonly PeerFacts[]): Tally {
  if (added.length === 0 && removed.length === 0) return tally;
  const counts: Counts = { ...tally };
  for (const facts of added) count(counts, facts, 1);
  for (const facts of removed) count(counts, facts, -1);
  return counts;
}

function count(counts: Counts, facts: PeerFacts, sign: 1 | -1): void {
  counts.sasIn += sign * facts.sasIn;
  counts.sasOut += sign * facts.sasOut;
  counts.policiesIn += sign * facts.policiesIn;
  counts.policiesOut += sign * facts.policiesOut;
  if (!facts.live) {
    if (facts.operations > 0 || facts.leftovers) counts.departed += sign;
    return;
  }
  counts.peers += sign;
  if (facts.missingCurrent) counts.missingCurrent += sign;
  if (facts.missingNext) counts.missingNext += sign;
  if (facts.sending === "blocked") counts.blocked += sign;
  if (facts.covered) counts.covered += sign;
  if (facts.outboundLost) counts.outboundLost += sign;
  counts.currentPackets += sign * facts.currentPackets;
  if (facts.counted) countCounted(counts, facts, sign);
}

function countCounted(counts: Counts, facts: PeerFacts, sign: 1 | -1): void {
  counts.counted += sign;
  if (facts.sending === "current") counts.onCurrent += sign;
  if (facts.sending === "next") counts.onNext += sign;
  if (facts.sending === "other") counts.onOther += sign;
  if (facts.usesNext) counts.usingNext += sign;
  if (facts.stranger) counts.strangers += sign;
  if (facts.sendsOnlyNext) counts.sendsOnlyNext += sign;
  if (facts.refusesNext) counts.refusesNext += sign;
  if (facts.refusesOther) counts.refusesOther += sign;
  if (facts.boundToOther) counts.boundToOther += sign;
  if (facts.refusedAndOlder) counts.refusedAndOlder += sign;
  if (facts.coveredForCurrent) counts.coveredForCurrent += sign;
}
