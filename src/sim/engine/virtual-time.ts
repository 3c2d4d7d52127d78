/**
 * Virtual time: events in order of time, then of scheduling. Nothing here looks at a real clock, so one seed gives one
 * run, byte for byte, on any machine.
 */
import type { Clock } from "../../ports/clock.js";
import { EventQueue, type Callback } from "./event-queue.js";

export class VirtualTime {
  #nowMs = 0;
  #events = 0;
  readonly #queue = new EventQueue();

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that ran so far. */
  get events(): number {
    return this.#events;
  }

  get pending(): number {
    return this.#queue.pending;
  }

  /** Runs `run` once at `atMs`, or now if that has passed. The result cancels it. */
  at(atMs: number, run: Callback): () => void {
    const queue = this.#queue;
    const slot = queue.push(Math.max(atMs, this.#nowMs), run);
    const order = queue.lastOrder;
    return () => queue.cancel(slot, order);
  }

  /** As `at`, for an event that nobody cancels. */
  post(atMs: number, run: Callback): void {
    this.#queue.push(Math.max(atMs, this.#nowMs), run);
  }

  /** Runs all events up to and including `endMs`. */
  runUntil(endMs: number): void {
    const queue = this.#queue;
    for (let atMs = queue.firstMs; atMs <= endMs; atMs = queue.firstMs) {
      const run = queue.pop();
      if (run === null) continue;
      this.#nowMs = atMs;
      this.#events += 1;
      run();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  /**
   * The clock of one node.
   * @param zeroMs when it showed zero: a boot
   * @param rate its milliseconds per millisecond of virtual time: a quartz is off by some 50 millionths
   */
  clock(zeroMs = 0, rate = 1): Clock {
    const shownAt = (atMs: number): number => (atMs - zeroMs) * rate;
    return {
      nowMs: () => shownAt(this.#nowMs),
      wallAt: () => `T+${this.#nowMs.toFixed(0)}ms`,
      setTimer: (dueMs, callback) => this.at(this.#whenShown(dueMs, zeroMs, rate), callback),
      defer: (callback) => this.post(this.#nowMs, callback),
    };
  }

  /** Rounding must not ring a timer at a moment at which the clock still shows less than `dueMs`. */
  #whenShown(dueMs: number, zeroMs: number, rate: number): number {
    const atMs = zeroMs + dueMs / rate;
    const isEarly = (atMs - zeroMs) * rate < dueMs;
    return isEarly ? atMs + roundingMs : atMs;
  }
}

/** More than a double loses in a run of a year, and less than anything here takes. */
const roundingMs = 1e-4;
