/**
 * Selection as in the field (cilium): towards each peer the lesser of both newest key ids, min(local, peer) on the ring,
 * believed to be held by both. True while nodes are at most one key apart (45 of 225 pairs of 15 ids).
 */
import { isNewer, type KeyIdentity, type KeyRing } from "../../../core/key-id.js";
import type { NodeName } from "../../../core/node.js";
import type { Report } from "../../../core/report.js";
import type { Observation } from "../../../core/rotation/observation.js";
import type { StepAgent } from "../../../runtime/agent-loop.js";

export function lesserKey(inner: StepAgent): StepAgent {
  return (state, observation, nowMs, options) => {
    return inner(state, withLesserKeys(observation, options.ring), nowMs, options);
  };
}

/** Everybody is looked at in each step: what is believed of a peer changes with our own newest key. */
function withLesserKeys(observation: Observation, ring: KeyRing): Observation {
  const own = newestOf(observation.publishedReport?.holds ?? [], ring);
  if (own === null) return observation;
  const reports = new Map<NodeName, Report>();
  for (const [name, report] of observation.reports) {
    const theirs = newestOf(report.holds, ring);
    if (theirs === null) continue;
    const lesser = isNewer(theirs.keyId, own.keyId, ring) ? own : theirs;
    reports.set(name, { ...report, holds: [lesser] });
  }
  return { ...observation, reports, touched: "all" };
}

function newestOf(keys: readonly KeyIdentity[], ring: KeyRing): KeyIdentity | null {
  return keys.reduce<KeyIdentity | null>(
    (newest, key) => (newest === null || isNewer(key.keyId, newest.keyId, ring) ? key : newest),
    null,
  );
}
