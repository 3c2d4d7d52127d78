/**
 * Path proof: packets to a peer that are in good hands with one key, or plain at `prefer`, go over to a key only after a probe
 * went with that and was answered. A peer whose probe fails stays where it is. Not for what has nothing to stay on: a first key
 * of a peer that is blocked, a key that its receiver gave up, and a compromised one (S5 beats S1).
 * One whose probe failed is asked with every later key too, drawn or not: a broken path is not forgotten with the key it failed on.
 */
import { slotOf } from "../jitter.js";
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { limits } from "../limits.js";
import type { AddressFamily, RosterEntry } from "../node.js";
import { hasFailedOn, proofOn } from "../probe.js";
import type { Context } from "./context.js";
import type { PeerInputs } from "./path-view.js";

/** One in so many peers is not switched without proof: a power of two, so that few joins and departures change it. 0: none. */
export type SampleRate = number;

/** @returns the rate that draws at most 64 of a node's peers in the mean, all of them where there are no more */
export function sampleRate(peers: number): SampleRate {
  let rate = 1;
  while (peers > rate * limits.probedPeersMax) rate *= 2;
  return rate;
}

/** By a hash, so that a replay draws the same, and two nodes or two keys draw others. */
function isDrawn({ self, sampleRate: rate }: Context, entry: RosterEntry, { keyId }: KeyIdentity): boolean {
  return slotOf(`${self.name} ${entry.name}`, keyId) * rate < 1;
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
  if (kept === null || context.sampleRate === 0) return false;
  if (kept !== "plain" && (context.isEmergency || sameKey(kept, wanted) || !sameKey(wanted, context.next))) return false;
  const isGivenUp = kept !== "plain" && report?.incarnationId === entry.incarnationId && !includesKey(report.holds, kept);
  if (isGivenUp || proofOn(proofs, context.self, entry, family, wanted)?.outcome.kind === "answered") return false;
  return hasFailedOn(proofs, context.self, entry, family) || isDrawn(context, entry, wanted);
}
