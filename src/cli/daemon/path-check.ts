/**
 * Probes the paths of a running agent when somebody asks: each with the key that its packets go with now, so that a probe meets
 * what they meet. What waits for a proof is told with the last outcome that the agent itself had. It decides nothing.
 */
import { setTimeout as pause } from "node:timers/promises";
import { limits } from "../../core/limits.js";
import type { NodeName } from "../../core/node.js";
import type { Probe, ProbeOutcome } from "../../core/probe.js";
import type { Context } from "../../core/rotation/context.js";
import { inputsOf, type PeerInputs } from "../../core/rotation/path-view.js";
import { failureTo, probesInUse } from "../../core/rotation/probes.js";
import type { CheckedPath, PathCheck, UnknownPeers } from "../../http/status.js";
import type { KernelPort } from "../../ports/kernel.js";
import type { AgentLoop } from "../../runtime/agent-loop.js";
import { nameOf } from "./sa-listing.js";

export type SendProbes = NonNullable<KernelPort["probe"]>;

/** How often it looks whether a plan under way, which may take an SA away, has ended. */
const planPollMs = 10;

/** @param asked names or addresses, null for all peers @returns null before the node is admitted to the fleet */
export async function checkPaths(
  loop: Pick<AgentLoop, "inspect">,
  send: SendProbes,
  node: string,
  asked: readonly string[] | null,
): Promise<PathCheck | UnknownPeers | null> {
  const context = loop.inspect()?.state.context ?? null;
  const known = loop.inspect()?.world.roster.entries;
  if (context === null || known === undefined) return null;
  const peers = asked?.map((one) => nameOf(known, one)) ?? [...known.keys()].filter((name) => name !== node);
  const unknown = peers.filter((name) => !known.has(name) || name === node);
  if (unknown.length > 0) return { unknown };
  const paths: CheckedPath[] = [];
  const perBatch = limits.probesPerEffectMax / 2;
  for (let from = 0; from < peers.length; from += perBatch) {
    paths.push(...(await checkBatch(loop, send, peers.slice(from, from + perBatch))));
  }
  return { schemaVersion: 1, node, paths, ok: paths.every(({ why }) => why === null) };
}

async function checkBatch(
  loop: Pick<AgentLoop, "inspect">,
  send: SendProbes,
  peers: readonly NodeName[],
): Promise<readonly CheckedPath[]> {
  while (loop.inspect()?.world.inFlight.has("apply") === true) await pause(planPollMs);
  const view = loop.inspect();
  const context = view?.state.context ?? null;
  if (view === null || context === null) return [];
  const found = peers.map((peer) => ({ peer, inputs: inputsOf(view.world, peer) }));
  const inUse = found.flatMap(({ peer, inputs }) =>
    [...probesInUse(context, inputs)].map(([family, probe]) => ({ peer, family, probe })),
  );
  const outcomes = await outcomesOf(send, inUse.flatMap(({ probe }) => probe ?? []));
  return [
    ...inUse.map(({ peer, family, probe }): CheckedPath => {
      if (probe === null) return { peer, family, keyId: null, roundTripMs: null, why: "no key is in use towards it" };
      return { peer, family, keyId: probe.key.keyId, ...resultOf(outcomes.get(probe)) };
    }),
    ...found.flatMap(({ inputs }) => keptBack(context, inputs)),
  ];
}

function keptBack(context: Context, inputs: PeerInputs): readonly CheckedPath[] {
  const failed = failureTo(context, inputs);
  if (failed === null) return [];
  const { peer, family, key } = failed.probe;
  return [{ peer, family, keyId: key.keyId, roundTripMs: null, why: failed.failure.message }];
}

function outcomesOf(send: SendProbes, probes: readonly Probe[]): Promise<ReadonlyMap<Probe, ProbeOutcome>> {
  return new Promise((resolve) => {
    if (probes.length === 0) return resolve(new Map());
    send(probes, (result) => {
      const outcomeOf = (i: number): ProbeOutcome => (result.ok ? result.value[i]! : { kind: "failed", ...result.error });
      resolve(new Map(probes.map((probe, i) => [probe, outcomeOf(i)] as const)));
    });
  });
}

function resultOf(outcome: ProbeOutcome | undefined): Pick<CheckedPath, "roundTripMs" | "why"> {
  if (outcome?.kind === "answered") return { roundTripMs: Number(outcome.roundTripMs.toFixed(3)), why: null };
  return { roundTripMs: null, why: outcome?.message ?? "not probed" };
}
