/**
 * The embedded store on disk: LMDB, with one revision counter, and a bounded history for watches.
 *
 * Invariant: when `commit` resolves, the transaction survives a crash at any byte. LMDB writes
 * pages beside those in use, flushes, and only then writes the root, synchronously. lmdb-js's
 * `overlappingSync` (its default) would answer before the flush, so it is off. Each transaction is
 * a child of LMDB's, so a fault in the middle leaves nothing of it.
 *
 * Does not know who watches, nor what the texts mean.
 */
import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { open, type Database, type RootDatabase } from "lmdb";
import { PortError } from "../../port-error.js";
import type {
  KvChange,
  KvChanges,
  KvCompare,
  KvItem,
  KvOperation,
  KvOutcome,
  KvSnapshot,
} from "../kv.js";
import { History } from "./history.js";
import { claimStore, releaseStore } from "./owner.js";

/** Whom a restarted store still takes for the leader. */
export interface LastLeader {
  readonly name: string;
  readonly leaseMs: number;
}

/** Revision and value. */
type StoredItem = readonly [number, string];
type Committed = KvOutcome & { readonly historySize?: number };

const formatVersion = 1;

export class EmbeddedStore {
  readonly #root: RootDatabase;
  readonly #meta: Database;
  readonly #items: Database<StoredItem, string>;
  readonly #history: History;
  /** Differs for each store ever created: a client notices when it was replaced. */
  readonly id: string;

  /** @throws PortError REGISTRY_STORE_FAILED, REGISTRY_STORE_VERSION or REGISTRY_STORE_IN_USE */
  constructor(directory: string) {
    this.#root = openDirectory(directory);
    this.#meta = this.#root.openDB({ name: "meta", encoding: "json" });
    try {
      claimStore(this.#meta);
      this.id = identify(this.#meta);
    } catch (cause) {
      void this.#root.close();
      throw cause;
    }
    this.#items = this.#root.openDB({ name: "items", encoding: "json" });
    this.#history = new History(this.#root.openDB({ name: "history", encoding: "string" }));
  }

  /** Of the last durable transaction; 0 before the first. */
  get revision(): number {
    return this.#revision();
  }

  get(keys: readonly string[]): KvSnapshot {
    const transaction = this.#root.useReadTransaction();
    try {
      const items = keys.flatMap((key) => itemsOf(key, this.#items.get(key, { transaction })));
      return { revision: this.#revision({ transaction }), items };
    } finally {
      transaction.done();
    }
  }

  /** `prefix` is not empty. */
  range(prefix: string, limit?: number): KvSnapshot {
    const transaction = this.#root.useReadTransaction();
    try {
      const bounds = { start: prefix, end: afterPrefix(prefix), transaction };
      const found = this.#items.getRange(limit === undefined ? bounds : { ...bounds, limit });
      const items = [...found].flatMap(({ key, value }) => itemsOf(key, value));
      return { revision: this.#revision({ transaction }), items };
    } finally {
      transaction.done();
    }
  }

  /** @throws PortError REGISTRY_STORE_FAILED: whether it was written is then unknown */
  async commit(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome> {
    const outcome = await this.#durably(() => this.#apply(compares, operations));
    if (outcome.kind === "conflict") return outcome;
    if (outcome.historySize !== undefined) this.#history.add(outcome.revision, outcome.historySize);
    return { kind: "committed", revision: outcome.revision };
  }

  /** See History.read. */
  changes(prefix: string, after: number, through: number): readonly KvChanges[] | null {
    return this.#history.read(prefix, after, through);
  }

  /** The next transaction gets a higher one than this. Of an empty store: its history would have a gap. */
  async raiseRevision(revision: number): Promise<void> {
    await this.#durably(() => {
      this.#meta.putSync("revision", Math.max(this.#revision(), revision));
      return null;
    });
  }

  forgetHistory(): void {
    this.#history.clear();
  }

  readLeader(): LastLeader | null {
    return (this.#meta.get("leader") as LastLeader | undefined) ?? null;
  }

  async writeLeader(leader: LastLeader | null): Promise<void> {
    await this.#durably(() => {
      if (leader === null) this.#meta.removeSync("leader");
      else this.#meta.putSync("leader", leader);
      return null;
    });
  }

  /** Waits for transactions under way. */
  async close(): Promise<void> {
    releaseStore(this.#meta);
    await this.#root.close();
  }

  #revision(options = {}): number {
    return (this.#meta.get("revision", options) as number | undefined) ?? 0;
  }

  /** Runs inside a transaction of LMDB, which sees those queued before it. */
  #apply(compares: readonly KvCompare[], operations: readonly KvOperation[]): Committed {
    if (!compares.every((compare) => this.#holds(compare))) return { kind: "conflict" };
    const before = this.#revision();
    const changes = operations.flatMap((operation) => this.#perform(operation, before + 1));
    if (changes.length === 0) return { kind: "committed", revision: before };
    this.#meta.putSync("revision", before + 1);
    const historySize = this.#history.write(before + 1, changes);
    return { kind: "committed", revision: before + 1, historySize };
  }

  #holds(compare: KvCompare): boolean {
    const revision = this.#items.get(compare.key)?.[0] ?? 0;
    return compare.kind === "present" ? revision > 0 : revision === compare.revision;
  }

  #perform(operation: KvOperation, revision: number): readonly KvChange[] {
    const { key } = operation;
    if (operation.kind === "put") {
      this.#items.putSync(key, [revision, operation.value]);
      return [{ key, value: operation.value }];
    }
    if (this.#items.get(key) === undefined) return [];
    this.#items.removeSync(key);
    return [{ key, value: null }];
  }

  async #durably<T>(transaction: () => T): Promise<T> {
    try {
      return await this.#root.childTransaction(transaction);
    } catch (cause) {
      muteCommitError(cause);
      throw storeFailure(cause);
    }
  }
}

function openDirectory(directory: string): RootDatabase {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return open({
      path: directory,
      noSubdir: false,
      overlappingSync: false,
      // Its batches make a promise that nobody can hear; when the disk is full it would end the
      // program.
      eventTurnBatching: false,
      encoding: "json",
    });
  } catch (cause) {
    throw storeFailure(cause);
  }
}

function identify(meta: Database): string {
  return meta.transactionSync(() => {
    const version: unknown = meta.get("formatVersion");
    if (version !== undefined && version !== formatVersion) {
      const message = `the registry's store has format ${String(version)}, not ${formatVersion}`;
      throw new PortError("REGISTRY_STORE_VERSION", message, false);
    }
    const id = (meta.get("id") as string | undefined) ?? randomUUID();
    meta.putSync("formatVersion", formatVersion);
    meta.putSync("id", id);
    return id;
  });
}

function itemsOf(key: string, stored: StoredItem | undefined): readonly KvItem[] {
  return stored === undefined ? [] : [{ key, revision: stored[0], value: stored[1] }];
}

/** The first key after all that start with `prefix`; keys are ASCII. */
function afterPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

/** lmdb-js rejects a second promise beside the first; unheard, it would end the program. */
function muteCommitError(cause: unknown): void {
  const second = (cause as { readonly commitError?: unknown }).commitError;
  if (second instanceof Promise) second.catch(() => undefined);
}

function storeFailure(cause: unknown): PortError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `the registry's store failed: ${reason}`;
  return new PortError("REGISTRY_STORE_FAILED", message, true, { cause });
}
