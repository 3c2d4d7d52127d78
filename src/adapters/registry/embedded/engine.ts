/**
 * The embedded registry as a Kv in its own process: the store, who watches it, leases and
 * leadership. The socket server serves this same object to others.
 *
 * Invariant: a watch is told of a transaction after it is durable, in commit order, exactly once.
 * What is told is read back from the history, so nothing depends on the order in which promises
 * resolve.
 */
import { PortError } from "../../port-error.js";
import type { Stop } from "../../../ports/failure.js";
import { systemClock } from "../../system/clock.js";
import type {
  Kv,
  KvCandidate,
  KvChanges,
  KvCompare,
  KvEvent,
  KvLease,
  KvOperation,
  KvOutcome,
  KvSnapshot,
} from "../kv.js";
import { afterRestart, bid, holds, Leases, type Leadership } from "./leases.js";
import { checkKeys, checkTransaction } from "../request-bounds.js";
import { StatisticsCounter, type RegistryStatistics } from "./statistics.js";
import type { EmbeddedStore } from "./store.js";

/** `caught-up` follows what was missed: from `revision` on changes come as they are committed. */
export type EngineEvent =
  | KvChanges
  | { readonly kind: "caught-up"; readonly revision: number }
  | { readonly kind: "compacted" };

interface Watcher {
  readonly prefix: string;
  readonly listener: (event: EngineEvent) => void;
  /** Revision up to which this watch knows everything. */
  seen: number;
}

export class EmbeddedEngine implements Kv {
  readonly #store: EmbeddedStore;
  readonly #leases = new Leases();
  readonly #statistics = new StatisticsCounter(systemClock.nowMs);
  readonly #watchers = new Set<Watcher>();
  #leadership: Leadership | null;
  #isClosed = false;
  /** Revision up to which the watches were told. */
  #published: number;

  constructor(store: EmbeddedStore) {
    this.#store = store;
    this.#published = store.revision;
    this.#leadership = afterRestart(store.readLeader(), systemClock.nowMs());
  }

  get storeId(): string {
    return this.#store.id;
  }

  get published(): number {
    return this.#published;
  }

  async get(keys: readonly string[]): Promise<KvSnapshot> {
    this.#checkOpen();
    checkKeys(keys);
    return this.#store.get(keys);
  }

  async range(prefix: string, limit?: number): Promise<KvSnapshot> {
    this.#checkOpen();
    checkKeys([prefix]);
    const snapshot = this.#store.range(prefix, limit);
    this.#statistics.countListedItems(snapshot.items.length);
    return snapshot;
  }

  async transaction(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome> {
    this.#checkOpen();
    checkTransaction(compares, operations);
    const outcome = await this.#store.commit(compares, operations);
    if (outcome.kind === "committed") this.#statistics.countWrite(operations);
    if (!this.#isClosed) this.#publish();
    return outcome;
  }

  watch(prefix: string, after: number, listener: (event: KvEvent) => void): Stop {
    return this.observe(prefix, after, (event) => {
      if (event.kind !== "caught-up") listener(event);
    });
  }

  /** As `watch`, and tells when it has caught up. */
  observe(prefix: string, after: number, listener: (event: EngineEvent) => void): Stop {
    checkKeys([prefix]);
    const watcher: Watcher = { prefix, listener, seen: after };
    let isStopped = false;
    // Later, so that a caller knows how to stop before it hears anything.
    queueMicrotask(() => {
      if (!isStopped && !this.#isClosed) this.#catchUp(watcher);
    });
    return () => {
      isStopped = true;
      this.#watchers.delete(watcher);
    };
  }

  async renewLease(name: string, holder: string, leaseMs: number): Promise<void> {
    checkKeys([name]);
    this.#leases.renew(name, holder, leaseMs, systemClock.nowMs());
    this.#statistics.countLeaseRenewal();
  }

  async leases(): Promise<readonly KvLease[]> {
    return this.#leases.list(systemClock.nowMs());
  }

  async lead(candidate: KvCandidate, leaseMs: number): Promise<boolean> {
    this.#checkOpen();
    this.#statistics.countLeadershipBid();
    const before = this.#leadership;
    const granted = bid(before, candidate, leaseMs, systemClock.nowMs());
    if (granted === null) return false;
    this.#leadership = granted;
    if (before?.name !== granted.name || before.leaseMs !== leaseMs) {
      await this.#store.writeLeader({ name: granted.name, leaseMs });
    }
    return true;
  }

  async resign(candidate: KvCandidate): Promise<void> {
    this.#checkOpen();
    if (this.#leadership === null || !holds(this.#leadership, candidate)) return;
    this.#leadership = null;
    await this.#store.writeLeader(null);
  }

  statistics(): RegistryStatistics {
    return this.#statistics.read(this.#watchers.size);
  }

  /** Forgets the history, as its bounds do in time: watches that are not up to date list again. */
  forgetHistory(): void {
    this.#store.forgetHistory();
  }

  /** Ends all watches, waits for transactions under way and closes the store. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watchers.clear();
    await this.#store.close();
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new PortError("REGISTRY_CLOSED", "the registry was closed", false);
  }

  /** A revision from the future belongs to a store that was replaced. */
  #catchUp(watcher: Watcher): void {
    if (watcher.seen > this.#store.revision) return watcher.listener({ kind: "compacted" });
    const missed = this.#store.changes(watcher.prefix, watcher.seen, this.#published);
    if (missed === null) return watcher.listener({ kind: "compacted" });
    this.#watchers.add(watcher);
    for (const changes of missed) this.#tell(watcher, changes);
    watcher.seen = Math.max(watcher.seen, this.#published);
    if (!this.#watchers.has(watcher)) return;
    watcher.listener({ kind: "caught-up", revision: watcher.seen });
  }

  #publish(): void {
    const through = this.#store.revision;
    const batches = this.#store.changes("", this.#published, through);
    this.#published = through;
    if (batches === null) return this.#compactAll();
    for (const changes of batches) this.#publishOne(changes);
  }

  /** Watches of one prefix get the same object, so that the server encodes it once. */
  #publishOne({ revision, changes }: KvChanges): void {
    const byPrefix = new Map<string, KvChanges>();
    for (const watcher of [...this.#watchers]) {
      const { prefix } = watcher;
      let own = byPrefix.get(prefix);
      if (own === undefined) {
        const matching = changes.filter((change) => change.key.startsWith(prefix));
        own = { kind: "changes", revision, changes: matching };
        byPrefix.set(prefix, own);
      }
      this.#tell(watcher, own);
    }
  }

  #tell(watcher: Watcher, changes: KvChanges): void {
    if (changes.changes.length === 0 || changes.revision <= watcher.seen) return;
    if (!this.#watchers.has(watcher)) return;
    watcher.seen = changes.revision;
    this.#statistics.countEvents(changes.changes);
    watcher.listener(changes);
  }

  #compactAll(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const { listener } of watchers) listener({ kind: "compacted" });
  }
}
