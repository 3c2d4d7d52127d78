/** Half of the fleet has the new key, the other half has not, for twenty minutes. */
import { expectBroken, expectFigure, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier, pairwise, reclaiming } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const splitMs = 1_200_000;
const informed = ["a", "b", "c"];
const uninformed = ["d", "e", "f"];

function script(play: Play, hasController: boolean): void {
  play.start([...informed, ...uninformed], hasController);
  play.act("the file with key 2 reaches a, b and c, and not d, e and f");
  play.offer([1, 2], informed);
  play.fleet.run(splitMs);
  const pairs = new Set(play.fleet.losses().map(({ from, to }) => `${from} ${to}`)).size;
  play.measure("pairs that lost packets, of 30", pairs);
  play.act("it reaches d, e and f");
  play.offer([1, 2], uninformed);
  play.rest(2, 700_000);
  play.fleet.run(5_000);
}

/** All 18 pairs between the halves, for the 15 minutes after the reclaim. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [
    ...expectLost(outcome, "XfrmInNoStates", 1, 9 * 8_900),
    ...expectLost(outcome, "XfrmOutPolBlock", 0, 9 * 8_900),
    ...expectFigure(outcome, "pairs that lost packets, of 30", 18, 18),
    ...expectBroken(outcome, "S1", "S2"),
  ];
}

export const cilium37920: Scenario = {
  name: "cilium-37920",
  source: "cilium #37920 (open): a test with half of the nodes on each key",
  summary:
    "What happens when half of the nodes hold the old key and half the new one is asked there and not answered. Look at how many of the 30 pairs still talk after the fifth minute.",
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
      rules: "the halves talk on the key that both hold, as long as it takes",
      options: () => pairwise,
      script: (play) => script(play, false),
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "all talk on the old key until all hold the new one",
      options: () => barrier,
      script: (play) => script(play, true),
      expect: expectHeld,
    },
  ],
};
