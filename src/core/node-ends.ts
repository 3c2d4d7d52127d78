/**
 * What of a roster entry stands in its SAs: the end of their keys, and the addresses. An entry never changes, and everything
 * that is about it wants the same values: they are made once per entry, and not once per SA, plan and agent.
 */
import type { RosterEntry } from "./node.js";
import type { Endpoint, KeyEnd } from "./sa.js";

export interface NodeEnds {
  readonly key: KeyEnd;
  readonly ipv4: Endpoint | null;
  readonly ipv6: Endpoint | null;
}

/** By the entry itself: what is in here follows from it, and goes with it. */
const made = new WeakMap<RosterEntry, NodeEnds>();

export function endsOf(entry: RosterEntry): NodeEnds {
  const known = made.get(entry);
  if (known !== undefined) return known;
  const ends = makeEnds(entry);
  made.set(entry, ends);
  return ends;
}

function makeEnds({ name, index, incarnationId, addresses }: RosterEntry): NodeEnds {
  const { ipv4, ipv6, udpPort } = addresses;
  const at = (address: string | null): Endpoint | null => (address === null ? null : { address, udpPort });
  return { key: { name, index, incarnationId }, ipv4: at(ipv4), ipv6: at(ipv6) };
}
