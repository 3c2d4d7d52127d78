/**
 * What is known about one peer, small enough to be kept for each of thousands: yes and no as bits of one number. All
 * questions about the fleet are counts of these (tally.ts).
 */

/** `counted` and what the report says are of live peers alone. */
export const fact = {
  live: 1,
  /** Not excluded. */
  counted: 1 << 1,
  missingCurrent: 1 << 2,
  missingNext: 1 << 3,
  /** What the outbound policies select; the older one when two address families differ. One of these four is set. */
  onCurrent: 1 << 4,
  onNext: 1 << 5,
  onOther: 1 << 6,
  blocked: 1 << 7,
  /** Some address family sends with `next`, whatever the others do. */
  usesNext: 1 << 8,
  covered: 1 << 9,
  /** Holds keys, and neither of ours: a rotation or more ahead or behind. */
  stranger: 1 << 10,
  sendsOnlyNext: 1 << 11,
  refusesNext: 1 << 12,
  /** Waits for our word about a key that we never took up. */
  refusesOther: 1 << 13,
  /** Sends only with a key that we have not taken up, and waits for us to do the same. */
  boundToOther: 1 << 14,
  refusedAndOlder: 1 << 15,
  coveredForCurrent: 1 << 16,
  outboundLost: 1 << 17,
  /** Departed, and something is left that may not be deleted yet. */
  leftovers: 1 << 18,
  /** Operations are to run. */
  work: 1 << 19,
  /** An inbound SA of a held key is missing. */
  incomplete: 1 << 20,
  /** Some address family's packets go plain. */
  plain: 1 << 21,
  /** Would be switched, but for a proof of its path. */
  unproven: 1 << 22,
  /** Unproven, and its last probe has failed. */
  unanswered: 1 << 23,
} as const;

export type FactName = keyof typeof fact;

/** Bits of `fact`: V8 keeps a number below 2^31 in its cell of the map, and no object for it. */
export type PeerFacts = number;

export function is(facts: PeerFacts, name: FactName): boolean {
  return (facts & fact[name]) !== 0;
}

/** The bit of `name` where `holds`. */
export function bitIf(holds: boolean, name: FactName): PeerFacts {
  return holds ? fact[name] : 0;
}
