/**
 * Kill -9 at seeded moments of rotations under traffic: one kill for each rotation, in a given
 * phase of a node, of its agent, its dataplane or the controller. Then the fleet must be whole
 * again, and what was lost is sorted.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { makePrng, type Prng } from "../../src/core/prng.js";
import type { AgentPhase } from "../../src/core/rotation/state.js";
import { startLab, type Lab } from "../../src/lab/lab.js";
import { peerDown } from "../../src/lab/ledger/losses.js";
import { labDefaults, type LabOptions } from "../../src/lab/options.js";
import type { RotationWatch } from "../../src/lab/rotation.js";
import { quietHost } from "./lab.js";

export type KillTarget = "agent" | "controller" | "dataplane";
export const killTargets: readonly KillTarget[] = ["agent", "controller", "dataplane"];

export interface KillPoint {
  readonly phase: AgentPhase;
  readonly target: KillTarget;
  /** Whose phase triggers the kill, and who is killed unless it is the controller. */
  readonly node: number;
  /** From the moment at which the node enters the phase. */
  readonly afterMs: number;
}

export interface KillOutcome {
  readonly point: KillPoint;
  readonly keyId: number;
  readonly rotationMs: number | null;
  /** From the end of the rotation until every pair delivers on the new key alone. */
  readonly wholeAfterMs: number | null;
  /** Lost and not excused. */
  readonly lost: number;
  readonly reasons: readonly string[];
  /** Excused: to the node whose dataplane was killed. */
  readonly peerDown: number;
  /** Excused although they were for another node: must be 0. */
  readonly peerDownElsewhere: number;
}

const convergeMsMax = 45_000;
const killAfterMsMax = 120;

/** Each phase with each target, `times` times, in a seeded order. */
export function planKillPoints(
  seed: number,
  nodes: number,
  phases: readonly AgentPhase[],
  times: number,
): readonly KillPoint[] {
  const prng = makePrng(seed);
  const points = phases.flatMap((phase) =>
    killTargets.flatMap((target) =>
      Array.from({ length: times }, (): KillPoint => {
        return { phase, target, node: prng.below(nodes), afterMs: prng.below(killAfterMsMax) };
      }),
    ),
  );
  return shuffled(points, prng);
}

function shuffled<T>(items: readonly T[], prng: Prng): readonly T[] {
  const order = items.map((item) => ({ item, rank: prng.next() }));
  return order.sort((one, other) => one.rank - other.rank).map(({ item }) => item);
}

export interface KillRun {
  readonly outcomes: readonly KillOutcome[];
  /** Why the whole run proves nothing, empty when it does. */
  readonly problems: readonly string[];
}

export async function runKillPoints(
  overrides: Partial<LabOptions>,
  points: readonly KillPoint[],
): Promise<KillRun> {
  const lab = await startLab({ ...labDefaults, ...overrides }, quietHost);
  const outcomes: KillOutcome[] = [];
  try {
    for (const point of points) outcomes.push(await runPoint(lab, point));
    const { validity, ok, packets } = await lab.finish();
    const losses = ok ? [] : [`lost over the whole run: ${JSON.stringify(packets.lostByReason)}`];
    return { outcomes, problems: [...validity.problems, ...losses] };
  } finally {
    await lab.abandon();
  }
}

/**
 * A node that is the last to do something passes through a phase without stopping in it: then the
 * rotation goes by undisturbed, and the next one tries the next node.
 */
async function runPoint(lab: Lab, planned: KillPoint): Promise<KillOutcome> {
  for (let attempt = 0; attempt < lab.options.nodes; attempt += 1) {
    const point = { ...planned, node: (planned.node + attempt) % lab.options.nodes };
    const killed = armKill(lab, point);
    const { watch, stuck } = await lab.rotate();
    assert.ok(stuck === null, `${describePoint(point)}: ${stuck}`);
    if (await killed()) return sortLosses(lab, point, watch);
  }
  assert.fail(`${describePoint(planned)}: no node ever entered the phase`);
}

async function sortLosses(lab: Lab, point: KillPoint, watch: RotationWatch): Promise<KillOutcome> {
  const wholeAfterMs = await lab.converge(convergeMsMax);
  // What was sent last is judged when it can no longer arrive.
  await lab.rest(600);
  const losses = lab.losses().filter(({ sentMs }) => sentMs >= watch.startedMs);
  const excused = losses.filter(({ reason }) => reason === peerDown);
  const others = losses.filter(({ reason }) => reason !== peerDown);
  return {
    point,
    keyId: watch.keyId,
    rotationMs: watch.durationMs,
    wholeAfterMs,
    lost: others.length,
    reasons: others.map(
      ({ reason, stream, sentMs, sequence }) =>
        `${reason}: node-${stream.sender + 1} to node-${stream.receiver + 1} number ${sequence} ` +
        `at +${Math.round(sentMs - watch.startedMs)} ms`,
    ),
    peerDown: excused.length,
    peerDownElsewhere: excused.filter(({ stream }) => stream.receiver !== point.node).length,
  };
}

/** Returns a function that tells, after the rotation, whether the kill happened. */
function armKill(lab: Lab, point: KillPoint): () => Promise<boolean> {
  const { phase, target, node, afterMs } = point;
  let kill: Promise<void> | null = null;
  const unwatch = lab.view.watch((event) => {
    const isMoment = event.kind === "agent-phase" && event.node === node && event.phase === phase;
    if (!isMoment || event.keyId === null || kill !== null) return;
    kill = sleep(afterMs).then(() => strike(lab, target, node));
  });
  return async () => {
    unwatch();
    if (kill === null) return false;
    await kill;
    return true;
  };
}

async function strike(lab: Lab, target: KillTarget, node: number): Promise<void> {
  if (target === "agent") await lab.killAgent(node);
  else if (target === "dataplane") await lab.killDataplane(node);
  else await lab.killController();
}

/** Asserts what must hold after each kill, and shows the table. */
export function checkKillRun(title: string, { outcomes, problems }: KillRun): void {
  console.log(formatKillTable(title, outcomes));
  for (const outcome of outcomes) {
    const { point, wholeAfterMs, lost, reasons, peerDown: excused, peerDownElsewhere } = outcome;
    const name = describePoint(point);
    assert.ok(wholeAfterMs !== null, `${name}: the fleet did not become whole again`);
    assert.equal(lost, 0, `${name}: lost ${lost} (${reasons.join(", ")})`);
    assert.equal(peerDownElsewhere, 0, `${name}: peer-down at a node that was not killed`);
    if (point.target !== "dataplane") assert.equal(excused, 0, `${name}: ${excused} peer-down`);
    else assert.ok(excused > 0, `${name}: a dataplane was down and nobody noticed`);
  }
  assert.deepEqual(problems, [], "the run counts");
}

function describePoint({ phase, target, node, afterMs }: KillPoint): string {
  return `kill ${target} of node-${node + 1} ${afterMs} ms into ${phase}`;
}

export function formatKillTable(title: string, outcomes: readonly KillOutcome[]): string {
  const header = [
    "phase",
    "killed",
    "after ms",
    "key",
    "rotation ms",
    "whole ms",
    "lost",
    "peer-down",
  ];
  const rows = outcomes.map(
    ({ point, keyId, rotationMs, wholeAfterMs, lost, peerDown: excused }) => [
      point.phase,
      point.target === "controller" ? "controller" : `node-${point.node + 1} ${point.target}`,
      `${point.afterMs}`,
      `${keyId}`,
      `${Math.round(rotationMs ?? -1)}`,
      `${Math.round(wholeAfterMs ?? -1)}`,
      `${lost}`,
      `${excused}`,
    ],
  );
  const widths = header.map((_, column) => {
    return Math.max(...[header, ...rows].map((row) => row[column]!.length));
  });
  const line = (row: readonly string[]): string => {
    return row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd();
  };
  return [`${title}: ${outcomes.length} kill points`, ...[header, ...rows].map(line)].join("\n");
}
