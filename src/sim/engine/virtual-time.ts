/**
 * Virtual time: events in order of time, then of scheduling. Nothing here looks at a real clock, so one seed gives one
 * run, byte for byte, on any machine.
 */
import type { Clock } from "../../ports/clock.js";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Runs `run` once at `atMs`, or now if that has passed. The result cancels it. */
  at(atMs: number, run: () => void): () => void {
    const event: Event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order, run, cancelled: false };
    this.#order += 1;
    this.#heap.push(event);
    this.#siftUp(this.#heap.length - 1);
    return () => {
      event.cancelled = true;
    };
  }

  /** Runs all events up to and including `endMs`. */
  runUntil(endMs: number): void {
    for (let event = this.#heap[0]; event !== undefined && event.atMs <= endMs; event = this.#heap[0]) {
      this.#pop();
      if (event.cancelled) continue;
      this.#nowMs = event.atMs;
      event.run();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  /** The clock of one node; `skewMs` moves its zero, as boots at different times do. */
  clock(skewMs = 0): Clock {
    return {
      nowMs: () => this.#nowMs + skewMs,
      wallAt: () => `T+${this.#nowMs.toFixed(0)}ms`,
      setTimer: (atMs, callback) => this.at(atMs - skewMs, callback),
      defer: (callback) => {
        this.at(this.#nowMs, callback);
      },
    };
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown();
  }

  #siftUp(start: number): void {
    let child = start;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#isBefore(child, parent)) return;
      this.#swap(child, parent);
      child = parent;
    }
  }

  #siftDown(): void {
    let parent = 0;
    for (;;) {
      const left = 2 * parent + 1;
      const smaller = left + 1 < this.#heap.length && this.#isBefore(left + 1, left) ? left + 1 : left;
      if (smaller >= this.#heap.length || !this.#isBefore(smaller, parent)) return;
      this.#swap(parent, smaller);
      parent = smaller;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const first = this.#heap[one] as Event;
    const second = this.#heap[other] as Event;
    return first.atMs < second.atMs || (first.atMs === second.atMs && first.order < second.order);
  }

  #swap(one: number, other: number): void {
    const kept = this.#heap[one] as Event;
    this.#heap[one] = this.#heap[other] as Event;
    this.#heap[other] = kept;
  }
}
