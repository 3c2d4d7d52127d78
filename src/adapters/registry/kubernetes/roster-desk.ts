/**
 * The leader's view of the roster in memory, as the store that ../admission.ts decides upon. A
 * decision changes the memory at once and becomes an intent; the leader writes intents to the API
 * server in batches (roster-leader.ts). Nothing else may look at this view.
 *
 * Does not talk to anybody, but for the fleet record, which it asks for when an index or a number
 * must be given out again.
 */
import { assert } from "../../../core/assert.js";
import { limits } from "../../../core/limits.js";
import {
  fleetKey,
  releasedKey,
  releasedPrefix,
  reportPrefix,
  rosterKey,
  rosterMetaKey,
  rosterPrefix,
} from "../keys.js";
import type { NodeName, RosterRevision } from "../../../core/node.js";
import type { NodeIndex } from "../../../core/spi.js";
import type { KvCompare, KvItem, KvOperation, KvOutcome } from "../kv.js";
import type { KvSnapshot, KvTransactions } from "../kv.js";
import { releasedIndexSchema, rosterMetaSchema, rosterRecordSchema } from "../schemas.js";
import type { Ledger, ReleasedPlace, RosterIntent } from "./roster-ledger.js";

/** What the leader knows besides the roster. */
export interface Evidence {
  readonly reports: () => readonly KvItem[];
  readonly fleet: () => Promise<KvItem | null>;
}

export class RosterDesk implements KvTransactions {
  readonly #evidence: Evidence;
  readonly #entries: Map<string, KvItem>;
  #ledger: Ledger;
  #intents: RosterIntent[] = [];

  constructor(ledger: Ledger, entries: readonly KvItem[], evidence: Evidence) {
    this.#ledger = ledger;
    this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
    this.#evidence = evidence;
  }

  entryOf(name: NodeName): KvItem | undefined {
    return this.#entries.get(rosterKey(name));
  }

  /** Of all entries. */
  names(): readonly string[] {
    return [...this.#entries.keys()].map((key) => key.slice(rosterPrefix.length));
  }

  /** How many changes wait to be announced. */
  get waiting(): number {
    return this.#intents.length;
  }

  /** The ledger that announces what was decided since the last call. */
  announce(): Ledger {
    this.#ledger = { ...this.#ledger, intents: this.#intents };
    this.#intents = [];
    return this.#ledger;
  }

  async get(keys: readonly string[]): Promise<KvSnapshot> {
    const items = await Promise.all(keys.map((key) => this.#item(key)));
    return this.#snapshot(items.filter((item) => item !== null));
  }

  async range(prefix: string, limit?: number): Promise<KvSnapshot> {
    if (prefix === reportPrefix) return this.#snapshot(this.#evidence.reports());
    if (prefix === rosterPrefix) return this.#snapshot([...this.#entries.values()]);
    assert(prefix === releasedPrefix, "a decision reads nothing else");
    if (this.#ledger.released.length === 0) this.#findReleased();
    return this.#snapshot(this.#ledger.released.slice(0, limit).map(releasedItem));
  }

  async transaction(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome> {
    assert(compares.every((compare) => this.#holds(compare)), "nobody else changes the desk");
    const revision = this.#ledger.revision + 1;
    this.#ledger = { ...this.#ledger, revision };
    for (const operation of operations) this.#apply(operation, revision);
    return { kind: "committed", revision };
  }

  async #item(key: string): Promise<KvItem | null> {
    if (key === fleetKey) return this.#evidence.fleet();
    if (key !== rosterMetaKey) return this.#entries.get(key) ?? null;
    const { revision, nextIndex } = this.#ledger;
    if (revision === 0) return null;
    return { key, revision, value: JSON.stringify({ schemaVersion: 1, nextIndex }) };
  }

  #snapshot(items: readonly KvItem[]): KvSnapshot {
    return { revision: this.#ledger.revision, items };
  }

  #holds(compare: KvCompare): boolean {
    if (compare.kind === "present") return this.#entries.has(compare.key);
    const stored =
      compare.key === rosterMetaKey
        ? this.#ledger.revision
        : (this.#entries.get(compare.key)?.revision ?? 0);
    return stored === compare.revision;
  }

  #apply(operation: KvOperation, revision: number): void {
    const { key } = operation;
    if (key.startsWith(reportPrefix)) return; // The object itself is the report.
    if (key.startsWith(releasedPrefix)) return this.#applyReleased(operation);
    if (key === rosterMetaKey) {
      assert(operation.kind === "put", "the ledger is never deleted");
      const { nextIndex } = rosterMetaSchema.parse(JSON.parse(operation.value));
      this.#ledger = { ...this.#ledger, nextIndex };
      return;
    }
    const value = operation.kind === "put" ? operation.value : null;
    const record = value === null ? null : rosterRecordSchema.parse(JSON.parse(value));
    if (value === null) this.#entries.delete(key);
    else this.#entries.set(key, { key, value, revision });
    const name = key.slice(rosterPrefix.length);
    this.#intents.push({ name, revision, record });
  }

  /** What the ledger has no room for is found again by `#findReleased`. */
  #applyReleased(operation: KvOperation): void {
    const { released } = this.#ledger;
    const others = released.filter((place) => releasedItem(place).key !== operation.key);
    if (operation.kind === "delete") this.#ledger = { ...this.#ledger, released: others };
    else if (released.length < limits.rosterReleasedMax) {
      const { index, after } = releasedIndexSchema.parse(JSON.parse(operation.value));
      this.#ledger = { ...this.#ledger, released: [...others, { index, after }] };
    }
  }

  /**
   * Indices that were given out, belong to nobody and are in no queue. Whose they were is forgotten,
   * so they count as released by the last change. An entry that cannot be read may have any index:
   * then there are none.
   */
  #findReleased(): void {
    const taken = new Set<number>();
    for (const { value, fault } of this.#entries.values()) {
      if (fault !== undefined) return;
      taken.add(rosterRecordSchema.parse(JSON.parse(value)).index);
    }
    const found: ReleasedPlace[] = [];
    const { nextIndex, revision: after } = this.#ledger;
    for (let index = 0; index < nextIndex && found.length < limits.rosterReleasedMax; index++) {
      if (!taken.has(index)) found.push({ index, after });
    }
    this.#ledger = { ...this.#ledger, released: found };
  }
}

function releasedItem({ index, after }: ReleasedPlace): KvItem {
  const key = releasedKey(after as RosterRevision, index as NodeIndex);
  return { key, value: JSON.stringify({ schemaVersion: 1, index, after }), revision: after };
}
