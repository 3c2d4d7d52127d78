/** Rotations of a lab on three etcd members, under traffic and under a seeded schedule of faults. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../src/adapters/system/clock.js";
import { makePrng } from "../../../src/core/prng.js";
import { startLab, type Lab } from "../../../src/lab/lab.js";
import { labDefaults, type LabOptions } from "../../../src/lab/options.js";
import { quietHost } from "../lab.js";
import { planFaults, targetsOf, type PlannedFault, type Target } from "./faults.js";
import { ProxiedEtcd } from "./proxied-etcd.js";

export interface ChaosOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly rotations: number;
  readonly faultsPerRotation: number;
  readonly coordination: LabOptions["coordination"];
}

/** What happened, in order: for the message of a failure. */
type Story = string[];

/** At 50 packets per second, much less than this apart. */
const recentMs = 1_500;
const convergeMsMax = 60_000;
/** Longer than it takes to kill the members: one node stages when they are gone. */
const outageSlowNodeMs = 4_000;

/** Nothing is lost, every rotation ends, and the fleet is whole at the end. */
export async function runChaos(options: ChaosOptions): Promise<void> {
  const story: Story = [];
  const etcd = new ProxiedEtcd(options.nodes);
  const lab = await startOn(etcd, options, story);
  const prng = makePrng(options.seed);
  try {
    const targets = targetsOf(lab, etcd);
    for (let rotation = 0; rotation < options.rotations; rotation++) {
      const rotating = lab.rotate();
      await disturb(planFaults(prng, targets.length, options.faultsPerRotation), targets, story);
      const { stuck } = await rotating;
      assert.equal(stuck, null, tell(story));
      story.push(`rotation ${rotation + 1} ended`);
    }
    assert.notEqual(await lab.converge(convergeMsMax), null, `the fleet is whole: ${tell(story)}`);
    await assertNothingLost(lab, options.rotations, story);
  } finally {
    await lab.abandon();
  }
}

/** All members are away in the midst of a rotation, for `awayMs`. */
export async function runOutage(options: ChaosOptions, awayMs: number): Promise<void> {
  const story: Story = [];
  const etcd = new ProxiedEtcd(options.nodes);
  const lab = await startOn(etcd, options, story, outageSlowNodeMs);
  try {
    await lab.rotate();
    const rotating = lab.rotate();
    await stagingBegins(lab);
    await Promise.all(etcd.members.map((member) => member.stop("SIGKILL")));
    story.push("the registry is away");
    await lab.rest(awayMs);
    // The dataplane never depends on the registry: every pair has delivered just now.
    const alive = lab.ledger.pairsAlive(systemClock.nowMs() - recentMs);
    assert.equal(alive, lab.openPairs.all, tell(story));
    assert.equal(lab.rotation?.durationMs, null, "the rotation waits");
    for (const member of etcd.members) member.start();
    story.push("the registry is back");
    assert.equal((await rotating).stuck, null, tell(story));
    assert.notEqual(await lab.converge(convergeMsMax), null, `the fleet is whole: ${tell(story)}`);
    await assertNothingLost(lab, 2, story);
  } finally {
    await lab.abandon();
  }
}

function stagingBegins(lab: Lab): Promise<void> {
  return new Promise((resolve) => {
    const stop = lab.view.watch((event) => {
      if (event.kind !== "fleet-phase" || event.phase !== "staging") return;
      stop();
      resolve();
    });
  });
}

function startOn(
  etcd: ProxiedEtcd,
  options: ChaosOptions,
  story: Story,
  slowNodeMs = 0,
): Promise<Lab> {
  const { seed, nodes, rotations, coordination } = options;
  const labOptions = { ...labDefaults, seed, nodes, rotations, coordination, slowNodeMs, drainMs: 500 };
  const note = (line: string): void => void story.push(line);
  return startLab(labOptions, { ...quietHost, note, makeRegistry: etcd.make });
}

/** Runs the plan: faults overlap, but each target has one at a time. Ends when all have ended. */
async function disturb(
  plan: readonly PlannedFault[],
  targets: readonly Target[],
  story: Story,
): Promise<void> {
  const busy = new Set<number>();
  const running: Promise<void>[] = [];
  for (const { afterMs, target, kind, lastsMs } of plan) {
    await sleep(afterMs);
    const free = targets.map((_, offset) => (target + offset) % targets.length);
    const index = free.find((candidate) => !busy.has(candidate));
    const chosen = targets[index ?? -1];
    if (index === undefined || chosen === undefined) continue;
    busy.add(index);
    story.push(`${kind} ${chosen.name} for ${lastsMs} ms`);
    running.push(
      runFault(chosen, kind, lastsMs).then(() => {
        busy.delete(index);
      }),
    );
  }
  await Promise.all(running);
}

async function runFault(target: Target, kind: PlannedFault["kind"], lastsMs: number): Promise<void> {
  const end = await target.begin[kind]();
  await sleep(lastsMs);
  await end();
}

async function assertNothingLost(lab: Lab, rotations: number, story: Story): Promise<void> {
  const report = await lab.finish();
  assert.deepEqual(report.packets.lostByReason, {}, tell(story));
  assert.deepEqual(report.validity.problems, [], tell(story));
  assert.ok(report.packets.sent > 0 && report.packets.sent === report.packets.received);
  assert.equal(report.rotations.length, rotations);
  for (const rotation of report.rotations) assert.equal(rotation.forcedRetires, 0, tell(story));
}

function tell(story: Story): string {
  return `\n  ${story.join("\n  ")}`;
}
