/** A node is cut off from the registry for eight minutes, in each phase of a rotation. */
import type { FleetPhase } from "../../core/fleet/record.js";
import type { AgentPhase } from "../../core/rotation/state.js";
import { expectBroken, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { barrier, pairwise, reclaiming } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario } from "./scenario.js";

const nodes = ["a", "b", "c", "d"];
/** Longer than the field waits, shorter than our deadline of ten minutes. */
const outageMs = 480_000;

function cutOff(play: Play, from: number, to: number, phase: string, isThere: () => boolean): void {
  play.act(`rotation from key ${from} to key ${to}; d is cut off for 8 minutes ${phase}`);
  play.node("d").kernel.hold();
  play.offer([from, to]);
  if (!phase.endsWith("staging")) play.node("d").kernel.release();
  play.waitFor(phase, isThere);
  play.fleet.partition(play.node("d").name);
  play.node("d").kernel.release();
  play.fleet.run(outageMs);
  play.act("d is back");
  play.fleet.heal(play.node("d").name);
  play.rest(to, 700_000);
  play.fleet.run(5_000);
}

function pairwiseScript(play: Play): void {
  play.start(nodes, false);
  const phases: readonly AgentPhase[] = ["staging", "staged", "switched", "draining"];
  phases.forEach((phase, i) => {
    const isThere = (): boolean => play.node("d").agent?.loop.inspect()?.state.phase === phase;
    cutOff(play, i + 1, i + 2, `while it is ${phase}`, isThere);
  });
}

function barrierScript(play: Play): void {
  play.start(nodes, true);
  const phases: readonly FleetPhase[] = ["staging", "staged", "draining"];
  phases.forEach((phase, i) => {
    cutOff(play, i + 1, i + 2, `while the fleet is ${phase}`, () => play.fleet.registry.fleet?.phase === phase);
  });
}

/** The others never heard that d holds key 2, and have nothing else left to send to it with. */
function expectBefore(outcome: Outcome): readonly string[] {
  return [...expectLost(outcome, "XfrmOutPolBlock", 0, 3 * 1_700), ...expectBroken(outcome, "S1")];
}

export const partitionInEachPhase: Scenario = {
  name: "partition-in-each-phase",
  source: "cilium #24811: reclaim by local time, nobody asks the peers",
  summary:
    "A node whose word is not heard is sent to with the old key, until the clocks of both ends have deleted that. Look at XfrmOutPolBlock from the fifth minute of each outage on.",
  runs: [
    {
      label: "before",
      rules: "the old key goes 5 minutes after the load",
      options: () => reclaiming,
      script: pairwiseScript,
      expect: expectBefore,
    },
    {
      label: "after, pairwise",
      rules: "a node that does not answer is waited for, until the deadline of 10 minutes",
      options: () => pairwise,
      script: pairwiseScript,
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "a silent node is excluded after 30 s; towards it the old key stays until it returns, or the deadline",
      options: () => barrier,
      script: barrierScript,
      expect: expectHeld,
    },
  ],
};
