/** A rotation of gateway certificates that is triggered while the gateways are starting. */
import type { Link, LinkName, SiteName } from "../../core/gateway/link.js";
import { makePrng } from "../../core/prng.js";
import { VirtualTime } from "../engine/virtual-time.js";
import { GatewayChecker } from "../gateway/checker.js";
import { KubesliceRotation, type FieldError } from "../gateway/field/kubeslice.js";
import { SimGatewayFleet } from "../gateway/fleet.js";
import { expectFigure, expectHeld, type Outcome } from "./outcome.js";
import type { OtherRun, Scenario } from "./scenario.js";

type Played = ReturnType<OtherRun["play"]>;

const link: Link = { name: "east-to-west" as LinkName, server: "east" as SiteName, client: "west" as SiteName, pairs: 2 };
const errorsFigure = "errors logged per rotation";
const secondsFigure = "seconds per rotation";
const rotations = 20;
const hourMs = 3_600_000;

const nothing: Outcome = { sent: 0, losses: [], unexcused: 0, figures: new Map(), violations: [], unmet: [] };

/** The mean of some rotations, as chance decides when a pod is up and with it how many polls are missed. */
function playField(seed: number): Played {
  const runs = Array.from({ length: rotations }, (_, i) => runField(seed * rotations + i));
  const kinds = [...new Set(runs.flatMap(({ errors }) => [...errors.keys()]))].sort();
  const meanOf = (count: (run: KubesliceRotation) => number): number => Math.round(runs.reduce((sum, run) => sum + count(run), 0) / rotations);
  const byKind = kinds.map((kind: FieldError): [string, number] => [`of them: ${kind}`, meanOf(({ errors }) => errors.get(kind) ?? 0)]);
  const figures = new Map([
    [errorsFigure, meanOf(({ total }) => total)],
    ...byKind,
    ["seconds until recycling is triggered", meanOf(({ triggeredAtMs }) => (triggeredAtMs ?? Infinity) / 1_000)],
    [secondsFigure, meanOf(({ completeAtMs }) => (completeAtMs ?? Infinity) / 1_000)],
  ]);
  const story = [`${rotations} rotations, each asked for while both pairs of gateways start; the mean of them:`, ...tellFigures(figures)];
  return { outcome: { ...nothing, figures }, story };
}

function runField(seed: number): KubesliceRotation {
  const time = new VirtualTime();
  const rotation = new KubesliceRotation(time, makePrng(seed));
  rotation.begin();
  while (rotation.completeAtMs === null && time.nowMs < hourMs) time.runUntil(time.nowMs + 1_000);
  return rotation;
}

/** @param startMs from the start of a process to its device, at the longest half as much again */
function playOurs(startMs: number): (seed: number) => Played {
  return (seed) => {
    const fleet = new SimGatewayFleet({ seed, links: [link], tunnels: { startMs } });
    const checker = new GatewayChecker(fleet);
    const unmet = fleet.bringUp(hourMs) ? [] : ["the link comes up"];
    checker.excuse(link.name, 2 * startMs + 10_000);
    fleet.reboot(link.server);
    fleet.reboot(link.client);
    const beganMs = fleet.time.nowMs;
    const tookMs = fleet.rotateAndRest(link, hourMs);
    if (tookMs === null) unmet.push("both pairs are rotated");
    fleet.run(60_000);
    const violations = checker.finish().map((violation) => ({ ...violation, cause: null }));
    const figures = new Map([
      [errorsFigure, fleet.errors(beganMs).length],
      [secondsFigure, Math.round((tookMs ?? Infinity) / 1_000)],
    ]);
    const { unexcused } = checker;
    return { outcome: { ...nothing, sent: fleet.traffic.sent, figures, violations, unexcused, unmet }, story: tellOurs(fleet, beganMs, figures) };
  };
}

function tellOurs(fleet: SimGatewayFleet, beganMs: number, figures: ReadonlyMap<string, number>): readonly string[] {
  const told = fleet.logs.filter(({ atMs, who, message }) => atMs >= beganMs && who === "hub" && message !== "retrying");
  const lines = told.map(({ atMs, message, fields }) => {
    const words = Object.entries(fields).filter(([name, value]) => name !== "link" && value !== "");
    return `    ${((atMs - beganMs) / 1_000).toFixed(3)} s  ${message}: ${words.map(([name, value]) => `${name} ${String(value)}`).join(", ")}`;
  });
  return ["0.000 s  both hosts reboot; their gateways start anew, and a rotation is asked for", ...lines, ...tellFigures(figures)];
}

function tellFigures(figures: ReadonlyMap<string, number>): readonly string[] {
  return [...figures].map(([name, value]) => `    ${name}: ${value}`);
}

function expectOurs(outcome: Outcome): readonly string[] {
  return [...expectHeld(outcome), ...expectFigure(outcome, errorsFigure, 0, 0), ...expectFigure(outcome, secondsFigure, 0, 179)];
}

export const kubeslice453: Scenario = {
  name: "kubeslice-453",
  source: "kubeslice worker-operator #453",
  summary:
    "A rotation is triggered while the gateways start. The field's operator polls at fixed and at doubling intervals, pushes to pods that are not up, and logs an error each time: about 129 errors and 9 minutes per rotation are reported. Ours takes what is not ready yet for a state with a reason, and goes on when it changes.",
  runs: [
    {
      label: "before",
      rules: "what is not up is an error, and is tried again later and later",
      play: playField,
      expect: (outcome) => [...expectFigure(outcome, errorsFigure, 110, 150), ...expectFigure(outcome, secondsFigure, 480, 600)],
    },
    {
      label: "after",
      rules: "each gateway is judged by what is observed now; processes start and shake hands as measured",
      play: playOurs(400),
      expect: expectOurs,
    },
    {
      label: "after, slow starts",
      rules: "the same, and every process takes 40 to 60 s to start, as in a pod",
      play: playOurs(40_000),
      expect: expectOurs,
    },
  ],
};
