/** A lab on the kernel's dataplane as a library, for cases that run in the guest, and what is in its nodes' kernels. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { setTimeout as pause } from "node:timers/promises";
import type { AgentPhase } from "../../src/core/rotation/state.js";
import { startLab, type FinishedRotation, type Lab } from "../../src/lab/lab.js";
import { peerDown } from "../../src/lab/ledger/losses.js";
import { labDefaults, type LabOptions } from "../../src/lab/options.js";
import { quietHost } from "./lab.js";

/** Two are enough for a pair; the third sees what the others do to each other. */
export const nodes = 3;
const convergeMsMax = 60_000;
/** What was sent last is judged when it can no longer arrive. */
const judgedMs = 900;

export function startKernelLab(overrides: Partial<LabOptions> = {}): Promise<Lab> {
  const options = { ...labDefaults, dataplane: "kernel", encapsulation: "none", nodes, drainMs: 500, ...overrides } as const;
  return startLab(options, quietHost);
}

/** Numbers of SAs and policies of each node, whoever made them. */
export function countEntries(lab: Lab): readonly string[] {
  return lab.nodes.map(({ dataplane }) => {
    const count = (table: string): number => {
      const text = dataplane.within(() => execFileSync("ip", ["-o", "xfrm", table], { encoding: "utf8" }));
      return text.split("\n").filter((line) => line.startsWith("src ")).length;
    };
    return `${count("state")} SAs ${count("policy")} policies`;
  });
}

/** A node's SAs, as `ip` names them. */
export function listSas(lab: Lab, node: number): readonly { readonly source: string; readonly spi: string }[] {
  const { dataplane } = lab.nodes[node]!;
  const text = dataplane.within(() => execFileSync("ip", ["-o", "xfrm", "state"], { encoding: "utf8" }));
  return [...text.matchAll(/^src (\S+) dst \S+ .*?spi (0x[0-9a-f]+)/gm)].map(([, source = "", spi = ""]) => {
    return { source, spi };
  });
}

/** What a node at rest has for its peers: two SAs and two policies each. */
export const entriesAtRest = Array.from({ length: nodes }, () => {
  const each = 2 * (nodes - 1);
  return `${each} SAs ${each} policies`;
});

/** Runs `act` once, the first time that the node is in the phase. @returns whether it did, later */
export function whenIn(lab: Lab, node: number, phase: AgentPhase, act: () => Promise<void>): () => Promise<boolean> {
  let acting: Promise<void> | null = null;
  const unwatch = lab.view.watch((event) => {
    const isMoment = event.kind === "agent-phase" && event.node === node && event.phase === phase;
    if (isMoment && event.keyId !== null) acting ??= act();
  });
  return async () => {
    unwatch();
    await acting;
    return acting !== null;
  };
}

export async function rotateWhole(lab: Lab): Promise<FinishedRotation> {
  const finished = await lab.rotate();
  assert.equal(finished.stuck, null);
  assert.ok(finished.watch.nodes.every(({ forced }) => forced !== true), "no key went by force");
  await makeWhole(lab);
  return finished;
}

export async function makeWhole(lab: Lab): Promise<void> {
  const wholeMs = await lab.converge(convergeMsMax);
  assert.ok(wholeMs !== null, "the fleet did not become whole again");
}

/** Waits for a fact of the outside; the guest's time-out ends a wait in vain. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await pause(20);
}

export interface Since {
  /** Packets lost and why, each as a text. */
  readonly lost: readonly string[];
  /** Packets that kernels counted as errors. */
  readonly counted: number;
  readonly excused: number;
}

/** What has been lost since `sinceMs`, when it is known. */
export async function lossesSince(lab: Lab, sinceMs: number): Promise<Since> {
  await pause(judgedMs);
  const losses = lab.losses().filter(({ sentMs }) => sentMs >= sinceMs);
  const others = losses.filter(({ reason }) => reason !== peerDown);
  return {
    lost: others.map(({ reason, stream }) => `${reason}: node ${stream.sender} to ${stream.receiver}`),
    counted: lab.drops.countSince(sinceMs),
    excused: losses.length - others.length,
  };
}

/** Nothing was lost, and no kernel counted an error. */
export async function assertHitlessSince(lab: Lab, sinceMs: number): Promise<void> {
  assert.deepEqual(await lossesSince(lab, sinceMs), { lost: [], counted: 0, excused: 0 });
}
