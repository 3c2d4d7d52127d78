/**
 * Jitter before a new key is loaded, so that a fleet that sees one file change does not act in one second (cilium
 * #42721). Correctness never depends on it (design 4.4).
 */
import type { KeyId } from "./key-id.js";
import type { NodeName } from "./node.js";

export interface JitterOptions {
  readonly enabled: boolean;
  /** uniform: drawn anew; slotted: a hash of node and key id, even and replayable, different each rotation. */
  readonly mode: "uniform" | "slotted";
  /** Exclusive upper end in milliseconds. */
  readonly maxMs: number;
  /** Off for rosters smaller than this. */
  readonly minNodes: number;
}

/** Milliseconds to wait; `chance` is a number in [0, 1). */
export function jitterMs(options: JitterOptions, nodes: number, node: NodeName, keyId: KeyId, chance: number): number {
  if (!options.enabled || nodes < options.minNodes) return 0;
  const share = options.mode === "uniform" ? chance : slotOf(node, keyId);
  return Math.floor(share * options.maxMs);
}

/** The same number in [0, 1) for a node always: spreads periodic work of a fleet. */
export function nodeShare(node: NodeName): number {
  return slotOf(node, 0);
}

/** A number in [0, 1): FNV-1a over name and salt, mixed by the finalizer of MurmurHash3 so that slots are even. */
export function slotOf(name: string, salt: number): number {
  let hash = 0x811c9dc5 ^ salt;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
