/** Rotations of a lab under traffic, on a registry and with programs that a seeded schedule disturbs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../src/adapters/system/clock.js";
import { makePrng } from "../../../src/core/prng.js";
import type { LabLeases } from "../../../src/lab/fleet/configuration.js";
import { startLab, type Lab, type LabHost } from "../../../src/lab/lab.js";
import { labDefaults, type LabOptions } from "../../../src/lab/options.js";
import { quietHost } from "../lab.js";
import { controllers, type ChaosRegistry } from "./chaos-registry.js";
import { planFaults, targetsOf, type PlannedFault, type Target } from "./faults.js";
import { Standby } from "./standby.js";

export interface ChaosOptions {
  readonly makeRegistry: (nodes: number) => ChaosRegistry;
  readonly seed: number;
  readonly nodes: number;
  /** Under faults; one more when there is an outage. */
  readonly rotations: number;
  readonly faultsPerRotation: number;
  readonly coordination: LabOptions["coordination"];
  /** Absent for the programs' own. */
  readonly leases?: LabLeases;
  /** After the faults, a node and the leader are cut off until the fleet goes on without them: chance may not bring that about. */
  readonly cutsOff?: boolean;
  /** The registry is away in the midst of the last rotation. */
  readonly outage?: Outage;
}

export interface Outage {
  readonly awayMs: number;
  /** `frozen`: nothing passes to or from any program, and no connection breaks. */
  readonly how: "killed" | "frozen";
}

/** What happened, in order and when: for the message of a failure. */
class Story {
  readonly #startedMs = performance.now();
  readonly #lines: string[] = [];

  push(line: string): void {
    this.#lines.push(`${((performance.now() - this.#startedMs) / 1_000).toFixed(1)} s: ${line}`);
  }

  get text(): string {
    return `\n  ${this.#lines.join("\n  ")}`;
  }
}

interface Scene {
  readonly lab: Lab;
  readonly registry: ChaosRegistry;
  readonly standby: Standby;
  readonly story: Story;
}

const [node = "", ...words] = quietHost.spindle;
const withWrongClocks = [node, "--import", new URL("./skewed-clocks.js", import.meta.url).href, ...words];

/** At 50 packets per second, much less than this apart. */
const recentMs = 1_500;
const convergeMsMax = 60_000;
const pollMs = 50;
/** A server of the registry that starts again may take so long. */
const restartMsMax = 30_000;
/** One node stages for so long, so that faults and outages come in the midst of rotations. */
const slowNodeMs = 4_000;

/** In a fleet with wrong clocks nothing is lost, every rotation ends, and the fleet is whole at the end. */
export async function runChaos(options: ChaosOptions): Promise<void> {
  const { rotations, faultsPerRotation, seed, outage, cutsOff = false } = options;
  const scene = await startScene(options);
  const { lab, registry, standby, story } = scene;
  try {
    const prng = makePrng(seed);
    const targets = targetsOf(lab, registry, standby);
    for (let rotation = 0; rotation < rotations; rotation++) {
      const rotating = lab.rotate(restartMsMax);
      await disturb(planFaults(prng, targets.length, faultsPerRotation), targets, story);
      assert.equal((await rotating).stuck, null, story.text);
      story.push(`rotation ${rotation + 1} ended`);
    }
    if (cutsOff) await cutOffLeader(scene);
    if (outage !== undefined) await rotateWithout(scene, outage);
    await assertWhole(scene, rotations + (outage === undefined ? 0 : 1));
  } finally {
    await standby.stop();
    await lab.abandon();
    if (lab.options.keep) console.log(story.text);
  }
}

/** The other controller leads, and excludes the node; both return. */
async function cutOffLeader({ lab, registry, standby, story }: Scene): Promise<void> {
  const [node, controller] = [0, lab.options.nodes];
  const excluded = (): boolean => (lab.view.record?.excluded ?? []).some(({ name }) => name === lab.nodes[node]?.name);
  for (const program of [node, controller]) registry.freezeProgram(program);
  await until(() => excluded() && standby.hasLed(), `a node is excluded by the other controller: ${story.text}`);
  for (const program of [node, controller]) registry.thawProgram(program);
  await until(() => !excluded(), `the node counts again: ${story.text}`);
  story.push("a node and the leader were cut off, and are back");
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + convergeMsMax;
  while (!holds()) {
    assert.ok(performance.now() < endMs, what);
    await sleep(pollMs);
  }
}

/** The dataplane never depends on the registry, and the rotation goes on when it is back. */
async function rotateWithout({ lab, registry, story }: Scene, { awayMs, how }: Outage): Promise<void> {
  const rotating = lab.rotate(awayMs + restartMsMax);
  await stagingBegins(lab);
  const programs = Array.from({ length: lab.options.nodes + controllers }, (_, program) => program);
  if (how === "killed") await registry.takeAway();
  else for (const program of programs) registry.freezeProgram(program);
  story.push("the registry is away");
  await lab.rest(awayMs);
  const alive = lab.ledger.pairsAlive(systemClock.nowMs() - recentMs);
  assert.equal(alive, lab.openPairs.all, `every pair has delivered just now: ${story.text}`);
  assert.equal(lab.rotation?.durationMs, null, "the rotation waits");
  if (how === "killed") await registry.bringBack();
  else for (const program of programs) registry.thawProgram(program);
  story.push("the registry is back");
  assert.equal((await rotating).stuck, null, story.text);
  assert.deepEqual(clocksOff(lab), { agent: 1, controller: -1 });
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

/** By whole hours, as the last lines of their logs show. */
function clocksOff({ layout }: Lab): { readonly agent: number; readonly controller: number } {
  const hours = (log: string): number => {
    const last = readFileSync(log, "utf8").match(/"time":"[^"]+"/g)?.at(-1)?.slice(8, -1) ?? "";
    return Math.round((Date.parse(last) - Date.now()) / 3_600_000);
  };
  const [first] = layout.nodes;
  assert.ok(first !== undefined);
  return { agent: hours(join(first.directory, "agent.log")), controller: hours(join(layout.controllerDirectory, "controller.log")) };
}

async function startScene(options: ChaosOptions): Promise<Scene> {
  const { makeRegistry, seed, nodes, rotations, coordination, leases } = options;
  const story = new Story();
  const registry = makeRegistry(nodes);
  const keep = process.env["SPINDLE_KEEP"] !== undefined;
  const labOptions = { ...labDefaults, seed, nodes, rotations, coordination, slowNodeMs, drainMs: 500, keep };
  const note = (line: string): void => story.push(line);
  const times = leases === undefined ? {} : { leases };
  const host: LabHost = { spindle: withWrongClocks, ...times, note, makeRegistry: registry.make };
  const lab = await startLab(labOptions, host);
  story.push(`in ${lab.layout.directory}`);
  return { lab, registry, standby: new Standby(lab, host, registry.section(nodes + 1)), story };
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

async function assertWhole({ lab, standby, story }: Scene, rotations: number): Promise<void> {
  assert.notEqual(await lab.converge(convergeMsMax), null, `the fleet is whole: ${story.text}`);
  assert.deepEqual(lab.view.record?.excluded ?? [], [], story.text);
  story.push("the fleet is whole");
  assert.notEqual(standby.program.pid, null, `the other controller runs: ${story.text}`);
  await standby.stop();
  const report = await lab.finish();
  assert.deepEqual(report.packets.lostByReason, {}, story.text);
  assert.deepEqual(report.validity.problems, [], story.text);
  assert.ok(report.packets.sent > 0 && report.packets.sent === report.packets.received);
  assert.equal(report.rotations.length, rotations);
  for (const rotation of report.rotations) assert.equal(rotation.forcedRetires, 0, story.text);
}
