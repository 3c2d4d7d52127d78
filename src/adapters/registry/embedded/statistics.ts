/**
 * What the registry was asked to do, for the lab's result and `/metrics`. Counts since the start of
 * the program.
 */
import type { KvChange, KvOperation } from "../kv.js";

export const recordClasses = [
  "roster",
  "reports",
  "fleet",
  "request",
  "rotations",
  "other",
] as const;
export type RecordClass = (typeof recordClasses)[number];
export type CountByClass = Readonly<Record<RecordClass, number>>;

export interface RegistryStatistics {
  /**
   * Transactions that changed something, by what they are about: an admission is one of `roster`.
   */
  readonly writes: CountByClass;
  readonly leaseRenewals: number;
  /** Renewals of the leadership and bids for it. */
  readonly leadershipBids: number;
  /** Changes told to watches: one change that N watch counts N times. */
  readonly watchEvents: CountByClass;
  /** Items of listings. */
  readonly listedItems: number;
  /** Most watch events within one second of the monotonic clock. */
  readonly peakEventsPerSecond: number;
  readonly watches: number;
}

export class StatisticsCounter {
  readonly #nowMs: () => number;
  readonly #writes = zeroes();
  readonly #watchEvents = zeroes();
  #leaseRenewals = 0;
  #leadershipBids = 0;
  #listedItems = 0;
  #second = 0;
  #eventsOfSecond = 0;
  #peakEventsPerSecond = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  countWrite([first]: readonly KvOperation[]): void {
    if (first !== undefined) this.#writes[classOf(first.key)] += 1;
  }

  countEvents(changes: readonly KvChange[]): void {
    for (const { key } of changes) this.#watchEvents[classOf(key)] += 1;
    const second = Math.floor(this.#nowMs() / 1_000);
    if (second !== this.#second) this.#eventsOfSecond = 0;
    this.#second = second;
    this.#eventsOfSecond += changes.length;
    this.#peakEventsPerSecond = Math.max(this.#peakEventsPerSecond, this.#eventsOfSecond);
  }

  countLeaseRenewal(): void {
    this.#leaseRenewals += 1;
  }

  countLeadershipBid(): void {
    this.#leadershipBids += 1;
  }

  countListedItems(count: number): void {
    this.#listedItems += count;
  }

  read(watches: number): RegistryStatistics {
    return {
      writes: { ...this.#writes },
      leaseRenewals: this.#leaseRenewals,
      leadershipBids: this.#leadershipBids,
      watchEvents: { ...this.#watchEvents },
      listedItems: this.#listedItems,
      peakEventsPerSecond: this.#peakEventsPerSecond,
      watches,
    };
  }
}

function zeroes(): Record<RecordClass, number> {
  return { roster: 0, reports: 0, fleet: 0, request: 0, rotations: 0, other: 0 };
}

/** By the first segment of the key (keys.ts). */
function classOf(key: string): RecordClass {
  const segment = key.split("/", 1)[0] ?? key;
  if (segment === "roster-meta" || segment === "released") return "roster";
  return recordClasses.find((one) => one === segment) ?? "other";
}
