/** The fleet key has leaked and must go now, with a node that does not get the new one and an agent that restarts. */
import { packetsOf } from "../model/losses.js";
import { expectFigure, expectHeld, type Outcome } from "./outcome.js";
import { barrier, emergencyDeadlineMs, pairwise, reclaiming } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];
const others = "packets lost between nodes that have key 2";
const lateMs = 600_000;
const figure = "seconds until no kernel decrypts with key 1";

function script(play: Play, hasController: boolean): void {
  play.start(nodes, hasController);
  play.act("key 1 has leaked: a file with key 2 goes out; that of d takes 10 minutes");
  play.offer([1, 2], ["a", "b", "c"]);
  play.fleet.run(1_000);
  const orderedMs = play.nowMs;
  play.act("the order to be rid of key 1");
  play.ask("rotate", 1);
  play.fleet.run(20_000);
  play.act("d is cut off from the registry, and the agent of b restarts");
  play.fleet.partition(play.node("d").name);
  play.fleet.killAgent(play.node("b").name);
  play.fleet.run(1_000);
  play.fleet.startAgent(play.node("b").name);
  play.later(lateMs, () => {
    play.act("d is back, with the new file");
    play.fleet.heal(play.node("d").name);
    play.offer([1, 2], ["d"]);
  });
  const isGone = (): boolean => nodes.every((name) => play.sasOf(name, 1) === 0);
  play.waitFor("key 1 is gone everywhere", isGone, 1_200_000);
  play.measure(figure, Math.round((play.nowMs - orderedMs) / 1_000));
  play.rest(2, 900_000);
  play.fleet.run(5_000);
  play.measure(others, packetsOf(play.fleet.traffic.lost.filter(({ from, to }) => from !== "d" && to !== "d")));
}

/** d loads key 2 after 10 minutes, and its clock runs 5 minutes from then. */
function expectBefore(outcome: Outcome): readonly string[] {
  return expectFigure(outcome, figure, 900, 960);
}

/** Here S5 beats S1: what the stragglers lose is excused as forced, and nothing else may be lost. */
function expectAfter(outcome: Outcome): readonly string[] {
  return [
    ...expectHeld(outcome),
    ...expectFigure(outcome, figure, 0, emergencyDeadlineMs / 1_000 + 1),
    ...expectFigure(outcome, others, 0, 0),
  ];
}

export const compromisedKey: Scenario = {
  name: "compromised-key",
  source: "kubeslice controller #351 and #352; cilium, reclaim counted in memory",
  summary:
    "A key that has leaked is rotated like any other: no order shortens what is left of its time, and a restart of an agent gives it the whole time again. Look at how long some kernel still decrypts with it.",
  runs: [
    {
      label: "before",
      rules: "the old key goes 5 minutes after the load, counted in memory",
      options: () => reclaiming,
      script: (play) => script(play, false),
      expect: expectBefore,
    },
    {
      label: "after, pairwise",
      rules: "the order starts a deadline of 30 s at each agent, which a restart neither shortens nor renews",
      options: () => pairwise,
      script: (play) => script(play, false),
      expect: expectAfter,
    },
    {
      label: "after, barrier",
      rules: "the same, from the first sight of the record",
      options: () => barrier,
      script: (play) => script(play, true),
      expect: expectAfter,
    },
  ],
};
