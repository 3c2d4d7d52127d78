/** The key changes while an agent is down; when it is back it speaks before it can hear. */
import { spanOf } from "../model/losses.js";
import { stepAgent } from "../../core/rotation/step.js";
import { advertiseFirst } from "./field/advertise-first.js";
import { expectBroken, expectFigure, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier, pairwise } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];
/** Measured on a node that starts together with everything else on it (cilium #44335). */
const stagingMs = 32_000;

function script(play: Play, hasController: boolean): void {
  play.start(nodes, hasController);
  play.act("the agent of d is down");
  play.fleet.killAgent(play.node("d").name);
  play.fleet.run(5_000);
  play.act("the file of every node names key 2, and key 2 alone");
  play.offer([2]);
  play.fleet.run(10_000);
  play.act("the agent of d is back; its kernel takes 32 s for what is missing");
  play.fleet.startAgent(play.node("d").name);
  play.waitFor("d has read its kernel and knows of key 2", () => knowsKey2(play), 5_000);
  play.node("d").kernel.hold();
  play.fleet.run(stagingMs);
  play.node("d").kernel.release();
  play.act("d has staged");
  play.rest(2, 120_000);
  play.fleet.run(5_000);
  const { fromMs, toMs } = spanOf(play.fleet.losses()) ?? { fromMs: 0, toMs: 0 };
  play.measure("seconds of loss", Math.round((toMs - fromMs) / 1_000));
}

function knowsKey2(play: Play): boolean {
  const durable = play.node("d").agent?.loop.inspect()?.state.durable;
  return durable?.next?.keyId === 2 || durable?.fleet?.record.target?.keyId === 2;
}

/** a, b and c send to d with key 2 from its first word to the end of its staging. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [
    ...expectLost(outcome, "XfrmInNoStates", 2, 3 * 300),
    ...expectFigure(outcome, "seconds of loss", 30, 33),
    ...expectBroken(outcome, "S1"),
  ];
}

export const cilium44701: Scenario = {
  name: "cilium-44701",
  source: "cilium #44701",
  summary:
    "An agent that starts after the key has changed advertises the new key at once, and its inbound SAs come later, so all peers send to it what it cannot decrypt. Look at XfrmInNoStates on key 2 between the start of d and the end of its staging.",
  runs: [
    {
      label: "before",
      rules: "a node advertises the key that its file names, then stages it",
      options: () => ({ ...pairwise, step: () => advertiseFirst(stepAgent) }),
      script: (play) => script(play, false),
      expect: expectBefore,
    },
    {
      label: "after, pairwise",
      rules: "a node advertises what it has read back from its kernel",
      options: () => pairwise,
      script: (play) => script(play, false),
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "the same, and the record waits for d",
      options: () => barrier,
      script: (play) => script(play, true),
      expect: expectHeld,
    },
  ],
};
