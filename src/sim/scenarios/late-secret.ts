/** The new key file reaches one node minutes after the others. */
import { expectBroken, expectFigure, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier, pairwise, reclaiming } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const lateMs = 480_000;
const nodes = ["a", "b", "c", "d"];

function script(play: Play, hasController: boolean): void {
  play.start(nodes, hasController);
  const offeredMs = play.nowMs;
  play.act("a, b and c read the file with key 2; the Secret of d is 8 minutes late");
  play.offer([1, 2], ["a", "b", "c"]);
  play.fleet.run(lateMs);
  const [first] = play.fleet.losses();
  if (first !== undefined) play.measure("first loss, seconds after the load", Math.round((first.fromMs - offeredMs) / 1_000));
  play.act("d reads the file with key 2");
  play.offer([1, 2], ["d"]);
  play.rest(2, 700_000);
  play.fleet.run(5_000);
}

/** d sends with key 1 to three nodes that deleted it, for the three minutes between the reclaim and its Secret. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [
    ...expectLost(outcome, "XfrmInNoStates", 1, 3 * 1_700),
    ...expectFigure(outcome, "first loss, seconds after the load", 299, 361),
    ...expectBroken(outcome, "S1", "S2"),
  ];
}

export const lateSecret: Scenario = {
  name: "late-secret",
  source: "cilium #24811: reclaim by local time",
  summary:
    "The old key is deleted five minutes after the load, by each node's own clock, and nobody asks the peers; a node whose Secret comes later goes on sending with it. Look at XfrmInNoStates on key 1 from the fifth minute on.",
  runs: [
    {
      label: "before",
      rules: "the old key goes 5 minutes after the load",
      options: () => reclaiming,
      script: (play) => script(play, false),
      expect: expectBefore,
    },
    {
      label: "after, pairwise",
      rules: "the old key goes when every peer reports that it sends with the new one",
      options: () => pairwise,
      script: (play) => script(play, false),
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "nobody sends with the new key before everybody holds it",
      options: () => barrier,
      script: (play) => script(play, true),
      expect: expectHeld,
    },
  ],
};
