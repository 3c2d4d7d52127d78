/**
 * Path proof: packets to a peer that are in good hands with one key, or plain at `prefer`, go over to a key only after a probe
 * went with that and was answered. A peer whose probe fails stays where it is. Not for what has nothing to stay on: a first key
 * of a peer that is blocked, a key that its receiver gave up, and a compromised one (S5 beats S1).
 */
import { slotOf } from "../jitter.js";
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { limits } from "../limits.js";
import type { AddressFamily, NodeName, RosterEntry } from "../node.js";
import type { PolicyLevel } from "../policy-level.js";
import { proofOn } from "../probe.js";
import type { Roster } from "../roster.js";
import type { Context, Directive } from "./context.js";
import type { PeerInputs } from "./path-view.js";

/** The peers that are not switched without proof. */
export type Sample = "all" | ReadonlySet<NodeName>;

export const nobody: Sample = new Set<NodeName>();

/**
 * Drawn once for each key to go over to, so that a node's probes do not grow with the fleet; who joins later is not in it. A hash makes
 * it, so that a replay draws the same, and two nodes or two rotations draw others.
 */
export function sampleFor(before: Context | null, directive: Directive, level: PolicyLevel, roster: Roster, self: NodeName): Sample {
  const key = keyToProve(directive, level);
  if (key === null || directive.emergency) return nobody;
  if (before !== null && before.sample !== nobody && sameKey(keyToProve(before, before.level), key)) return before.sample;
  if (roster.entries.size - 1 <= limits.probedPeersMax) return "all";
  const others = [...roster.entries.keys()].filter((name) => name !== self);
  const drawn = others.map((name) => ({ name, slot: slotOf(`${self} ${name}`, key.keyId) }));
  drawn.sort((one, other) => one.slot - other.slot);
  return new Set(drawn.slice(0, limits.probedPeersMax).map(({ name }) => name));
}

/** At `prefer` plain packets go over to the key that is in use. */
function keyToProve({ current, next }: Pick<Context, "current" | "next">, level: PolicyLevel): KeyIdentity | null {
  return next ?? (level === "prefer" ? current : null);
}

/** What packets go on with if they do not go over to another key; null where they would not go at all. */
export function staysOn({ level }: Context, used: KeyIdentity | null, isPlain: boolean): KeyIdentity | "plain" | null {
  return used ?? (isPlain && level === "prefer" ? "plain" : null);
}

/** Must a probe be answered before packets go with `wanted`, which can stay on `kept`? */
export function lacksProof(
  context: Context,
  entry: RosterEntry,
  { report, proofs }: Pick<PeerInputs, "report" | "proofs">,
  family: AddressFamily,
  kept: KeyIdentity | "plain" | null,
  wanted: KeyIdentity,
): boolean {
  if (kept === null || (context.sample !== "all" && !context.sample.has(entry.name))) return false;
  if (kept !== "plain" && (sameKey(kept, wanted) || !sameKey(wanted, context.next))) return false;
  const isGivenUp = kept !== "plain" && report?.incarnationId === entry.incarnationId && !includesKey(report.holds, kept);
  return !isGivenUp && proofOn(proofs, context.self, entry, family, wanted)?.outcome.kind !== "answered";
}
