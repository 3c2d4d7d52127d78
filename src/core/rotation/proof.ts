/**
 * Path proof: packets to a peer that are in good hands with one key go over to the next only after a probe went with that
 * and was answered. A peer whose probe fails stays where it is. Not for what has nothing to stay on: a first key, a key that
 * its receiver gave up, and a compromised one (S5 beats S1).
 */
import { slotOf } from "../jitter.js";
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { limits } from "../limits.js";
import type { AddressFamily, NodeName, RosterEntry } from "../node.js";
import { proofOn } from "../probe.js";
import type { Roster } from "../roster.js";
import type { Context, Directive } from "./context.js";
import type { PeerInputs } from "./path-view.js";

/** The peers that are not switched without proof. */
export type Sample = "all" | ReadonlySet<NodeName>;

export const nobody: Sample = new Set<NodeName>();

/**
 * Drawn once for each key, so that a node's probes do not grow with the fleet; who joins later is not in it. A hash makes
 * it, so that a replay draws the same, and two nodes or two rotations draw others.
 */
export function sampleFor(before: Context | null, directive: Directive, roster: Roster, self: NodeName): Sample {
  const { next, emergency } = directive;
  if (next === null || emergency) return nobody;
  if (before !== null && before.sample !== nobody && sameKey(before.next, next)) return before.sample;
  if (roster.entries.size - 1 <= limits.probedPeersMax) return "all";
  const others = [...roster.entries.keys()].filter((name) => name !== self);
  const drawn = others.map((name) => ({ name, slot: slotOf(`${self} ${name}`, next.keyId) }));
  drawn.sort((one, other) => one.slot - other.slot);
  return new Set(drawn.slice(0, limits.probedPeersMax).map(({ name }) => name));
}

/** Must a probe be answered before packets that go with `used` go with `wanted`? */
export function lacksProof(
  context: Context,
  entry: RosterEntry,
  { report, proofs }: Pick<PeerInputs, "report" | "proofs">,
  family: AddressFamily,
  used: KeyIdentity | null,
  wanted: KeyIdentity,
): boolean {
  if (used === null || sameKey(used, wanted) || !sameKey(wanted, context.next)) return false;
  if (context.sample !== "all" && !context.sample.has(entry.name)) return false;
  const isGivenUp = report?.incarnationId === entry.incarnationId && !includesKey(report.holds, used);
  return !isGivenUp && proofOn(proofs, context.self, entry, family, wanted)?.outcome.kind !== "answered";
}
