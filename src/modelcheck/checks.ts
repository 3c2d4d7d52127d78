/**
 * What must hold in every state (S1, S2, S4), and in every state in which nothing is left to happen (L1). Looks at the
 * kernels and at what was delivered, never at what an agent believes.
 */
import { isSettled } from "../core/fleet/levels.js";
import { sameKey, type KeyIdentity } from "../core/key-id.js";
import { endpointKey } from "../core/sa.js";
import { splitSpi } from "../core/spi.js";
import { PairCache } from "./interner.js";
import { accepts, selectedTo, sendsPlain, takesPlain } from "./kernel.js";
import { newestKeyId, type Ledger } from "./ledger.js";
import type { Model, State } from "./model.js";
import type { Move } from "./moves.js";
import type { NodeState } from "./node.js";
import { addressesOf, keyOf } from "./scope.js";

export interface Violation {
  readonly invariant: "S1" | "S2" | "S4" | "L1";
  readonly message: string;
}

const kinds = ["fine", "not-held", "no-sa", "stopped", "reused", "plain-dropped"] as const;
type Kind = (typeof kinds)[number];

export class Checks {
  readonly #model: Model;
  readonly #pairs = new PairCache();

  constructor(model: Model) {
    this.#model = model;
  }

  /** @param move that led here, null at the start */
  find(state: State, move: Move | null): Violation | null {
    const { names } = this.#model;
    for (let from = 0; from < names.length; from += 1) {
      for (let to = 0; to < names.length; to += 1) {
        if (from === to) continue;
        const kind = this.#pair(state, from, to);
        const isExcused = kind !== "reused" && this.#isOutside(state, from, to, kind);
        if (kind !== "fine" && !isExcused) return this.#describe(state, from, to, kind, move);
      }
    }
    return null;
  }

  /** An excluded node sends as it did; what it still takes is not what is sent to it. */
  #isOutside(state: State, from: number, to: number, kind: Kind): boolean {
    const isOutside = (position: number): boolean => this.#model.channelIn(state, position).outside;
    return isOutside(from) || (kind === "plain-dropped" && isOutside(to));
  }

  #pair(state: State, from: number, to: number): Kind {
    const [sender, receiver] = [state[from] ?? -1, state[to] ?? -1];
    const index = this.#pairs.get(sender, receiver, () =>
      kinds.indexOf(this.#kindOf(this.#model.nodes.at(sender), this.#model.nodes.at(receiver), from, to)),
    );
    return kinds[index] ?? "fine";
  }

  #kindOf(sender: NodeState, receiver: NodeState, from: number, to: number): Kind {
    const kind = kindOf(sender, receiver, from, to);
    const { levels, joins, silences } = this.#model.scope;
    if (kind !== "fine" || levels === 0 || joins > 0 || sender.lost.length + receiver.lost.length > 0) return kind;
    const isDropped = sendsPlain(sender.kernel, endpointOf(to)) && !takesPlain(receiver.kernel, endpointOf(from));
    const isExcused = silences > 0 && takesForExcluded(sender, receiver);
    return isDropped && !isExcused ? "plain-dropped" : "fine";
  }

  #describe(state: State, from: number, to: number, kind: Kind, move: Move | null): Violation {
    const sender = this.#model.nodeIn(state, from);
    const [a, b] = [sender.name, this.#model.nodeIn(state, to).name];
    if (kind === "reused") return { invariant: "S4", message: `${a} installed an outbound SA of one key and SPI again` };
    if (kind === "stopped") return { invariant: "S1", message: `${a} stopped sending to ${b}, and neither had lost its state` };
    if (kind === "plain-dropped") return { invariant: "S1", message: `${a} sends plain packets to ${b}, which drops them` };
    const sa = selectedTo(sender.kernel, endpointOf(to));
    if (sa === "none" || sa === null) return { invariant: "S1", message: `${a} selects an SA to ${b} that it does not have` };
    const isDeleted = move?.kind === "apply" && move.who === b;
    const does = isDeleted ? "has just deleted" : "does not hold";
    const message = `${a} sends to ${b} with key ${splitSpi(sa.spi).keyId}, and ${b} ${does} its SA`;
    return { invariant: isDeleted ? "S2" : "S1", message };
  }

  /** Why a fleet in which nothing is left to happen has not come to rest; null when it has. */
  findUnrest(state: State): Violation | null {
    const why = this.#whyNotAtRest(state);
    return why === null ? null : { invariant: "L1", message: `nothing is left to happen, but ${why}` };
  }

  #whyNotAtRest(state: State): string | null {
    const { names, scope } = this.#model;
    const present = names.map((_, position) => this.#model.nodeIn(state, position)).filter((node) => node.hasJoined);
    const registry = this.#model.registryIn(state);
    const ledger = this.#model.ledgerIn(state);
    const [first] = present;
    if (first === undefined) return null;
    const levels = registry.fleet.value?.levels;
    if (levels !== undefined && !isSettled(levels)) return `the fleet record says level ${levels.level ?? "unknown"} to ${levels.wanted}`;
    if (levels?.level === "off") return whyNotEmpty(present);
    const sending = levels?.level === "accept" || (scope.levels > 0 && levels === undefined) ? "pass" : "protect";
    const wanted = [registry.fleet.value?.target ?? null, ...present.map(({ disk }) => disk.durable.next)];
    if (wanted.some((key) => isLeftToOperator(key, ledger))) return null;
    const held = registry.reports.get(first.name)?.holds ?? [];
    const [key] = held;
    if (key === undefined || held.length > 1) return `${first.name} reports ${held.length} keys`;
    const newest = newestKeyId(ledger);
    if (key.keyId !== newest && !ledger.aborted.includes(newest)) return `${first.name} is on key ${key.keyId}, not ${newest}`;
    const { value } = registry.fleet;
    if (scope.coordination === "barrier" && (value?.phase !== "steady" || !sameKey(value.current, keyOf(key.keyId)))) {
      return `the fleet record says ${value?.phase ?? "nothing"}`;
    }
    if (value !== null && value.excluded.length > 0) return `${value.excluded[0]?.name ?? ""} is still excluded`;
    for (const node of present) {
      const why = this.#whyUnsettled(node, present, key.keyId, sending);
      if (why !== null) return `${node.name} ${why}`;
    }
    return null;
  }

  #whyUnsettled(node: NodeState, present: readonly NodeState[], keyId: number, sending: "pass" | "protect"): string | null {
    const peers = present.filter((peer) => peer !== node);
    const { sas, policies } = node.kernel;
    const stale = sas.find((sa) => splitSpi(sa.spi).keyId !== keyId);
    if (stale !== undefined) return `still has an SA of key ${splitSpi(stale.spi).keyId}`;
    if (sas.length !== 2 * peers.length) return `has ${sas.length} SAs, not ${2 * peers.length}`;
    if (policies.length !== 2 * peers.length) return `has ${policies.length} policies, not ${2 * peers.length}`;
    const blocked = policies.find(({ direction, action }) => direction === "out" && action.kind !== sending);
    if (blocked !== undefined) return `sends to ${blocked.peer} by ${blocked.action.kind}`;
    const recorded = [...node.disk.checkpoint.keys()].sort().join();
    return recorded === peers.map(({ name }) => name).join() ? null : `has a checkpoint of ${recorded}`;
  }
}

/** At level off. */
function whyNotEmpty(present: readonly NodeState[]): string | null {
  const node = present.find(({ kernel }) => kernel.sas.length + kernel.policies.length > 0);
  return node === undefined ? null : `${node.name} has not deleted everything at level off`;
}

/** The newest key was aborted, and the one before it, still being rotated to, is in no file any more: that needs an abort too. */
function isLeftToOperator(key: KeyIdentity | null, { files, aborted }: Ledger): boolean {
  const newest = files.at(-1) ?? [];
  return key !== null && aborted.includes(newest.at(-1) ?? 0) && !newest.includes(key.keyId);
}

/** By the record that it acted on last; what follows from a newer one it does when its plan under way is carried out. */
function takesForExcluded({ machine, disk }: NodeState, { name }: NodeState): boolean {
  const excluded = disk.durable.fleet?.record.excluded ?? [];
  return excluded.some((one) => one.name === name) || machine?.isUnderWay("apply") === true;
}

function endpointOf(position: number): { address: string; udpPort: null } {
  return { address: addressesOf(position).ipv4 ?? "", udpPort: null };
}

function kindOf(sender: NodeState, receiver: NodeState, from: number, to: number): Kind {
  if (sender.kernel.reused !== null) return "reused";
  if (hasStoppedSending(sender, receiver)) return "stopped";
  const sa = selectedTo(sender.kernel, endpointOf(to));
  if (sa === null) return "fine";
  if (sa === "none") return "no-sa";
  const isHeld = accepts(receiver.kernel, sa, endpointOf(from)) && endpointKey(sa.source) === endpointKey(endpointOf(from));
  const meant = sa.key.to.incarnationId;
  return isHeld || (receiver.lost.includes(meant) && !couldKnow(sender, receiver, meant)) ? "fine" : "not-held";
}

/** From the moment the sender saw the receiver's new life, and has had its turn and its plan, nothing is excused. */
function couldKnow(sender: NodeState, receiver: NodeState, meant: string): boolean {
  const { machine } = sender;
  if (machine === null || machine.isUnderWay("apply")) return false;
  const { roster } = machine.world;
  return roster.complete && roster.entries.get(receiver.name)?.incarnationId !== meant;
}

/** A pair of present lives that could send and cannot any more. */
function hasStoppedSending(sender: NodeState, receiver: NodeState): boolean {
  return sender.stopped.some(({ from, to }) => {
    const isPresent = from === sender.disk.durable.incarnation?.id && to === receiver.disk.durable.incarnation?.id;
    return isPresent && !sender.lost.includes(from) && !receiver.lost.includes(to);
  });
}
