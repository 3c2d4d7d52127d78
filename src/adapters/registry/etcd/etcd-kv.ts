/** An etcd cluster as the store of kv.ts. Owns its connection and its watches. */
import type { Stop } from "../../../ports/failure.js";
import type {
  Kv,
  KvCandidate,
  KvCompare,
  KvEvent,
  KvLease,
  KvOperation,
  KvOutcome,
  KvSnapshot,
} from "../kv.js";
import { checkKeys } from "../request-bounds.js";
import { EtcdCalls } from "./calls.js";
import { EtcdLeases } from "./leases.js";
import type { EtcdOptions } from "./options.js";
import { EtcdStore } from "./store.js";
import { EtcdWatch } from "./watch.js";

export class EtcdKv implements Kv {
  readonly #calls: EtcdCalls;
  readonly #store: EtcdStore;
  readonly #leases: EtcdLeases;
  readonly #keyPrefix: string;
  readonly #watches = new Set<EtcdWatch>();

  constructor(options: EtcdOptions) {
    this.#keyPrefix = options.prefix;
    this.#calls = new EtcdCalls(options);
    this.#store = new EtcdStore(this.#calls, options.prefix);
    this.#leases = new EtcdLeases(this.#calls, this.#store, options.prefix);
  }

  get(keys: readonly string[]): Promise<KvSnapshot> {
    return this.#store.get(keys);
  }

  range(prefix: string, limit?: number): Promise<KvSnapshot> {
    return this.#store.range(prefix, limit);
  }

  transaction(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome> {
    return this.#store.transaction(compares, operations);
  }

  watch(prefix: string, after: number, listener: (event: KvEvent) => void): Stop {
    checkKeys([prefix]);
    const watch = new EtcdWatch(this.#calls, this.#keyPrefix, prefix, after, listener);
    this.#watches.add(watch);
    return () => {
      this.#watches.delete(watch);
      watch.stop();
    };
  }

  renewLease(name: string, holder: string, leaseMs: number): Promise<void> {
    checkKeys([name]);
    return this.#leases.renew(name, holder, leaseMs);
  }

  leases(): Promise<readonly KvLease[]> {
    return this.#leases.list();
  }

  lead(candidate: KvCandidate, leaseMs: number): Promise<boolean> {
    return this.#leases.lead(candidate, leaseMs);
  }

  resign(candidate: KvCandidate): Promise<void> {
    return this.#leases.resign(candidate);
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
    this.#watches.clear();
    this.#calls.close();
  }
}
