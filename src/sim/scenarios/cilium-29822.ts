/** A node is deleted while another node's agent is down; then its address is given to a new node. */
import { stepAgent } from "../../core/rotation/step.js";
import { overlookDeparted } from "./field/overlook-departed.js";
import { expectBroken, expectFigure, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { pairwise, barrier } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const recycledAddress = "10.0.9.9";

function script(play: Play, hasController: boolean): void {
  play.start(["a", "b"], hasController);
  play.act("c and d join");
  play.fleet.addNode("c", keyFile(play), recycledAddress);
  play.fleet.addNode("d", keyFile(play));
  play.rest(1);
  play.fleet.run(1_000);
  play.act("the agent of a is down; c is deleted meanwhile");
  play.fleet.killAgent(play.node("a").name);
  play.fleet.run(1_000);
  play.fleet.leave(play.node("c").name);
  play.fleet.run(20_000);
  play.act("the agent of a is back");
  play.fleet.startAgent(play.node("a").name);
  play.fleet.run(60_000);
  const { sas, policies } = play.node("a").kernel.sizes();
  play.measure("SAs of a beyond those of its 2 peers", sas - 4);
  play.measure("policies of a beyond those of its 2 peers", policies - 4);
  play.act("e joins with the address that c had");
  play.fleet.addNode("e", keyFile(play), recycledAddress);
  play.rest(1, 60_000);
  play.fleet.run(10_000);
}

function keyFile(play: Play): Parameters<typeof play.fleet.addNode>[1] {
  const { keys } = play.node("a");
  return keys.kind === "valid" ? keys.keys : [];
}

/** What stood for c stays, and a takes it for what it needs towards e: the same address, the same SPI, another key. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [
    ...expectFigure(outcome, "SAs of a beyond those of its 2 peers", 2, 2),
    ...expectFigure(outcome, "policies of a beyond those of its 2 peers", 2, 2),
    ...expectLost(outcome, "XfrmInStateProtoError", 1, 90),
    ...expectBroken(outcome, "S1", "L1"),
  ];
}

function expectAfter(outcome: Outcome): readonly string[] {
  return [
    ...expectHeld(outcome),
    ...expectFigure(outcome, "SAs of a beyond those of its 2 peers", 0, 0),
    ...expectFigure(outcome, "policies of a beyond those of its 2 peers", 0, 0),
  ];
}

export const cilium29822: Scenario = {
  name: "cilium-29822",
  source: "cilium #29822, #26298, cured by #33278",
  summary:
    "An agent that was down when a node was deleted never heard of it, and the node's SAs and policies stayed in the kernel for ever; when the address was given out again, they stood in the way. Look at what a still holds after its return, and whether a and e can talk.",
  runs: [
    {
      label: "before",
      rules: "an agent deletes what it hears to be deleted, and takes an SA for right by its address and SPI",
      options: () => ({ ...pairwise, step: (name) => (name === "a" ? overlookDeparted(stepAgent) : undefined) }),
      script: (play) => script(play, false),
      expect: expectBefore,
    },
    {
      label: "after, pairwise",
      rules: "a checkpoint names the nodes that there were, and the kernel is read: what no live node explains goes",
      options: () => pairwise,
      script: (play) => script(play, false),
      expect: expectAfter,
    },
    {
      label: "after, barrier",
      rules: "the same",
      options: () => barrier,
      script: (play) => script(play, true),
      expect: expectAfter,
    },
  ],
};
