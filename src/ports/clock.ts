/** Time and the event loop, as the pure layers see them. */

export interface Clock {
  /** Monotonic milliseconds since boot; goes on through a restart of the program, never backwards. */
  nowMs(): number;
  /** Wall clock, ISO 8601; only shown. */
  wallAt(): string;
  /** Calls `callback` once at or after `atMs` on the monotonic clock. The result cancels it. */
  setTimer(atMs: number, callback: () => void): () => void;
  /** Calls `callback` soon, after what is already queued: many posts become one turn. */
  defer(callback: () => void): void;
}
