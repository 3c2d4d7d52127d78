/**
 * One lifetime of the dataplane state (design 4.1). On start, what is in the kernel is adopted and never flushed, if
 * boot, namespace and dataplane are the same and every outbound SA that was ever selected is still there. Otherwise,
 * and whenever outbound state is lost, the addresses change or a foreign SA has our SPI, a new incarnation begins: new
 * SPI, new derived keys, so that no (key, counter) pair is used twice (S4).
 */
import { sameEnds, type IncarnationId, type NodeName } from "../node.js";
import { keyIdOf, splitSpi } from "../spi.js";
import { includesKey } from "../key-id.js";
import { expectedKeys, type DurableState } from "./durable.js";
import type { Note } from "./effect.js";
import { sendsTo, type HeldPolicy } from "./held.js";
import type { DataplaneIdentity, Observation, ObservedKernel } from "./observation.js";
import type { AgentOptions, AgentState } from "./state.js";
import { PersistentMap } from "../persistent-map.js";
import { noTally } from "./tally.js";
import type { RosterRevision } from "../node.js";

/** Needs a dump: `observation.kernel.identity` is not null. */
export function settleIncarnation(
  state: AgentState,
  observation: Observation,
  options: AgentOptions,
  notes: Note[],
): AgentState {
  const why = reasonForNew(state, observation, options);
  if (why === null) {
    if (!state.started) notes.push(adoption(state.durable, observation.kernel));
    return clear(state.started ? state : { ...state, started: true }, observation.kernel);
  }
  notes.push({ kind: "new-incarnation", incarnationId: observation.spareIncarnationId, why });
  return begin(state, observation, options);
}

function reasonForNew(state: AgentState, observation: Observation, options: AgentOptions): string | null {
  const incarnation = state.durable.incarnation;
  const identity = observation.kernel.identity;
  if (incarnation === null) return "first start";
  if (identity !== null && !sameIdentity(incarnation.dataplane, identity)) return "the dataplane was restarted";
  if (!sameEnds(incarnation.addresses, options.addresses)) return "the node's addresses changed";
  if (!state.started && hasLostOutbound(state, observation.kernel)) return "a recorded outbound SA is gone";
  if (state.tally.outboundLost > 0) return "a recorded outbound SA is gone";
  if (isSpiTaken(incarnation.id, observation, options.name)) return "another program's SA has our SPI towards a peer";
  return null;
}

/** The SPI is that of the present lifetime: a new one has another as soon as it is admitted. */
function isSpiTaken(id: IncarnationId, { kernel, roster }: Observation, name: NodeName): boolean {
  if (kernel.takenSpi === null) return false;
  const self = roster.entries.get(name);
  if (self?.incarnationId !== id) return false;
  const { index, number } = splitSpi(kernel.takenSpi);
  return index === self.index && number === self.incarnationNumber;
}

function sameIdentity(one: DataplaneIdentity, other: DataplaneIdentity): boolean {
  return (
    one.bootId === other.bootId &&
    one.networkNamespace === other.networkNamespace &&
    one.instance === other.instance
  );
}

/**
 * Looks for each recorded outbound SA by address and key id: at this time the dump may not know all nodes. Where no
 * outbound policy lets packets out, the SA went on purpose, with its peer or its peer's life, and the record of that may
 * have been lost in a crash; if that life goes on, the plan finds the loss.
 */
function hasLostOutbound(state: AgentState, kernel: ObservedKernel): boolean {
  const present = outboundSlots(kernel);
  const reached = new Set(sendingPolicies(kernel).map(([, policy]) => sendsTo(policy)));
  const expected = expectedKeys(state.durable);
  for (const [, node] of state.checkpoint) {
    if (node.selfIncarnationId !== state.durable.incarnation?.id) continue;
    const addresses = [node.entry.addresses.ipv4, node.entry.addresses.ipv6].filter((one) => one !== null);
    if (!addresses.some((address) => reached.has(address))) continue;
    const sent = node.sentWith.filter((key) => includesKey(expected, key));
    const isLost = sent.some(({ keyId }) => !addresses.some((address) => present.has(`${address} ${keyId}`)));
    if (isLost) return true;
  }
  return false;
}

function outboundSlots(kernel: ObservedKernel): Set<string> {
  const slots = new Set<string>();
  for (const peer of kernel.peers.values()) {
    for (const sa of peer.sas) {
      if (sa.direction === "out") slots.add(`${sa.remote.address} ${keyIdOf(sa.spi)}`);
    }
  }
  return slots;
}

function adoption(durable: DurableState, kernel: ObservedKernel): Note {
  const sas = [...kernel.peers.values()].reduce((sum, peer) => sum + peer.sas.length, 0);
  const incarnationId = durable.incarnation?.id;
  if (incarnationId === undefined) throw new Error("bug: adoption needs an incarnation");
  return { kind: "adopted", incarnationId, sas };
}

function begin(state: AgentState, observation: Observation, options: AgentOptions): AgentState {
  const identity = observation.kernel.identity;
  if (identity === null) return state;
  const { addresses } = options;
  const incarnation = { id: observation.spareIncarnationId, dataplane: identity, addresses, cleared: false };
  return {
    ...state,
    started: true,
    durable: { ...state.durable, incarnation, sendFloor: null },
    context: null,
    peers: PersistentMap.empty(),
    tally: noTally,
    toDo: PersistentMap.empty<NodeName, true>(),
    incomplete: PersistentMap.empty<NodeName, RosterRevision>(),
    unproven: PersistentMap.empty<NodeName, true>(),
    drain: null,
    through: 0 as RosterRevision,
  };
}

/** Peers delete the old life's inbound SAs when they hear of the new one: by then nothing may be sent with it. */
function clear(state: AgentState, kernel: ObservedKernel): AgentState {
  const { incarnation } = state.durable;
  if (incarnation === null || incarnation.cleared || kernel.stale || sendingPolicies(kernel).length > 0) return state;
  return { ...state, durable: { ...state.durable, incarnation: { ...incarnation, cleared: true } } };
}

/** Outbound policies that let packets out, by the name they are kept under. */
export function sendingPolicies(kernel: ObservedKernel): readonly (readonly [NodeName, HeldPolicy])[] {
  const found: (readonly [NodeName, HeldPolicy])[] = [];
  for (const [name, peer] of kernel.peers) {
    for (const policy of peer.policies) if (policy.action.kind === "protect") found.push([name, policy]);
  }
  return found;
}
