import type { Result } from "../core/result.js";

/** A fault of the outside world at a port. `code` is stable, upper case and documented in docs/reference/errors.md. */
export interface PortFailure {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** Called exactly once, later, on the event loop. */
export type Done<T> = (result: Result<T, PortFailure>) => void;

/** Ends a subscription or a task; calling it twice is harmless. */
export type Stop = () => void;
