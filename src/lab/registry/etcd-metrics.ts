/** What an etcd server counts of itself, from its `/metrics` (names of etcd 3.4 to 3.6). */
import type { EtcdEndpoint } from "../../adapters/registry/etcd/options.js";
import { formatEndpoint } from "../../adapters/registry/etcd/options.js";

export interface EtcdCounters {
  /** Events sent to watches. */
  readonly watchEvents: number;
  readonly leaseRenewals: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly cpuSeconds: number;
}

const names: Readonly<Record<keyof EtcdCounters, string>> = {
  watchEvents: "etcd_debugging_mvcc_events_total",
  leaseRenewals: "etcd_debugging_lease_renewed_total",
  sentBytes: "etcd_network_client_grpc_sent_bytes_total",
  receivedBytes: "etcd_network_client_grpc_received_bytes_total",
  cpuSeconds: "process_cpu_seconds_total",
};

export const noCounters: EtcdCounters = {
  watchEvents: 0,
  leaseRenewals: 0,
  sentBytes: 0,
  receivedBytes: 0,
  cpuSeconds: 0,
};

const answerWithinMs = 1_000;

/** Null while it does not answer. */
export async function readCounters(endpoint: EtcdEndpoint): Promise<EtcdCounters | null> {
  const text = await fetchText(endpoint, "metrics");
  if (text === null) return null;
  const entries = Object.entries(names).map(([key, name]) => [key, valueOf(text, name)] as const);
  return Object.fromEntries(entries) as Record<keyof EtcdCounters, number>;
}

export async function isHealthy(endpoint: EtcdEndpoint): Promise<boolean> {
  return (await fetchText(endpoint, "health"))?.includes('"true"') ?? false;
}

/**
 * Counters of several members and of their lives, added up: a server that starts again counts from
 * zero.
 */
export class EtcdTotals {
  readonly #endpoints: readonly EtcdEndpoint[];
  readonly #ended: EtcdCounters[];
  readonly #last: EtcdCounters[];

  constructor(endpoints: readonly EtcdEndpoint[]) {
    this.#endpoints = endpoints;
    this.#ended = endpoints.map(() => noCounters);
    this.#last = endpoints.map(() => noCounters);
  }

  /** With what was known last of members that do not answer. */
  async read(): Promise<EtcdCounters> {
    await Promise.all(this.#endpoints.map((endpoint, index) => this.#readOne(endpoint, index)));
    return [...this.#ended, ...this.#last].reduce(addCounters);
  }

  async #readOne(endpoint: EtcdEndpoint, index: number): Promise<void> {
    const counters = await readCounters(endpoint);
    if (counters === null) return;
    const last = this.#last[index] ?? noCounters;
    const hasRestarted = counters.cpuSeconds < last.cpuSeconds;
    if (hasRestarted) this.#ended[index] = addCounters(this.#ended[index] ?? noCounters, last);
    this.#last[index] = counters;
  }
}

export function addCounters(one: EtcdCounters, other: EtcdCounters): EtcdCounters {
  return {
    watchEvents: one.watchEvents + other.watchEvents,
    leaseRenewals: one.leaseRenewals + other.leaseRenewals,
    sentBytes: one.sentBytes + other.sentBytes,
    receivedBytes: one.receivedBytes + other.receivedBytes,
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
  };
}

async function fetchText(endpoint: EtcdEndpoint, path: string): Promise<string | null> {
  try {
    const signal = AbortSignal.timeout(answerWithinMs);
    const answer = await fetch(`http://${formatEndpoint(endpoint)}/${path}`, { signal });
    return await answer.text();
  } catch {
    return null; // Not there, or not now.
  }
}

/** 0 for one that this version does not have. */
function valueOf(text: string, name: string): number {
  const [, value] = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(text) ?? [];
  return Number(value ?? 0);
}
