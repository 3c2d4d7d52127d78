/**
 * What the last transactions changed, so that a watch can go on where it stopped. Bounded in
 * revisions and size: who asks for more lists again. Contiguous: from its oldest revision to the
 * store's, no transaction is missing.
 */
import type { Database } from "lmdb";
import { limits } from "../../../core/limits.js";
import type { KvChange, KvChanges } from "../kv.js";

export class History {
  readonly #db: Database<string, number>;
  /** The transactions that can be read, oldest first; sizes in characters. */
  readonly #kept: { readonly revision: number; readonly size: number }[] = [];
  #totalSize = 0;
  /** What is below may go from the disk. What is written and not yet committed is never below. */
  #first = 0;

  constructor(db: Database<string, number>) {
    this.#db = db;
    for (const { key, value } of db.getRange()) this.add(key, value.length);
  }

  /** Inside a transaction of the store. Returns the size of what it wrote. */
  write(revision: number, changes: readonly KvChange[]): number {
    const text = JSON.stringify(changes);
    this.#db.putSync(revision, text);
    for (const dropped of [...this.#db.getKeys({ end: this.#first })]) this.#db.removeSync(dropped);
    return text.length;
  }

  /**
   * After that transaction was committed. The bounds are applied here and to the disk by the next
   * write.
   */
  add(revision: number, size: number): void {
    this.#kept.push({ revision, size });
    this.#totalSize += size;
    while (
      this.#kept.length > limits.registryHistoryRevisionsMax ||
      this.#totalSize > limits.registryHistoryBytesMax
    ) {
      this.#dropOldest();
    }
  }

  /** Forgets all: every watch that is not up to date has to list again. */
  clear(): void {
    while (this.#kept.length > 0) this.#dropOldest();
  }

  /**
   * Changes under `prefix` after one revision and up to another, in commit order; null when the
   * history does not reach back that far.
   */
  read(prefix: string, after: number, through: number): readonly KvChanges[] | null {
    if (after >= through) return [];
    const oldest = this.#kept[0];
    if (oldest === undefined || oldest.revision > after + 1) return null;
    const found: KvChanges[] = [];
    for (const { key, value } of this.#db.getRange({ start: after + 1, end: through + 1 })) {
      const all = JSON.parse(value) as readonly KvChange[];
      const changes = all.filter((change) => change.key.startsWith(prefix));
      if (changes.length > 0) found.push({ kind: "changes", revision: key, changes });
    }
    return found;
  }

  #dropOldest(): void {
    const oldest = this.#kept.shift();
    if (oldest === undefined) return;
    this.#totalSize -= oldest.size;
    this.#first = oldest.revision + 1;
  }
}
