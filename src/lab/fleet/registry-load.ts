/**
 * What a span of time cost the registry. Its own counters are read; they begin again when its
 * program does, so they are added up here. The lab's own watches are taken off the events.
 */
import { systemClock } from "../../adapters/system/clock.js";
import type { FleetView } from "./fleet-view.js";

/** Counts; events are those sent to agents and controller. */
export interface RegistryCounts {
  readonly writes: number;
  readonly writesByClass: Readonly<Record<string, number>>;
  readonly leaseRenewals: number;
  readonly watchEvents: number;
}

const sampleMs = 200;
const peakWindowMs = 1_000;

export const noCounts: RegistryCounts = {
  writes: 0,
  writesByClass: {},
  leaseRenewals: 0,
  watchEvents: 0,
};

export class RegistryLoad {
  readonly #view: FleetView;
  readonly #timer: NodeJS.Timeout;
  readonly #samples: { readonly atMs: number; readonly events: number }[] = [];
  #base: RegistryCounts = noCounts;
  #last: RegistryCounts = noCounts;
  #peak = 0;

  constructor(view: FleetView) {
    this.#view = view;
    this.#timer = setInterval(() => void this.read(), sampleMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Most events within one second since the last `resetPeak`. */
  get peakEventsPerSecond(): number {
    return this.#peak;
  }

  resetPeak(): void {
    this.#peak = 0;
  }

  /** Counts since the start of the lab; those known last while the registry is away. */
  async read(): Promise<RegistryCounts> {
    const read = await this.#view.counts();
    if (read !== null) this.#take(read);
    const total = add(this.#base, this.#last);
    const counts = { ...total, watchEvents: Math.max(0, total.watchEvents - this.#view.ownEvents) };
    this.#sample(counts.watchEvents);
    return counts;
  }

  #take(counts: RegistryCounts): void {
    if (counts.writes < this.#last.writes) this.#base = add(this.#base, this.#last);
    this.#last = counts;
  }

  #sample(events: number): void {
    const atMs = systemClock.nowMs();
    this.#samples.push({ atMs, events });
    while (this.#samples[1] !== undefined && this.#samples[1].atMs <= atMs - peakWindowMs) {
      this.#samples.shift();
    }
    const first = this.#samples[0];
    if (first !== undefined) this.#peak = Math.max(this.#peak, events - first.events);
  }
}

export function add(one: RegistryCounts, other: RegistryCounts): RegistryCounts {
  return combine(one, other, (left, right) => left + right);
}

/** What was counted after `before`. */
export function since(before: RegistryCounts, after: RegistryCounts): RegistryCounts {
  return combine(after, before, (left, right) => left - right);
}

function combine(
  one: RegistryCounts,
  other: RegistryCounts,
  operate: (left: number, right: number) => number,
): RegistryCounts {
  const classes = new Set([...Object.keys(one.writesByClass), ...Object.keys(other.writesByClass)]);
  const byClass = [...classes].map((name) => {
    return [name, operate(one.writesByClass[name] ?? 0, other.writesByClass[name] ?? 0)] as const;
  });
  return {
    writes: operate(one.writes, other.writes),
    writesByClass: Object.fromEntries(byClass),
    leaseRenewals: operate(one.leaseRenewals, other.leaseRenewals),
    watchEvents: operate(one.watchEvents, other.watchEvents),
  };
}

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
