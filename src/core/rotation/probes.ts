/**
 * The probes that path proof asks for: which are due, and what to say of those that failed. A probe goes only with an SA that
 * was read back and recorded, to a covered peer, while no plan is under way that might take the SA away.
 */
import { includesKey, type KeyIdentity } from "../key-id.js";
import { limits } from "../limits.js";
import type { AddressFamily, RosterEntry } from "../node.js";
import { proofOn, type Probe, type ProbeFailure } from "../probe.js";
import type { Context } from "./context.js";
import type { Effect, Note } from "./effect.js";
import type { Observation } from "./observation.js";
import { pathBetween, senderSpi, type Path } from "./path.js";
import { inputsOf, viewPaths, type PeerInputs } from "./path-view.js";
import { is, type PeerFacts } from "./peer-facts.js";
import type { AgentState } from "./state.js";

/** A failed one is sent again after a fixed time, for as long as it takes. */
export function wantProbes(state: AgentState, observation: Observation, nowMs: number, wakes: number[]): Effect | null {
  const { context } = state;
  if (context === null || state.unproven.size === 0 || observation.inFlight.has("probe")) return null;
  const probes: Probe[] = [];
  for (const name of state.unproven.keys()) {
    if (probes.length >= limits.probesPerEffectMax) break;
    for (const { probe, dueMs } of lackingProofs(context, inputsOf(observation, name))) {
      if (dueMs > nowMs) wakes.push(dueMs);
      else probes.push(probe);
    }
  }
  return probes.length === 0 ? null : { kind: "probe", probes };
}

export interface DueProbe {
  readonly probe: Probe;
  readonly dueMs: number;
}

/** One for each family, as its paths share their SAs. */
export function lackingProofs(context: Context, inputs: PeerInputs): readonly DueProbe[] {
  const { entry, proofs } = inputs;
  if (entry === undefined) return [];
  const lacking = new Map<AddressFamily, DueProbe>();
  for (const { family, outbound: { proves } } of viewPaths(context, entry, inputs)) {
    const path = pathBetween(context.self, entry, family);
    if (proves === null || path === null) continue;
    const tried = proofOn(proofs, context.self, entry, family, proves);
    const dueMs = tried === undefined ? 0 : tried.atMs + limits.probeRetryMs;
    lacking.set(family, { probe: probeOn(context, entry, path, proves), dueMs });
  }
  return [...lacking.values()];
}

function probeOn(context: Context, entry: RosterEntry, { family, local, remote }: Path, key: KeyIdentity): Probe {
  const spi = senderSpi(context, entry, "out", key.keyId);
  const [from, to] = [context.self.incarnationId, entry.incarnationId];
  return { peer: entry.name, family, key, from, to, spi, local, remote };
}

/** Probes with what packets to a peer go with now; null for an address family in which nothing is sent. */
export function probesInUse(context: Context, inputs: PeerInputs): ReadonlyMap<AddressFamily, Probe | null> {
  const { entry } = inputs;
  const found = new Map<AddressFamily, Probe | null>();
  if (entry === undefined) return found;
  for (const { family, sending } of viewPaths(context, entry, inputs)) {
    const key = context.hold.find(({ keyId }) => keyId === sending);
    const path = pathBetween(context.self, entry, family);
    found.set(family, key === undefined || path === null ? null : probeOn(context, entry, path, key));
  }
  return found;
}

export interface FailedProbe {
  readonly probe: Probe;
  readonly failure: ProbeFailure;
  /** Packets to the peer stay plain; otherwise on the old key. */
  readonly isPlain: boolean;
}

/** What keeps a peer on its old key, or plain; null when no probe to it has failed. */
export function failureTo(context: Context, inputs: PeerInputs): FailedProbe | null {
  const { entry, proofs } = inputs;
  if (entry === undefined) return null;
  for (const { family, outbound, isPlain } of viewPaths(context, entry, inputs)) {
    const proof = outbound.proves === null ? undefined : proofOn(proofs, context.self, entry, family, outbound.proves);
    if (proof?.outcome.kind === "failed") return { probe: proof.probe, failure: proof.outcome, isPlain };
  }
  return null;
}

/** Told once when a probe fails, and once when the path is proven after all. */
export function noteProof(
  context: Context,
  inputs: PeerInputs,
  before: PeerFacts | undefined,
  after: PeerFacts | undefined,
  notes: Note[],
): void {
  if (after === undefined || is(after, "unanswered") === (before !== undefined && is(before, "unanswered"))) return;
  const failed = failureTo(context, inputs);
  if (failed !== null) return void notes.push({ kind: "path-unproven", ...failed });
  const proven = inputs.proofs.findLast(({ probe, outcome }) => outcome.kind === "answered" && includesKey(context.candidates, probe.key));
  if (proven !== undefined) notes.push({ kind: "path-proven", peer: proven.probe.peer, key: proven.probe.key });
}
