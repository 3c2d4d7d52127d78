/** What an agent says of itself, computed from its loop at each request. Nothing is kept here. */
import type { NodeName } from "../../core/node.js";
import type { Context } from "../../core/rotation/context.js";
import { inputsOf } from "../../core/rotation/path-view.js";
import { is, type PeerFacts } from "../../core/rotation/peer-facts.js";
import { failureTo, type FailedProbe } from "../../core/rotation/probes.js";
import { agentPhases } from "../../core/rotation/state.js";
import type { Tally } from "../../core/rotation/tally.js";
import type { AgentStatus, KeyUse, PeerException, SlotKeys, Verdict } from "../../http/status.js";
import type { AgentView } from "../../runtime/agent-loop.js";
import type { KeyFigure } from "../../runtime/key-figures.js";
import { isLow } from "../../runtime/sequence-watch.js";
import type { AgentConfig, ReadyConfig } from "../config/agent.js";
import { version } from "../version.js";

/** Exceptions shown at most; the counts say how many there are. */
const exceptionsMax = 50;

export function agentStatus(view: AgentView | null, config: AgentConfig, nowMs: number): AgentStatus {
  const base = emptyStatus(config);
  if (view === null) return base;
  const { state, world } = view;
  const { tally } = state;
  const { counts } = world.kernel;
  return {
    ...base,
    incarnationId: state.durable.incarnation?.id ?? null,
    phase: state.phase,
    phaseForMs: Math.max(0, Math.round(nowMs - state.phaseSinceMs)),
    keys: slotKeys(view),
    keysInUse: state.context?.hold.length ?? 0,
    peers: {
      total: tally.peers,
      covered: tally.covered,
      behind: behind(view),
      ...unencrypted(view),
      unproven: tally.unanswered,
    },
    exceptions: exceptionsOf(view, nowMs),
    counters: world.counters,
    policy: { level: state.context?.level ?? base.policy.level, cidrs: cidrsOf(config, world.guard) },
    sas: { in: counts.sasIn, out: counts.sasOut },
    policies: { in: counts.policiesIn, out: counts.policiesOut },
    highestSequence: highestSequence(view),
    keyUse: world.keyFigures.map((figure) => keyUse(figure, nowMs)),
    checkpointAgeMs: view.checkpointSavedAtMs === null ? null : Math.round(nowMs - view.checkpointSavedAtMs),
    forcedRetires: view.forcedRetires,
    lastStage: lastStage(view),
    keyFile: { ok: view.keyFileMessage === null, message: view.keyFileMessage },
    registry: { connected: world.registryConnected, forMs: Math.round(nowMs - world.registryChangedAtMs) },
    dataplane: {
      connected: world.kernel.connected,
      forMs: Math.round(nowMs - world.kernelChangedAtMs),
      identity: world.kernel.identity,
    },
    registryWrites: view.writes,
  };
}

/** Those that are blocked now. @param guard what the dataplane was told, null while the configuration counts */
function cidrsOf({ policy }: AgentConfig, guard: boolean | null): readonly string[] {
  const isGuarded = guard ?? policy.level === "require";
  return isGuarded ? (policy.guard?.cidrs.map(({ address, length }) => `${address}/${length}`) ?? []) : [];
}

function emptyStatus(config: AgentConfig): AgentStatus {
  return {
    schemaVersion: 1,
    kind: "agent",
    version,
    node: config.node.name,
    incarnationId: null,
    coordination: config.coordination,
    phase: agentPhases[0],
    phaseForMs: 0,
    keys: { previous: null, current: null, next: null },
    keysInUse: 0,
    peers: { total: 0, covered: 0, behind: 0, blocked: 0, plain: 0, unproven: 0 },
    exceptions: [],
    counters: {},
    policy: {
      level: config.policy.level,
      cidrs: cidrsOf(config, null),
    },
    sas: { in: 0, out: 0 },
    policies: { in: 0, out: 0 },
    highestSequence: 0,
    keyUse: [],
    checkpointAgeMs: null,
    forcedRetires: 0,
    lastStage: null,
    keyFile: { ok: true, message: null },
    registry: { connected: false, forMs: 0 },
    dataplane: { connected: false, forMs: 0, identity: null },
    registryWrites: {},
  };
}

/** Once everybody is switched, the key that all send with is `current` and the one being drained `previous`. */
function slotKeys({ state }: AgentView): SlotKeys {
  const { context, phase, durable } = state;
  if (context === null) return { previous: null, current: durable.current, next: durable.next };
  const isSwitched = phase === "switched" || phase === "draining";
  if (isSwitched) return { previous: context.current, current: context.next, next: null };
  const isRetired = phase === "steady" && context.next !== null;
  if (isRetired) return { previous: null, current: context.next, next: null };
  return { previous: null, current: context.current, next: context.next };
}

function behind({ state }: AgentView): number {
  return state.context?.next === null ? 0 : state.tally.onCurrent + state.tally.onOther;
}

/** Exported for its test. */
export function unencrypted({ state }: Pick<AgentView, "state">): Pick<AgentStatus["peers"], "blocked" | "plain"> {
  let [blocked, plain] = [0, 0];
  for (const [, facts] of state.peers) {
    if (!is(facts, "live")) continue;
    if (is(facts, "plain")) plain += 1;
    else if (is(facts, "blocked")) blocked += 1;
  }
  return { blocked, plain };
}

function lastStage({ lastStage }: AgentView): AgentStatus["lastStage"] {
  if (lastStage === null) return null;
  return { keyId: lastStage.key.keyId, sas: lastStage.sas, stagingMs: Math.round(lastStage.stagingMs) };
}

function exceptionsOf(view: AgentView, nowMs: number): readonly PeerException[] {
  const { state, world } = view;
  const found: PeerException[] = [];
  const forMs = Math.max(0, Math.round(nowMs - state.phaseSinceMs));
  for (const [name, facts] of state.peers) {
    if (found.length === exceptionsMax) break;
    const why = whyExceptional(view, name);
    if (why !== null) found.push({ peer: name === "" ? "(unknown)" : name, why, forMs });
    else if (is(facts, "live") && is(facts, "blocked")) found.push({ peer: name, why: whyUnencrypted(facts), forMs });
  }
  found.unshift(...world.keyFigures.filter(isLow).map((figure) => spent(figure)));
  if (state.deletionsHeld) found.unshift({ peer: "(roster)", why: "deletions held: the listing removes too many", forMs });
  return world.kernel.connected ? found : [{ peer: "(dataplane)", why: "not connected", forMs }, ...found];
}

function spent({ keyId, sequenceShare }: KeyFigure): PeerException {
  const why = `an SA has used ${Math.floor(100 * sequenceShare)} % of its sequence numbers: rotate now`;
  return { peer: `(key ${keyId})`, why, forMs: 0 };
}

function whyUnencrypted(facts: PeerFacts): string {
  if (!is(facts, "plain")) return "blocked: no key is covered";
  return is(facts, "unproven") ? "sent to plainly: its path is not proven yet" : "sent to plainly: no key is covered";
}

function whyExceptional(view: AgentView, name: NodeName): string | null {
  const { state, world } = view;
  const heldBack = world.heldBack.get(name);
  if (heldBack !== undefined) return `${heldBack.code}: ${heldBack.message}`;
  const facts = state.peers.get(name);
  const failed = facts !== undefined && is(facts, "unanswered") ? failureOf(view, name) : null;
  if (failed !== null) return `${failed.isPlain ? "sent to plainly" : "stays on the old key"}: ${failed.failure.message}`;
  return facts !== undefined && is(facts, "leftovers") ? "departed, its state is not removed yet" : null;
}

/** The probe that failed with the key that the peer is to go over to. */
function failureOf({ state, world }: AgentView, name: NodeName): FailedProbe | null {
  return state.context === null ? null : failureTo(state.context, inputsOf(world, name));
}

function highestSequence({ world }: AgentView): number {
  let highest = 0;
  for (const peer of world.kernel.peers.values()) {
    for (const sa of peer.sas) highest = Math.max(highest, sa.sequence);
  }
  return highest;
}

function keyUse({ octets, usedAtMs, sequence, ...figure }: KeyFigure, nowMs: number): KeyUse {
  const { keyId, direction, sas, packets, sequenceShare } = figure;
  const idleMs = usedAtMs === null ? null : Math.max(0, Math.round(nowMs - usedAtMs));
  return { keyId, direction, sas, packets, bytes: octets, idleMs, highestSequence: sequence, sequenceShare };
}

/** Alive: the documents were loaded and the loop turns. What is down outside is no reason to restart the agent. */
export function agentHealth(view: AgentView | null): Verdict {
  return view === null ? { ok: false, reasons: ["starting"] } : { ok: true, reasons: [] };
}

/**
 * Ready when enough pairs are covered. What others owe is waited for no longer than the time-out, so that one sick node
 * cannot freeze a scale-up; what this node itself owes, a place in the roster and a dataplane with its inbound SAs, has no time-out.
 * But one peer for which no SA can be installed, though others' are, is taken for the sick one: in a fleet of fewer than 20 no share is small
 * enough for it.
 */
export function agentReadiness(view: AgentView | null, ready: ReadyConfig, runsForMs: number): Verdict {
  if (view === null) return notReady("starting");
  if (!view.world.kernel.connected) return notReady("the dataplane is not connected");
  const { tally, context } = view.state;
  const isTimedOut = runsForMs >= ready.timeoutMs;
  if (context === null) return notReady("not admitted to the fleet yet");
  if (context.level === "off") return isReady;
  const enough = tally.peers * ready.share;
  const held = tally.peers - missingInbound(context, tally);
  const heldMin = isTimedOut ? Math.min(enough, Math.max(1, tally.peers - 1)) : enough;
  if (held < heldMin) return notReady(`inbound SAs of ${held} of ${tally.peers} peers are installed`);
  const open = tally.peers - tally.blocked;
  return isTimedOut || open >= enough ? isReady : notReady(`${open} of ${tally.peers} pairs are covered`);
}

const isReady: Verdict = { ok: true, reasons: [] };

function notReady(reason: string): Verdict {
  return { ok: false, reasons: [reason] };
}

/** Peers that could send to this node with no key: either one will do. */
function missingInbound({ current, next }: Context, { missingCurrent, missingNext }: Tally): number {
  if (current === null) return next === null ? 0 : missingNext;
  return next === null ? missingCurrent : Math.min(missingCurrent, missingNext);
}
