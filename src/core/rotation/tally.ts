/** Counts over all peers, kept up to date peer by peer so that a fleet-wide question costs nothing to ask. */
import { fact, type PeerFacts } from "./peer-facts.js";

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
  /** Of all live peers: kept on their key until a probe is answered; and of these, those whose last probe has failed. */
  readonly unproven: number;
  readonly unanswered: number;
  /** Pairwise: what the peer's report says. Strangers share no key with us. */
  readonly strangers: number;
  readonly sendsOnlyNext: number;
  readonly refusesNext: number;
  readonly refusesOther: number;
  readonly boundToOther: number;
  readonly refusedAndOlder: number;
  readonly coveredForCurrent: number;
  /** Peers that are sent plain packets. */
  readonly plain: number;
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
  unproven: 0,
  unanswered: 0,
  strangers: 0,
  sendsOnlyNext: 0,
  refusesNext: 0,
  refusesOther: 0,
  boundToOther: 0,
  refusedAndOlder: 0,
  coveredForCurrent: 0,
  plain: 0,
  departed: 0,
  outboundLost: 0,
};

export type Counts = { -readonly [name in keyof Tally]: Tally[name] };

/** Counts `facts` in (sign 1) or out (sign -1). */
export function count(counts: Counts, facts: PeerFacts, sign: 1 | -1): void {
  if ((facts & fact.live) === 0) {
    if ((facts & fact.leftovers) !== 0) counts.departed += sign;
    return;
  }
  counts.peers += sign;
  if ((facts & fact.missingCurrent) !== 0) counts.missingCurrent += sign;
  if ((facts & fact.missingNext) !== 0) counts.missingNext += sign;
  if ((facts & fact.blocked) !== 0) counts.blocked += sign;
  if ((facts & fact.covered) !== 0) counts.covered += sign;
  if ((facts & fact.unproven) !== 0) counts.unproven += sign;
  if ((facts & fact.unanswered) !== 0) counts.unanswered += sign;
  if ((facts & fact.outboundLost) !== 0) counts.outboundLost += sign;
  if ((facts & fact.counted) !== 0) countCounted(counts, facts, sign);
}

function countCounted(counts: Counts, facts: PeerFacts, sign: 1 | -1): void {
  counts.counted += sign;
  if ((facts & fact.onCurrent) !== 0) counts.onCurrent += sign;
  if ((facts & fact.onNext) !== 0) counts.onNext += sign;
  if ((facts & fact.onOther) !== 0) counts.onOther += sign;
  if ((facts & fact.usesNext) !== 0) counts.usingNext += sign;
  if ((facts & fact.stranger) !== 0) counts.strangers += sign;
  if ((facts & fact.sendsOnlyNext) !== 0) counts.sendsOnlyNext += sign;
  if ((facts & fact.refusesNext) !== 0) counts.refusesNext += sign;
  if ((facts & fact.refusesOther) !== 0) counts.refusesOther += sign;
  if ((facts & fact.boundToOther) !== 0) counts.boundToOther += sign;
  if ((facts & fact.refusedAndOlder) !== 0) counts.refusedAndOlder += sign;
  if ((facts & fact.coveredForCurrent) !== 0) counts.coveredForCurrent += sign;
  if ((facts & fact.plain) !== 0) counts.plain += sign;
}
