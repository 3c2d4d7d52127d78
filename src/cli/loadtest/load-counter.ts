/**
 * Counts of all programs of a load test together. They are in memory that its threads share, so that the peak is of one
 * second of the whole fleet and not of one thread.
 */
import { assert } from "../../core/assert.js";

const windowMs = 1_000;
/** Seconds that the peak is looked for in: longer than the longest run, after which they begin anew. */
const windowCount = 8_192;
const cells = { writes: 0, leaseRenewals: 1, watchEvents: 2 } as const;
const firstWindow = Object.keys(cells).length;

export class LoadCounter {
  /** For the other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #counts: Int32Array;
  readonly #nowMs: () => number;

  /** @param nowMs the same clock in every thread */
  constructor(nowMs: () => number, memory = new SharedArrayBuffer(4 * (firstWindow + windowCount))) {
    assert(memory.byteLength === 4 * (firstWindow + windowCount), "the memory is that of a counter");
    this.memory = memory;
    this.#counts = new Int32Array(memory);
    this.#nowMs = nowMs;
  }

  countWrite(): void {
    Atomics.add(this.#counts, cells.writes, 1);
  }

  countLeaseRenewal(): void {
    Atomics.add(this.#counts, cells.leaseRenewals, 1);
  }

  countEvent(): void {
    const window = Math.floor(this.#nowMs() / windowMs) % windowCount;
    Atomics.add(this.#counts, cells.watchEvents, 1);
    Atomics.add(this.#counts, firstWindow + window, 1);
  }

  get writes(): number {
    return Atomics.load(this.#counts, cells.writes);
  }

  get leaseRenewals(): number {
    return Atomics.load(this.#counts, cells.leaseRenewals);
  }

  get watchEvents(): number {
    return Atomics.load(this.#counts, cells.watchEvents);
  }

  get peakEventsPerSecond(): number {
    return this.#counts.subarray(firstWindow).reduce((peak, events) => Math.max(peak, events), 0);
  }

  /** Everything from zero: a new span of time. */
  reset(): void {
    this.#counts.fill(0);
  }
}
