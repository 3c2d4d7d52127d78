/** Encryption is turned on in a live fleet that talks plain, node by node, and off again. */
import { isSettled } from "../../core/fleet/levels.js";
import type { NodeName } from "../../core/node.js";
import type { PolicyLevel } from "../../core/policy-level.js";
import { levelAtOnce } from "./field/level-at-once.js";
import { barrier } from "./options.js";
import { expectBroken, expectHeld, expectLost, type Outcome } from "./outcome.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];
const lateMs = 60_000;

const open = { ...barrier, isOpen: true, agent: { ...barrier.agent, policyLevel: "accept" } } as const;

function move(play: Play, level: PolicyLevel, what: string): void {
  const late = "d" as NodeName;
  play.act(`${what}; the setting reaches d a minute after the others`);
  play.fleet.hold(late, "fleet");
  play.askLevel(level);
  play.later(lateMs, () => {
    play.act("the setting reaches d");
    play.fleet.release(late, "fleet");
  });
  const isThere = (): boolean => {
    const levels = play.fleet.registry.fleet?.levels;
    return levels?.level === level && isSettled(levels);
  };
  play.waitFor(`everybody is at ${level}`, isThere, 10 * lateMs);
  play.fleet.run(5_000);
}

function script(play: Play): void {
  play.start(nodes, true);
  move(play, "require", "encryption is turned on: require");
  move(play, "accept", "encryption is turned off: accept");
}

/** For a minute d sends plain packets to three peers that want encrypted ones; then it is the other way round. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [...expectLost(outcome, "XfrmInTmplMismatch", 0, 3 * 500), ...expectBroken(outcome, "S1")];
}

export const cilium25724: Scenario = {
  name: "cilium-25724",
  source: "cilium #25724",
  summary:
    "What travels between nodes changed with an upgrade, node by node, and until the last node had it, those that were done dropped what the others sent; the cure there was to upgrade twice, to take both forms first. Here the change is from plain to encrypted. Look at XfrmInTmplMismatch while d is late.",
  runs: [
    {
      label: "before",
      rules: "each node takes the new setting when it hears of it",
      options: () => ({ ...open, controllerStep: levelAtOnce }),
      script,
      expect: expectBefore,
    },
    {
      label: "after, barrier",
      rules: "one level at a time, the next when every counted node has applied the one before",
      options: () => open,
      script,
      expect: expectHeld,
    },
  ],
};
