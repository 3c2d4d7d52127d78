/**
 * The nodes of a checkpoint by index and by address, for those that left while the agent was away. Made once per
 * checkpoint: a kernel full of unknown SAs would otherwise go through all nodes for each of them.
 */
import type { NodeName, RosterEntry } from "../core/node.js";
import type { PersistentMap } from "../core/persistent-map.js";
import type { CheckpointNode } from "../core/rotation/durable.js";
import { endpointKey, type Endpoint } from "../core/sa.js";
import { addressKeys } from "./slot-keys.js";

type Checkpoint = PersistentMap<NodeName, CheckpointNode>;

const nobody: ReadonlyMap<string, RosterEntry> = new Map();

export class CheckpointIndex {
  #of: Checkpoint | null = null;
  #bySender = nobody;
  #byAddress = nobody;

  /** The node whose SPIs carry `index` and `number`. */
  senderOf(checkpoint: Checkpoint, index: number, number: number): RosterEntry | undefined {
    this.#read(checkpoint);
    return this.#bySender.get(senderKey(index, number));
  }

  nodeAt(checkpoint: Checkpoint, remote: Endpoint): RosterEntry | undefined {
    this.#read(checkpoint);
    return this.#byAddress.get(endpointKey(remote));
  }

  /** Of two nodes with one index or address the first counts. */
  #read(checkpoint: Checkpoint): void {
    if (this.#of === checkpoint) return;
    const bySender = new Map<string, RosterEntry>();
    const byAddress = new Map<string, RosterEntry>();
    for (const [, { entry }] of checkpoint) {
      addFirst(bySender, senderKey(entry.index, entry.incarnationNumber), entry);
      for (const key of addressKeys(entry)) addFirst(byAddress, key, entry);
    }
    this.#of = checkpoint;
    this.#bySender = bySender;
    this.#byAddress = byAddress;
  }
}

function senderKey(index: number, number: number): string {
  return `${index} ${number}`;
}

function addFirst(map: Map<string, RosterEntry>, key: string, entry: RosterEntry): void {
  if (!map.has(key)) map.set(key, entry);
}
