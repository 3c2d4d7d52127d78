/**
 * Brings context, facts, counts and checkpoint up to date. Costs what changed: the touched peers, or all of them when a
 * decision about the whole fleet changed. Invariant: the result equals that of a step which touches everyone.
 */
import { includesKey } from "../key-id.js";
import { limits } from "../limits.js";
import { sameEntry, type NodeName, type RosterEntry } from "../node.js";
import { PersistentMap } from "../persistent-map.js";
import { sameContext, type Context, type Directive } from "./context.js";
import { isOfSameLives, type CheckpointNode } from "./durable.js";
import type { Note } from "./effect.js";
import { noPeerKernel, type Observation } from "./observation.js";
import { evaluatePeer, type PeerFacts } from "./peer.js";
import { sameFacts } from "./same-facts.js";
import type { AgentOptions, AgentState } from "./state.js";
import { addToTally, noTally } from "./tally.js";

/**
 * Null while the node is not admitted in its present incarnation, nothing is known about the fleet's keys, or the kernel
 * was read before it could be told which SA is whose.
 */
export function contextOf(state: AgentState, observation: Observation, directive: Directive | null, name: NodeName): Context | null {
  const self = observation.roster.entries.get(name);
  if (directive === null || self === undefined) return null;
  if (self.incarnationId !== state.durable.incarnation?.id) return null;
  const { rosterComplete, selfIncarnationId } = observation.kernel.recognisedWith;
  if (!rosterComplete || selfIncarnationId !== self.incarnationId) return null;
  return {
    self,
    current: directive.current,
    next: directive.next,
    hold: directive.hold,
    installable: directive.installable,
    candidates: directive.candidates,
    refused: directive.refused,
    evidence: directive.evidence,
    mayDelete: observation.roster.complete && observation.roster.unreadable.size === 0 && !state.deletionsHeld,
  };
}

export function evaluate(
  state: AgentState,
  observation: Observation,
  context: Context | null,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  if (context === null) {
    return { ...state, context, peers: PersistentMap.empty(), tally: noTally, unsettled: PersistentMap.empty() };
  }
  const everyone = observation.touched === "all" || !sameContext(context, state.context);
  const names = everyone ? everyName(state, observation) : (observation.touched);
  const evaluated = evaluateNames({ ...state, context }, observation, context, names, options.name, notes);
  return holdDeletions(evaluated, options, notes);
}

function everyName(state: AgentState, observation: Observation): ReadonlySet<NodeName> {
  const names = new Set<NodeName>(observation.roster.entries.keys());
  for (const name of observation.kernel.peers.keys()) names.add(name);
  for (const [name] of state.checkpoint) names.add(name);
  for (const [name] of state.peers) names.add(name);
  return names;
}

function evaluateNames(
  state: AgentState,
  observation: Observation,
  context: Context,
  names: Iterable<NodeName>,
  selfName: NodeName,
  notes: Note[],
): AgentState {
  let { peers, unsettled, checkpoint, unrecorded } = state;
  const added: PeerFacts[] = [];
  const removed: PeerFacts[] = [];
  for (const name of names) {
    if (name === selfName) continue;
    const before = peers.get(name);
    const found = factsOf(observation, context, name);
    const facts = found !== null && before !== undefined && sameFacts(before, found) ? before : found;
    const known = checkpoint.get(name);
    const record = nextRecord(context, observation.roster.entries.get(name), facts, known);
    if (record !== known) {
      if (record === undefined) noteDeparture(known, notes);
      checkpoint = record === undefined ? checkpoint.delete(name) : checkpoint.set(name, record);
      unrecorded = unrecorded.set(name, true);
    }
    if (facts === (before ?? null)) continue;
    peers = facts === null ? peers.delete(name) : peers.set(name, facts);
    unsettled = facts !== null && isUnsettled(facts) ? unsettled.set(name, facts) : unsettled.delete(name);
    if (before !== undefined) removed.push(before);
    if (facts !== null) added.push(facts);
  }
  return { ...state, peers, unsettled, checkpoint, unrecorded, tally: addToTally(state.tally, added, removed) };
}

/** Null for a name of which nothing is left. */
function factsOf(observation: Observation, context: Context, name: NodeName): PeerFacts | null {
  const entry = observation.roster.entries.get(name);
  const kernel = observation.kernel.peers.get(name) ?? noPeerKernel;
  if (entry === undefined && kernel.sas.length + kernel.policies.length === 0) return null;
  return evaluatePeer(context, {
    entry,
    kernel,
    report: observation.reports.get(name),
    recorded: observation.saved.checkpoint.get(name),
  });
}

function isUnsettled(facts: PeerFacts): boolean {
  return facts.operations > 0 || facts.missingCurrent || facts.missingNext;
}

/**
 * The checkpoint holds every live node, and every departed one until nothing of it is left: a crash before the registry
 * has synced loses no deletion (field notes E1, E4).
 */
function nextRecord(
  context: Context,
  entry: RosterEntry | undefined,
  facts: PeerFacts | null,
  before: CheckpointNode | undefined,
): CheckpointNode | undefined {
  if (entry === undefined) return facts === null && context.mayDelete ? undefined : before;
  const { incarnationId: selfIncarnationId, index: selfIndex } = context.self;
  const kept = before !== undefined && isOfSameLives(context.self, entry, before) ? before.sentWith : null;
  const added = (facts?.sentWith ?? []).filter((key) => kept === null || !includesKey(kept, key));
  if (kept !== null && added.length === 0 && before !== undefined && sameEntry(before.entry, entry)) return before;
  const sentWith = [...(kept ?? []), ...added].slice(-limits.sentKeysMax);
  return { entry, selfIncarnationId, selfIndex, sentWith };
}

function noteDeparture(record: CheckpointNode | undefined, notes: Note[]): void {
  if (record !== undefined) notes.push({ kind: "node-departed", entry: record.entry });
}

/** A listing that would delete too much is held and reported, not obeyed (design 4.5). One node may always go. */
function holdDeletions(state: AgentState, options: AgentOptions, notes: Note[]): AgentState {
  const known = state.checkpoint.size;
  const departed = known - state.tally.peers;
  const held = departed > Math.max(1, Math.floor(known * options.massDeletionShare));
  if (held === state.deletionsHeld) return state;
  if (held) notes.push({ kind: "deletions-held", departed, known });
  return { ...state, deletionsHeld: held };
}
