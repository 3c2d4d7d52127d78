/**
 * The kernel's SAs and policies by peer, as last read back. Whose something is, is decided when it is read: an SA belongs
 * to the node that its key is bound to, a policy to whoever is at its address.
 */
import type { NodeName } from "../core/node.js";
import { heldPolicy, heldSa, type HeldPolicy, type HeldSa } from "../core/rotation/held.js";
import { noPeerKernel, type PeerKernel } from "../core/rotation/observation.js";
import { endpointKey, type Endpoint, type KeyEnd, type Operation, type SaView } from "../core/sa.js";
import type { ApplyOutcome, KernelDump } from "../ports/kernel.js";
import { unexplained } from "./plan-failures.js";
import { TouchedSlots } from "./touched-slots.js";

/** Who is who while something is read. */
export interface Owners {
  readonly nameAt: (remote: Endpoint) => NodeName;
  /** Is this life of a peer on disk? No SA is sent with before it is. */
  readonly isRecorded: (end: KeyEnd) => boolean;
}

type Read = Pick<KernelDump, "sas" | "policies">;
type Lists = { readonly sas: HeldSa[]; readonly policies: HeldPolicy[] };

export class KernelPeers {
  readonly #peers = new Map<NodeName, PeerKernel>();
  /** Under which name the policies at an address stand. */
  readonly #holders = new Map<string, NodeName>();

  get all(): ReadonlyMap<NodeName, PeerKernel> {
    return this.#peers;
  }

  copyTo(copy: KernelPeers): void {
    for (const [name, peer] of this.#peers) copy.#peers.set(name, peer);
    for (const [address, name] of this.#holders) copy.#holders.set(address, name);
  }

  /** Do policies at one of these addresses stand under another name? */
  isHeldByAnother(addresses: readonly string[], name: NodeName): boolean {
    return addresses.some((address) => (this.#holders.get(address) ?? name) !== name);
  }

  replaceAll(dump: Read, owners: Owners): void {
    const read = this.#byOwner(dump, owners);
    this.#peers.clear();
    this.#holders.clear();
    for (const [name, lists] of read) this.#set(name, lists);
  }

  /** Replaces what the operations touched by what was read back. @returns whose kernel state may have changed */
  replaceTouched(
    peers: readonly NodeName[],
    operations: readonly Operation[],
    outcome: ApplyOutcome,
    owners: Owners,
  ): ReadonlySet<NodeName> {
    const touched = new TouchedSlots(operations);
    const read = this.#byOwner(outcome, owners);
    const names = new Set([...peers, ...read.keys()]);
    for (const name of names) {
      const { sas, policies } = this.#peers.get(name) ?? noPeerKernel;
      const added = read.get(name) ?? noPeerKernel;
      this.#set(name, {
        sas: sas.filter((sa) => !touched.hasSa(sa)).concat(added.sas),
        policies: policies.filter((policy) => !touched.hasPolicy(policy)).concat(added.policies),
      });
    }
    return names;
  }

  #byOwner(read: Read, owners: Owners): Map<NodeName, Lists> {
    const byOwner = new Map<NodeName, Lists>();
    const listsOf = (name: NodeName): Lists => {
      const lists = byOwner.get(name) ?? { sas: [], policies: [] };
      byOwner.set(name, lists);
      return lists;
    };
    for (const view of read.sas) {
      const name = ownerOf(view);
      const lists = listsOf(name);
      lists.sas.push(heldSa(asBelieved(view, owners), this.#remote(name, lists, view.slot.remote)));
    }
    for (const view of read.policies) {
      const name = owners.nameAt(view.slot.remote);
      const lists = listsOf(name);
      lists.policies.push(heldPolicy(view, this.#remote(name, lists, view.slot.remote)));
    }
    return byOwner;
  }

  /** All that one peer has at an address shares one object. */
  #remote(name: NodeName, lists: Lists, remote: Endpoint): Endpoint {
    const before = this.#peers.get(name) ?? noPeerKernel;
    for (const held of [lists.sas, before.sas, before.policies, lists.policies]) {
      const known = held[0]?.remote;
      if (known?.address === remote.address && known.udpPort === remote.udpPort) return known;
    }
    return remote;
  }

  /** Lists are made to size: one that grew keeps room for several times a peer's SAs. */
  #set(name: NodeName, { sas, policies }: PeerKernel): void {
    for (const { remote } of this.#peers.get(name)?.policies ?? []) {
      const address = endpointKey(remote);
      if (this.#holders.get(address) === name) this.#holders.delete(address);
    }
    for (const { remote } of policies) this.#holders.set(endpointKey(remote), name);
    if (sas.length + policies.length === 0) this.#peers.delete(name);
    else this.#peers.set(name, { sas: sas.slice(), policies: policies.slice() });
  }
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
