/** Mutants of path proof. */
import type { Effect } from "../../core/rotation/effect.js";
import type { NodeName, RosterEntry } from "../../core/node.js";
import type { Observation } from "../../core/rotation/observation.js";
import { stepAgent } from "../../core/rotation/step.js";
import { families, pathBetween, senderSpi } from "../../core/rotation/path.js";
import type { PathProof } from "../../core/probe.js";
import type { StepAgent } from "../../runtime/agent-loop.js";
import { everywhere, type Mutant } from "./mutant.js";

const isReport = ({ kind }: Effect): boolean => kind === "publish-report";

/** What it says does not wait for the probe that it has under way. */
const reportsWhileProbing: StepAgent = (state, observation, nowMs, options) => {
  const step = stepAgent(state, observation, nowMs, options);
  const inFlight = new Set(observation.inFlight);
  if (!inFlight.delete("probe") || step.effects.some(isReport)) return step;
  const reports = stepAgent(state, { ...observation, inFlight }, nowMs, options).effects.filter(isReport);
  return { ...step, effects: [...step.effects, ...reports] };
};

/** Where packets go plain, every probe counts as answered. */
function provenWherePlain(observation: Observation, selfName: NodeName): Observation {
  const { entries } = observation.roster;
  const self = entries.get(selfName);
  const proofs = new Map(observation.proofs);
  for (const [name, { policies }] of observation.kernel.peers) {
    const entry = entries.get(name);
    const isPlain = policies.some(({ direction, action }) => direction === "out" && action.kind === "pass");
    if (self !== undefined && entry !== undefined && isPlain) proofs.set(name, assumedProofs(self, entry, observation));
  }
  return { ...observation, proofs };
}

function assumedProofs(self: RosterEntry, entry: RosterEntry, { keys }: Observation): readonly PathProof[] {
  const [from, to] = [self.incarnationId, entry.incarnationId];
  return families.flatMap((family) => {
    const path = pathBetween(self, entry, family);
    if (path === null) return [];
    return keys.usable.map((key): PathProof => {
      const spi = senderSpi({ self }, entry, "out", key.keyId);
      return { probe: { peer: entry.name, key, from, to, spi, ...path }, outcome: { kind: "answered", roundTripMs: 0 }, atMs: 0 };
    });
  });
}

const takesPlainForProven: StepAgent = (state, observation, nowMs, options) =>
  stepAgent(state, provenWherePlain(observation, options.name), nowMs, options);

export const pathMutants: readonly Mutant[] = [
  {
    name: "switch-without-proof",
    without: "packets go over to a new key only when a probe with it was answered",
    changes: everywhere((state, observation, nowMs, options) =>
      stepAgent(state, observation, nowMs, { ...options, provesPaths: false }),
    ),
  },
  {
    name: "plain-without-proof",
    without: "at prefer plain packets go over to a key only when a probe with it was answered",
    changes: everywhere(takesPlainForProven),
  },
  {
    name: "refuse-while-probing",
    without: "a key is refused, or said not to be sent with, only when no probe with it can be on its way any more",
    changes: everywhere(reportsWhileProbing),
  },
];
