/** The controller dies in each phase of a rotation, and another one takes over. */
import type { FleetPhase } from "../../core/fleet/record.js";
import { forgetRotation } from "./field/forget-rotation.js";
import { expectBroken, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];

/** One rotation; in the named phase, which lasts as d's kernel is slow, the leader dies. */
function rotate(play: Play, from: number, to: number, phase: FleetPhase): void {
  play.act(`rotation from key ${from} to key ${to}; the leader dies while the fleet is ${phase}`);
  play.offer([from, to]);
  if (phase === "aborting") {
    play.waitForPhase("staging");
    play.node("d").kernel.hold();
    play.ask("abort", to);
  }
  play.waitForPhase(phase);
  play.node("d").kernel.hold();
  play.fleet.killController(play.fleet.controllers.length - 1);
  play.fleet.addController();
  play.fleet.run(20_000);
  play.node("d").kernel.release();
  const end = phase === "aborting" ? from : to;
  play.rest(end, 120_000);
  play.waitForPhase("steady");
  if (phase === "aborting") play.offer([from]);
  play.fleet.run(5_000);
}

function script(play: Play): void {
  play.start(nodes, true);
  rotate(play, 1, 2, "staging");
  rotate(play, 2, 3, "staged");
  rotate(play, 3, 4, "draining");
  rotate(play, 4, 5, "aborting");
  rotate(play, 4, 6, "staging");
}

/** Whoever has not yet staged when the record calls the rotation done has neither key in common with the others. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [...expectLost(outcome, "XfrmInNoStates", 1, 100), ...expectBroken(outcome, "S1", "S2")];
}

export const controllerDiesInEachPhase: Scenario = {
  name: "controller-dies-in-each-phase",
  source: "kubeslice controller (a flag in memory, lost at a restart); cilium before #44701 (a start adopts the newest key)",
  summary:
    "A program that keeps in memory where a rotation stands takes the newest key for the one in use when it starts again. Look at the nodes that had not staged it when the second controller comes up.",
  runs: [
    {
      label: "before",
      rules: "a controller that did not start the rotation itself takes it for done",
      options: () => ({ ...barrier, controllerStep: forgetRotation() }),
      script,
      expect: expectBefore,
    },
    {
      label: "after",
      rules: "all that matters is in the fleet record, which changes by compare-and-set",
      options: () => barrier,
      script,
      expect: expectHeld,
    },
  ],
};
