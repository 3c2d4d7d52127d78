/** A node is taken for gone and comes back; its peers begin its SAs anew, and it has not forgotten the old counters. */
import { identityByName } from "./field/identity-by-name.js";
import { brokenInvariants, countLost, expectBroken, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier, pairwise } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];
const outageMs = 60_000;
/** From the return of d to the rotation that cures it, in the field a person's decision. */
const enduredMs = 300_000;

function script(play: Play, hasController: boolean, isReaped: boolean): void {
  play.start(nodes, hasController);
  play.act(`d is cut off from the registry for a minute${isReaped ? ", and its entry is deleted" : ""}`);
  play.fleet.partition(play.node("d").name);
  if (isReaped) play.later(15_000, () => void play.fleet.registry.remove(play.node("d").name));
  play.fleet.run(outageMs);
  play.act("d is back");
  play.fleet.heal(play.node("d").name);
  play.fleet.run(enduredMs);
  play.act("5 minutes later: rotation to key 2");
  play.offer([1, 2]);
  play.rest(2, 300_000);
  play.fleet.run(5_000);
}

/** Three peers send to d what it drops, from its return to the rotation. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [...expectLost(outcome, "XfrmInStateProtoError", 1, 3 * 2_900), ...expectBroken(outcome, "S1", "S4")];
}

/** What is sent to and from a node that is not on the roster is lost; what is sent once it is back must not be. */
function expectDeleted(outcome: Outcome): readonly string[] {
  return [
    ...outcome.unmet,
    ...(countLost(outcome, "XfrmInStateProtoError", 1) > 0 ? ["packets are lost to stale counters"] : []),
    ...brokenInvariants(outcome).filter((invariant) => invariant !== "S1"),
  ];
}

export const cilium39720: Scenario = {
  name: "cilium-39720",
  source: "cilium #39719, #39720 (open)",
  summary:
    "A node whose lease ended was deleted and created again; its peers made its SAs anew with the same SPI and key, and it dropped what they sent, as their counters were behind its window, until somebody rotated the key. Look at XfrmInStateProtoError after the return of d, and at SAs that were installed twice.",
  runs: [
    {
      label: "before",
      rules: "a lease that ends deletes the node; a node is known by its name",
      options: () => ({ ...pairwise, wrapAgentPorts: identityByName() }),
      script: (play) => script(play, false, true),
      expect: expectBefore,
    },
    {
      label: "after, pairwise",
      rules: "a lease that ends deletes nothing",
      options: () => pairwise,
      script: (play) => script(play, false, false),
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "the same; a silent node is excluded, and counts again when it is back",
      options: () => barrier,
      script: (play) => script(play, true, false),
      expect: expectHeld,
    },
    {
      label: "after, deleted by hand",
      rules: "whoever is deleted and comes back has another index: other SPIs, other keys, counters from 1 at both ends",
      options: () => pairwise,
      script: (play) => script(play, false, true),
      expect: expectDeleted,
    },
  ],
};
