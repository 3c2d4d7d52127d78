/** A node is so short of CPU that its staging takes half a minute, and its peers do not know. */
import { stepAgent } from "../../core/rotation/step.js";
import { advertiseFirst } from "./field/advertise-first.js";
import { expectBroken, expectFigure, expectHeld, expectLost, type Outcome } from "./outcome.js";
import { spanOf } from "../model/losses.js";
import { barrier, pairwise } from "./options.js";
import type { Play } from "./play.js";
import type { Scenario, ScenarioRun } from "./scenario.js";

/** As measured on the slowest node of about 1,000. */
const slowestStagingMs = 32_000;
/** The errors were seen in the first 90 s. */
const contentionMs = 90_000;
/** Nodes in a herd are not equally slow: the n-th tenth of the fleet needs this part of it. */
const shares = [0.01, 0.01, 0.02, 0.02, 0.05, 0.05, 0.1, 0.2, 0.5, 1] as const;
/** One SA installed and read back, with a CPU to itself. */
const operationMs = 0.15;

const windowFigure = "seconds from the first to the last loss";
const stagingFigure = "seconds that the slowest node staged";
const sasFigure = "SAs of the slowest node, both keys";

function script(play: Play, nodes: number, hasController: boolean): void {
  const names = Array.from({ length: nodes }, (_, i) => `n${i + 1}`);
  play.start(names, hasController);
  starve(play, names);
  play.act("every node reads the file with key 2; one in ten gets so little CPU that staging takes half a minute");
  play.offer([1, 2]);
  play.later(contentionMs, () => {
    play.act("the contention is over");
    for (const name of names) play.node(name).kernel.cpuShare = 1;
  });
  let mostSas = 0;
  const hasStaged = (): boolean => {
    mostSas = Math.max(mostSas, play.node(`n${nodes}`).kernel.sizes().sas);
    return play.reportsHolding(`n${nodes}`, 2) && stagingMsOf(play, nodes) !== null;
  };
  play.waitFor("the slowest node has staged", hasStaged, 120_000);
  play.waitFor("it has both SAs of both keys", () => (hasStaged(), mostSas === 4 * (nodes - 1)), 300_000);
  play.rest(2, 300_000);
  play.fleet.run(5_000);
  play.measure(stagingFigure, Math.round((stagingMsOf(play, nodes) ?? 0) / 1_000));
  play.measure(sasFigure, mostSas);
  const { fromMs, toMs } = spanOf(play.fleet.losses()) ?? { fromMs: 0, toMs: 0 };
  play.measure(windowFigure, Math.round((toMs - fromMs) / 1_000));
}

/** Staging installs one inbound SA per peer. */
function starve(play: Play, names: readonly string[]): void {
  names.forEach((name, i) => {
    const share = shares[Math.floor((i * shares.length) / names.length)] ?? 1;
    play.node(name).kernel.cpuShare = Math.min(1, ((names.length - 1) * operationMs) / (slowestStagingMs * share));
  });
}

function stagingMsOf(play: Play, nodes: number): number | null {
  return play.node(`n${nodes}`).agent?.loop.inspect()?.state.stagingMs ?? null;
}

function runsOf(nodes: number): readonly ScenarioRun[] {
  const packets = { packetIntervalMs: packetIntervalMs(nodes), operationMs: () => operationMs };
  return [
    {
      label: "before",
      rules: "a node advertises the key that its file names, then stages it",
      options: () => ({ ...pairwise, ...packets, step: () => advertiseFirst(stepAgent) }),
      script: (play) => script(play, nodes, false),
      expect: (outcome) => expectBefore(outcome, nodes),
    },
    {
      label: "after, pairwise",
      rules: "a node advertises what it has read back from its kernel",
      options: () => ({ ...pairwise, ...packets }),
      script: (play) => script(play, nodes, false),
      expect: expectHeld,
    },
    {
      label: "after, barrier",
      rules: "nobody sends with the new key before everybody holds it",
      options: () => ({ ...barrier, ...packets }),
      script: (play) => script(play, nodes, true),
      expect: expectHeld,
    },
  ];
}

/** Pairs grow with the square of the nodes. */
function packetIntervalMs(nodes: number): number {
  return 500 * Math.ceil(nodes / 100);
}

/** For half a minute, within the reported 90 s, every peer sends to the slowest tenth what it cannot decrypt. */
function expectBefore(outcome: Outcome, nodes: number): readonly string[] {
  const slowest = Math.max(1, Math.floor(nodes / shares.length));
  return [
    ...expectLost(outcome, "XfrmInNoStates", 2, (slowest * (nodes - 1) * 10_000) / packetIntervalMs(nodes)),
    ...expectFigure(outcome, stagingFigure, 28, 36),
    ...expectFigure(outcome, windowFigure, 25, 90),
    ...expectBroken(outcome, "S1"),
  ];
}

function at(nodes: number): Scenario {
  return {
    name: "cilium-44335",
    source: "cilium #44335",
    summary:
      "With about 1,000 nodes, CPU contention drew the time between advertising the new key and having its inbound SAs out to 32 s, and peers that believed the advert lost packets within the first 90 s. Look at XfrmInNoStates on key 2 while the slow nodes stage.",
    runs: runsOf(nodes),
    sized: { reportedNodes: 1_000, at },
  };
}

export const cilium44335: Scenario = at(30);
