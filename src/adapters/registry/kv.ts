/**
 * The lower layer of every registry: a revisioned key-value store in the manner of etcd. What a
 * roster or a fleet record is, the upper layer knows (kv-registry.ts); here are keys, texts and the
 * order of commits.
 *
 * One revision counter for the whole store; every transaction that changes something gets the next
 * one. Failures are thrown as `PortError`. After a fault on the way it is unknown whether a
 * transaction was committed, so callers write only what they may write again.
 */
import type { Stop } from "../../ports/failure.js";

/**
 * One key as stored; `revision` is that of the transaction which last wrote it. `fault` says why the
 * store does not vouch for the value: it counts as unreadable.
 */
export interface KvItem {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
  readonly fault?: string | undefined;
}

/** What the store held at one revision. Absent keys are left out; items are in key order. */
export interface KvSnapshot {
  readonly revision: number;
  readonly items: readonly KvItem[];
}

/** `unchanged` compares the revision that last wrote the key; 0 means that it is absent. */
export type KvCompare =
  | { readonly kind: "unchanged"; readonly key: string; readonly revision: number }
  | { readonly kind: "present"; readonly key: string };

/** Deleting the absent changes nothing. */
export type KvOperation =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  | { readonly kind: "delete"; readonly key: string };

export type KvOutcome =
  | { readonly kind: "committed"; readonly revision: number }
  | { readonly kind: "conflict" };

/** `value` is null for a deletion. */
export interface KvChange {
  readonly key: string;
  readonly value: string | null;
  readonly fault?: string | undefined;
}

/** What one transaction changed under the prefix of a watch. */
export interface KvChanges {
  readonly kind: "changes";
  readonly revision: number;
  readonly changes: readonly KvChange[];
}

/**
 * - changes: in commit order, each exactly once.
 * - resumed: the connection is back, and all that was missed has been sent before this.
 * - compacted: the history has a gap; the watch ended, list again.
 */
export type KvEvent =
  | KvChanges
  | { readonly kind: "resumed" }
  | { readonly kind: "compacted" }
  | { readonly kind: "disconnected"; readonly reason: string };

/**
 * Liveness of `name`, kept in memory. `beat` differs after each renewal, also across restarts of
 * the store.
 */
export interface KvLease {
  readonly name: string;
  readonly holder: string;
  readonly beat: number;
}

/** A candidate's name is stable; its session is new with each start of the program. */
export interface KvCandidate {
  readonly name: string;
  readonly session: string;
}

/** What watches need. */
export interface KvReader {
  /** All keys as of one revision. */
  get(keys: readonly string[]): Promise<KvSnapshot>;
  /**
   * All keys that start with `prefix`, as of one revision; with `limit` only the first ones. To `follow` it a snapshot may be
   * as late as a watch may be, where that is cheaper.
   */
  range(prefix: string, limit?: number, purpose?: "follow"): Promise<KvSnapshot>;
  /** Sends what was committed under `prefix` after revision `after`, from now on by itself. */
  watch(prefix: string, after: number, listener: (event: KvEvent) => void): Stop;
}

/** What deciding on the roster needs: one view, and all or nothing. */
export interface KvTransactions extends Pick<KvReader, "get" | "range"> {
  /** All operations if every comparison holds, durably, or none. */
  transaction(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome>;
}

export interface KvLeases {
  renewLease(name: string, holder: string, leaseMs: number): Promise<void>;
  /** Those that have not ended. */
  leases(): Promise<readonly KvLease[]>;
}

export interface KvElection {
  /** Takes or renews the leadership; true when the candidate leads for `leaseMs` from now. */
  lead(candidate: KvCandidate, leaseMs: number): Promise<boolean>;
  /** Gives the leadership up at once; no matter who has it. */
  resign(candidate: KvCandidate): Promise<void>;
}

export interface Kv extends KvReader, KvTransactions, KvLeases, KvElection {}
