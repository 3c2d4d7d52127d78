/** The leader changes in the middle of a rotation, and the new one rotates again. */
import { rotateAgain } from "./field/forget-rotation.js";
import { expectBroken, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];

function script(play: Play): void {
  play.start(nodes, true);
  play.act("rotation to key 2; c and d send with it, then the kernel of d gets no CPU, and a, held up, sends with key 1 still");
  play.offer([1, 2]);
  play.waitForPhase("staged");
  play.fleet.hold(play.node("a").name, "fleet");
  play.waitFor("d sends with key 2", () => reportedSending(play, "d") === 2);
  play.node("d").kernel.hold();
  play.act("the leader dies; the next one, elected when the lease ends, hands out key 3");
  play.fleet.killController(0);
  play.fleet.addController();
  play.offer([2, 3]);
  play.fleet.run(20_000);
  play.act("a and d are quick again");
  play.fleet.release(play.node("a").name, "fleet");
  play.node("d").kernel.release();
  play.rest(3, 120_000);
  play.fleet.run(5_000);
  play.measure("rotations begun", play.fleet.registry.fleet?.rotation ?? 0);
}

function reportedSending(play: Play, name: string): number | null {
  return play.fleet.registry.report(play.node(name).name)?.sendingOldest ?? null;
}

/** Those who switched to key 2 are told of keys 1 and 3: two keys changed at once. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [...expectLost(outcome, "XfrmInNoStates", 2, 100), ...expectBroken(outcome, "S1", "S2")];
}

export const swarm1954: Scenario = {
  name: "swarm-1954",
  source: "swarmkit #1954, moby #25608",
  summary:
    "A change of leader rotated the keys again, and workers, made for one changed key at a time, could not decrypt what was sent with the key between. Look at XfrmInNoStates on key 2 when the second leader comes up.",
  runs: [
    {
      label: "before",
      rules: "a controller turns to the newest key that it sees, wherever the rotation stands",
      options: () => ({ ...barrier, controllerStep: rotateAgain }),
      script,
      expect: expectBefore,
    },
    {
      label: "after",
      rules: "the next leader goes on where the record stands; key 3 waits for the end of the rotation to key 2",
      options: () => barrier,
      script,
      expect: expectHeld,
    },
  ],
};
