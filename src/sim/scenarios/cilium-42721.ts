/** Every agent sees the new key file at once, and the registry pays for it. */
import { limits } from "../../core/limits.js";
import type { JitterOptions } from "../../core/jitter.js";
import { expectFigure, expectHeld } from "./outcome.js";
import { barrier, pairwise } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario, ScenarioRun } from "./scenario.js";

const peakFigure = "registry events in the busiest second";
const totalFigure = "registry events of the rotation";
const durationFigure = "seconds from the file to the end of the old key";
/** Half of the planned window of 5 minutes: the default. */
const spreadMs = limits.rotationDurationMsDefault / 2;
const sliceMs = 100;

function script(play: Play, nodes: number, hasController: boolean): void {
  play.start(Array.from({ length: nodes }, (_, i) => `n${i + 1}`), hasController);
  const offeredMs = play.nowMs;
  play.act("every node reads the file with key 2 in the same moment");
  const slices = meter(play);
  play.offer([1, 2]);
  play.rest(2, 600_000);
  play.measure(durationFigure, Math.round((play.nowMs - offeredMs) / 1_000));
  play.fleet.run(5_000);
  play.measure(peakFigure, busiestSecond(slices));
  play.measure(totalFigure, slices.reduce((sum, events) => sum + events, 0));
}

/** Events that watchers were sent, in slices of a tenth of a second from now on. */
function meter(play: Play): readonly number[] {
  const slices: number[] = [];
  let before = play.fleet.registry.watchEvents;
  const look = (): void => {
    slices.push(play.fleet.registry.watchEvents - before);
    before = play.fleet.registry.watchEvents;
    play.later(sliceMs, look);
  };
  play.later(sliceMs, look);
  return slices;
}

function busiestSecond(slices: readonly number[]): number {
  const perSecond = 1_000 / sliceMs;
  return slices.reduce((most, _, i) => {
    const events = slices.slice(i, i + perSecond).reduce((sum, count) => sum + count, 0);
    return Math.max(most, events);
  }, 0);
}

function jittered(mode: JitterOptions["mode"]): Pick<JitterOptions, "enabled" | "mode" | "maxMs" | "minNodes"> {
  return { enabled: true, mode, maxMs: spreadMs, minNodes: 2 };
}

function runsOf(nodes: number): readonly ScenarioRun[] {
  return [
    {
      label: "before",
      rules: "every node tells every other one when its file changes, at once",
      options: () => ({ ...pairwise, packetIntervalMs: 10_000 }),
      script: (play) => script(play, nodes, false),
      expect: (outcome) => expectFigure(outcome, peakFigure, nodes * nodes, 10 * nodes * nodes),
    },
    ...(["uniform", "slotted"] as const).map((mode): ScenarioRun => ({
      label: `after, pairwise, ${mode}`,
      rules: `staging waits up to ${spreadMs / 1_000} s, ${mode === "uniform" ? "drawn" : "by a slot"}; what nobody waits for is said over half of that`,
      options: () => ({ ...pairwise, agent: { ...pairwise.agent, jitter: jittered(mode) }, packetIntervalMs: 10_000 }),
      script: (play) => script(play, nodes, false),
      expect: (outcome) => [...expectHeld(outcome), ...expectFigure(outcome, peakFigure, 0, (nodes * nodes) / 6)],
    })),
    {
      label: "after, barrier",
      rules: "nodes tell the controller alone, which tells all of them four times",
      options: () => ({
        ...barrier,
        agent: { ...barrier.agent, jitter: jittered("slotted") },
        controller: { ...barrier.controller, jitterMaxMs: spreadMs },
        packetIntervalMs: 10_000,
      }),
      script: (play) => script(play, nodes, true),
      expect: (outcome) => [...expectHeld(outcome), ...expectFigure(outcome, peakFigure, 0, 5 * nodes)],
    },
  ];
}

function at(nodes: number): Scenario {
  return {
    name: "cilium-42721",
    source: "cilium #42721, #44263",
    summary:
      "Agents saw the new key file at once, each wrote its object, and each write went to every agent: N times N events in a moment, and the API server and the control plane were saturated. Look at the busiest second.",
    runs: runsOf(nodes),
    sized: { reportedNodes: 1_000, at },
  };
}

export const cilium42721: Scenario = at(30);
