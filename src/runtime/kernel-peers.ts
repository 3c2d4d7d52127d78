/**
 * The kernel's SAs and policies by peer, as last read back. Whose something is, is decided when it is read: an SA belongs
 * to the node that its key is bound to, a policy to whoever is at its address.
 */
import type { NodeName } from "../core/node.js";
import { heldPolicy, heldSa, heldUse, samePolicy, sameSa, type HeldPolicy, type HeldSa } from "../core/rotation/held.js";
import { noPeerKernel, type HeldCounts, type PeerKernel } from "../core/rotation/observation.js";
import { endpointKey, sameEndpoint, type Endpoint, type KeyEnd, type Operation, type SaView } from "../core/sa.js";
import type { ApplyOutcome, KernelDump } from "../ports/kernel.js";
import { figuresOf, type KeyFigure } from "./key-figures.js";
import { unexplained } from "./plan-failures.js";
import { TouchedSlots } from "./touched-slots.js";

/** Who is who while something is read. */
export interface Owners {
  readonly nameAt: (remote: Endpoint) => NodeName;
  /** Is this life of a peer on disk? No SA is sent with before it is. */
  readonly isRecorded: (end: KeyEnd) => boolean;
}

type Read = Pick<KernelDump, "sas" | "policies">;

/** What was read of one peer, beside what it had before. */
interface Reading {
  readonly before: PeerKernel;
  readonly sas: HeldSa[];
  readonly policies: HeldPolicy[];
}

type Counts = { -readonly [name in keyof HeldCounts]: number };

export class KernelPeers {
  readonly #peers = new Map<NodeName, PeerKernel>();
  /** Under which name the policies at an address stand. */
  readonly #holders = new Map<string, NodeName>();
  readonly #counts: Counts = { sasIn: 0, sasOut: 0, policiesIn: 0, policiesOut: 0 };
  #figures: readonly KeyFigure[] = [];

  get all(): ReadonlyMap<NodeName, PeerKernel> {
    return this.#peers;
  }

  get counts(): HeldCounts {
    return this.#counts;
  }

  /** Of the last dump, by key id and direction. */
  get figures(): readonly KeyFigure[] {
    return this.#figures;
  }

  copyTo(copy: KernelPeers): void {
    for (const [name, peer] of this.#peers) copy.#peers.set(name, peer);
    for (const [address, name] of this.#holders) copy.#holders.set(address, name);
    Object.assign(copy.#counts, this.#counts);
    copy.#figures = this.#figures;
  }

  /** Do policies at one of these addresses stand under another name? */
  isHeldByAnother(addresses: readonly string[], name: NodeName): boolean {
    return addresses.some((address) => (this.#holders.get(address) ?? name) !== name);
  }

  /** From here on in the order of the dump. @returns who has other SAs or policies than before, mostly nobody */
  replaceAll(dump: Read, owners: Owners, nowMs: number): readonly NodeName[] {
    const read = this.#byOwner(dump, owners, nowMs);
    this.#figures = figuresOf(read.values(), this.#figures);
    const changed: NodeName[] = [];
    for (const [name, before] of this.#peers) {
      if (read.has(name)) continue;
      changed.push(name);
      this.#set(name, before, noPeerKernel);
    }
    this.#peers.clear();
    for (const [name, { before, sas, policies }] of read) {
      const isUntouched = sameList(before.sas, sas, Object.is) && sameList(before.policies, policies, Object.is);
      const peer = isUntouched ? before : { sas: sas.slice(), policies: policies.slice() };
      if (!sameKernel(before, peer)) changed.push(name);
      this.#set(name, before, peer);
    }
    return changed;
  }

  /** Replaces what the operations touched by what was read back. @returns whose kernel state may have changed */
  replaceTouched(
    peers: readonly NodeName[],
    operations: readonly Operation[],
    outcome: ApplyOutcome,
    owners: Owners,
    nowMs: number,
  ): ReadonlySet<NodeName> {
    const touched = new TouchedSlots(operations);
    const read = this.#byOwner(outcome, owners, nowMs);
    const names = new Set([...peers, ...read.keys()]);
    for (const name of names) {
      const before = this.#peers.get(name) ?? noPeerKernel;
      const added = read.get(name) ?? noPeerKernel;
      this.#set(name, before, {
        sas: before.sas.filter((sa) => !touched.hasSa(sa)).concat(added.sas),
        policies: before.policies.filter((policy) => !touched.hasPolicy(policy)).concat(added.policies),
      });
    }
    return names;
  }

  #byOwner(read: Read, owners: Owners, nowMs: number): Map<NodeName, Reading> {
    const byOwner = new Map<NodeName, Reading>();
    const readingOf = (name: NodeName): Reading => {
      const known = byOwner.get(name);
      if (known !== undefined) return known;
      const reading = { before: this.#peers.get(name) ?? noPeerKernel, sas: [], policies: [] };
      byOwner.set(name, reading);
      return reading;
    };
    for (const view of read.sas) {
      const reading = readingOf(ownerOf(view));
      const use = heldUse(view, reading.before.sas, nowMs);
      const sa = heldSa(asBelieved(view, owners), remoteOf(reading, view.slot.remote), use);
      reading.sas.push(reading.before.sas.find((known) => isStill(known, sa)) ?? sa);
    }
    for (const view of read.policies) {
      const reading = readingOf(owners.nameAt(view.slot.remote));
      const policy = heldPolicy(view, remoteOf(reading, view.slot.remote));
      reading.policies.push(reading.before.policies.find((known) => samePolicy(known, policy)) ?? policy);
    }
    return byOwner;
  }

  /** Its lists are made to size: one that grew keeps room for several times a peer's SAs. */
  #set(name: NodeName, before: PeerKernel, peer: PeerKernel): void {
    if (peer !== before) {
      this.#hold(name, before.policies, peer.policies);
      this.#count(before, -1);
      this.#count(peer, 1);
    }
    if (peer.sas.length + peer.policies.length === 0) this.#peers.delete(name);
    else this.#peers.set(name, peer);
  }

  #hold(name: NodeName, before: readonly HeldPolicy[], policies: readonly HeldPolicy[]): void {
    for (const { remote } of before) {
      const address = endpointKey(remote);
      if (this.#holders.get(address) === name) this.#holders.delete(address);
    }
    for (const { remote } of policies) this.#holders.set(endpointKey(remote), name);
  }

  #count({ sas, policies }: PeerKernel, sign: 1 | -1): void {
    const [sasIn, policiesIn] = [countInbound(sas), countInbound(policies)];
    this.#counts.sasIn += sign * sasIn;
    this.#counts.sasOut += sign * (sas.length - sasIn);
    this.#counts.policiesIn += sign * policiesIn;
    this.#counts.policiesOut += sign * (policies.length - policiesIn);
  }
}

function countInbound(held: readonly { readonly direction: "in" | "out" }[]): number {
  let inbound = 0;
  for (const { direction } of held) if (direction === "in") inbound += 1;
  return inbound;
}

/** All that one peer has at an address shares one object. */
function remoteOf({ before, sas, policies }: Reading, remote: Endpoint): Endpoint {
  for (const held of [sas, before.sas, before.policies, policies]) {
    const known = held[0]?.remote;
    if (known !== undefined && sameEndpoint(known, remote)) return known;
  }
  return remote;
}

/** The same SA, and nothing has passed it in between. */
function isStill(known: HeldSa, sa: HeldSa): boolean {
  return sameSa(known, sa) && known.packets === sa.packets && known.sequence === sa.sequence && known.use?.esn === sa.use?.esn;
}

/** Nothing has changed but what passed the SAs. */
function sameKernel(one: PeerKernel, other: PeerKernel): boolean {
  return one === other || (sameList(one.sas, other.sas, sameSa) && sameList(one.policies, other.policies, samePolicy));
}

function sameList<T>(one: readonly T[], other: readonly T[], same: (one: T, other: T) => boolean): boolean {
  return one.length === other.length && one.every((item, place) => same(item, other[place] as T));
}

/**
 * Whose an SA is, is told by its address, and an address can be a new node's: before the key file is read, an outbound SA
 * of the node that had it before looks like the new one's, and peers would get what they cannot open. Ours would be on
 * record.
 */
function asBelieved(view: SaView, { isRecorded }: Owners): SaView {
  const { slot, key, bytes } = view;
  if (bytes !== "unverifiable" || key === null || slot.direction === "in" || isRecorded(key.to)) return view;
  return { ...view, bytes: "mismatch" };
}

function ownerOf({ slot, key }: SaView): NodeName {
  if (key === null) return unexplained;
  return slot.direction === "in" ? key.from.name : key.to.name;
}
