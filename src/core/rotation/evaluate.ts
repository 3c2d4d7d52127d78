/**
 * Brings context, facts, counts and checkpoint up to date. Costs what changed: the touched peers, or all of them when a
 * decision about the whole fleet changed. Invariant: the result equals that of a step which touches everyone.
 */
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import { limits } from "../limits.js";
import { sameEntry, type NodeName, type RosterEntry, type RosterRevision } from "../node.js";
import { PersistentMap } from "../persistent-map.js";
import { isClosing, levelOf } from "./level.js";
import { sameContext, type Context, type Directive, type EvidenceSource } from "./context.js";
import { isOfSameLives, type CheckpointNode } from "./durable.js";
import type { Note } from "./effect.js";
import { noteProof } from "./probes.js";
import { sampleRate } from "./proof.js";
import type { Observation } from "./observation.js";
import { inputsOf, type PeerInputs } from "./path-view.js";
import { evaluatePeer, type Findings } from "./peer.js";
import { fact } from "./peer-facts.js";
import type { AgentOptions, AgentState } from "./state.js";
import { count, noTally, type Counts } from "./tally.js";

/**
 * Null while the node is not admitted in its present incarnation, nothing is known about the fleet's keys, or the kernel
 * was read before it could be told which SA is whose.
 */
export function contextOf(
  state: AgentState,
  observation: Observation,
  directive: Directive | null,
  options: AgentOptions,
): Context | null {
  const self = observation.roster.entries.get(options.name);
  if (directive === null || self === undefined) return null;
  if (self.incarnationId !== state.durable.incarnation?.id) return null;
  const { rosterComplete, selfIncarnationId } = observation.kernel.recognisedWith;
  if (!rosterComplete || selfIncarnationId !== self.incarnationId) return null;
  const level = levelOf(state.durable, options);
  return keptContext(state.context, {
    self,
    current: directive.current,
    next: directive.next,
    hold: directive.hold,
    installable: directive.installable,
    candidates: directive.candidates,
    refused: directive.refused,
    evidence: directive.evidence,
    mayDelete: observation.roster.complete && observation.roster.unreadable.size === 0 && !state.deletionsHeld,
    level,
    isClosing: isClosing(state.durable, options),
    isEmergency: directive.emergency,
    sampleRate: options.provesPaths === true ? sampleRate(observation.roster.entries.size - 1) : 0,
  });
}

/** The earlier one where nothing differs, down to the fleet record that the report speaks of. */
function keptContext(before: Context | null, context: Context): Context {
  const isSame = sameContext(before, context) && before !== null && sameRecord(before.evidence, context.evidence);
  return isSame ? before : context;
}

function sameRecord(one: EvidenceSource, other: EvidenceSource): boolean {
  return one.kind === "pairwise" || (other.kind === "barrier" && one.record === other.record);
}

export function evaluate(
  state: AgentState,
  observation: Observation,
  context: Context | null,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  if (context === null) {
    const [toDo, incomplete] = [PersistentMap.empty<NodeName, true>(), PersistentMap.empty<NodeName, RosterRevision>()];
    const unproven = PersistentMap.empty<NodeName, true>();
    return { ...state, context, peers: PersistentMap.empty(), tally: noTally, toDo, incomplete, unproven };
  }
  const { touched } = observation;
  const isSame = sameContext(context, state.context);
  if (state.context !== null && state.context.level !== context.level) {
    notes.push({ kind: "level-changed", from: state.context.level, to: context.level });
  }
  const looking = context === state.context ? state : { ...state, context };
  if (isSame && touched !== "all" && touched.size === 0) return holdDeletions(looking, options, notes);
  const names = isSame && touched !== "all" ? touched : everyName(state, observation);
  return holdDeletions(evaluateNames(looking, observation, context, names, options.name, notes), options, notes);
}

/** In the order of the roster, then whoever is known besides. */
function everyName(state: AgentState, observation: Observation): Iterable<NodeName> {
  const { entries } = observation.roster;
  const others = new Set<NodeName>();
  for (const name of observation.kernel.peers.keys()) if (!entries.has(name)) others.add(name);
  for (const name of state.checkpoint.keys()) if (!entries.has(name)) others.add(name);
  for (const name of state.peers.keys()) if (!entries.has(name)) others.add(name);
  return others.size === 0 ? entries.keys() : [...entries.keys(), ...others];
}

function evaluateNames(
  state: AgentState,
  observation: Observation,
  context: Context,
  names: Iterable<NodeName>,
  selfName: NodeName,
  notes: Note[],
): AgentState {
  const peers = state.peers.edit();
  const [toDo, incomplete] = [state.toDo.edit(), state.incomplete.edit()];
  const [checkpoint, unrecorded] = [state.checkpoint.edit(), state.unrecorded.edit()];
  const unproven = state.unproven.edit();
  const isSaved = state.checkpoint === observation.saved.checkpoint;
  let counts: Counts | null = null;
  for (const name of names) {
    if (name === selfName) continue;
    const known = state.checkpoint.get(name);
    const inputs = inputsOf(observation, name, isSaved ? known : observation.saved.checkpoint.get(name));
    const found = isGone(inputs) ? undefined : evaluatePeer(context, inputs);
    const record = nextRecord(context, inputs.entry, found, known);
    if (record !== known) {
      if (record === undefined) noteDeparture(known, notes);
      checkpoint.put(name, record);
      unrecorded.put(name, true);
    }
    const before = state.peers.get(name);
    const [was, now] = [before ?? 0, found?.facts ?? 0];
    if (((was | now) & fact.incomplete) !== 0) incomplete.put(name, orNone(now & fact.incomplete, inputs.entry?.revision));
    if (found?.facts === before) continue;
    peers.put(name, found?.facts);
    if (((was ^ now) & fact.work) !== 0) toDo.put(name, orNone(now & fact.work, true));
    if (((was ^ now) & fact.unproven) !== 0) unproven.put(name, orNone(now & fact.unproven, true));
    noteProof(context, inputs, before, found?.facts, notes);
    counts ??= { ...state.tally };
    if (before !== undefined) count(counts, before, -1);
    if (found !== undefined) count(counts, found.facts, 1);
  }
  const recorded = { checkpoint: checkpoint.done(), unrecorded: unrecorded.done() };
  const lists = { toDo: toDo.done(), incomplete: incomplete.done(), unproven: unproven.done() };
  if (counts === null && recorded.checkpoint === state.checkpoint && lists.incomplete === state.incomplete) return state;
  return { ...state, ...recorded, ...lists, peers: peers.done(), tally: counts ?? state.tally };
}

function orNone<T>(bit: number, value: T): T | undefined {
  return bit === 0 ? undefined : value;
}

/** Nothing is left of it. */
function isGone({ entry, kernel }: PeerInputs): boolean {
  return entry === undefined && kernel.sas.length + kernel.policies.length === 0;
}

/**
 * The checkpoint holds every live node, and every departed one until nothing of it is left: a crash before the registry
 * has synced loses no deletion (field notes E1, E4).
 */
function nextRecord(
  context: Context,
  entry: RosterEntry | undefined,
  found: Findings | undefined,
  before: CheckpointNode | undefined,
): CheckpointNode | undefined {
  if (entry === undefined) return found === undefined && context.mayDelete ? undefined : before;
  const { incarnationId: selfIncarnationId, index: selfIndex } = context.self;
  const kept = before !== undefined && isOfSameLives(context.self, entry, before) ? before.sentWith : null;
  const sent = found?.sentWith ?? [];
  if (kept === null) return { entry, selfIncarnationId, selfIndex, sentWith: sent };
  const isKnown = sent.every((key) => includesKey(kept, key));
  if (isKnown && before !== undefined && sameEntry(before.entry, entry)) return before;
  return { entry, selfIncarnationId, selfIndex, sentWith: isKnown ? kept : withSent(kept, sent) };
}

/** In a first rotation that is what is sent with now, which all peers have in common: no list of its own is kept for each. */
function withSent(kept: readonly KeyIdentity[], sent: readonly KeyIdentity[]): readonly KeyIdentity[] {
  const all = kept.concat(sent.filter((key) => !includesKey(kept, key)));
  const isCommon = all.length === sent.length && all.every((key, i) => sameKey(key, sent[i] ?? null));
  return isCommon ? sent : all.slice(-limits.sentKeysMax);
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
