/**
 * A clock that stands still until a test moves it. Timers fire in the order of their times, inside
 * `advance`.
 */
import type { Clock } from "../../src/ports/clock.js";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 0;
  #timers: Timer[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  wallAt(): string {
    return new Date(this.#nowMs).toISOString();
  }

  setTimer(atMs: number, callback: () => void): () => void {
    const timer = { atMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  defer(callback: () => void): void {
    this.setTimer(this.#nowMs, callback);
  }

  /** Timers set and not yet fired or cancelled. */
  get pending(): number {
    return this.#timers.length;
  }

  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (let next = this.#takeDue(endMs); next !== null; next = this.#takeDue(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = endMs;
  }

  #takeDue(endMs: number): Timer | null {
    const due = this.#timers.filter((timer) => timer.atMs <= endMs);
    const first = due.reduce<Timer | null>(
      (one, timer) => (one !== null && one.atMs <= timer.atMs ? one : timer),
      null,
    );
    this.#timers = this.#timers.filter((timer) => timer !== first);
    return first;
  }
}
