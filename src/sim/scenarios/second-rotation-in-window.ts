/** A second rotation begins before the first has reached everybody: nodes end up two keys apart. */
import { stepAgent } from "../../core/rotation/step.js";
import { retireByTimer } from "./field/retire-by-timer.js";
import { lesserKey } from "./field/lesser-key.js";
import { expectBroken, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { pairwise, barrier, reclaimMs } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario, ScenarioRun } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];
const apartMs = 120_000;

function script(play: Play, hasController: boolean): void {
  play.start(nodes, hasController);
  play.act("rotation to key 2: a, b and c read the file, d does not yet");
  play.offer([1, 2], ["a", "b", "c"]);
  play.fleet.run(20_000);
  play.act("rotation to key 3, 20 s later: d reads the newest file and never saw key 2; a, b and c are 2 minutes late");
  play.offer([2, 3], ["d"]);
  play.fleet.run(apartMs);
  play.act("a, b and c read the file with key 3");
  play.offer([2, 3], ["a", "b", "c"]);
  play.rest(3, 700_000);
  play.fleet.run(5_000);
}

/** a, b and c choose min(2, 3) = 2 towards d, which never had it. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [...expectLost(outcome, "XfrmInNoStates", 2, 3 * 1_100), ...expectBroken(outcome, "S1")];
}

const before: ScenarioRun = {
  label: "before",
  rules: "towards each peer the lesser of both newest key ids; the old key goes 5 minutes after the load",
  options: () => ({ ...pairwise, step: () => retireByTimer(reclaimMs, lesserKey(stepAgent)) }),
  script: (play) => script(play, false),
  expect: expectBefore,
};

export const secondRotationInWindow: Scenario = {
  name: "second-rotation-in-window",
  source: "cilium, selection by min(local, peer)",
  summary:
    "Nothing there keeps an operator from rotating twice within the window, and min(local, peer) names a key that both hold only while nodes are one key apart. Look at XfrmInNoStates on key 2, at the node that skipped it.",
  runs: [
    before,
    {
      label: "after, pairwise",
      rules: "a pair uses a key that the receiver reports to hold; a key that not all took up is refused, then the newer one staged",
      options: () => pairwise,
      script: (play) => script(play, false),
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "the record names one target; it changes only while nobody may send with it",
      options: () => barrier,
      script: (play) => script(play, true),
      expect: expectHeld,
    },
  ],
};
