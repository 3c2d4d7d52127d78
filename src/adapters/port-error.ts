/**
 * A fault of the outside world. Thrown only in adapters; at a port it becomes a `PortFailure`.
 * Codes are stable and documented in docs/reference/errors.md with what the operator should do.
 */
import type { PortFailure } from "../ports/failure.js";

export class PortError extends Error {
  override readonly name = "PortError";
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, retryable: boolean, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = retryable;
  }
}

/** The failure to post for anything an adapter caught; unknown errors keep their text under `fallbackCode`. */
export function toFailure(cause: unknown, fallbackCode: string): PortFailure {
  if (cause instanceof PortError) {
    return { code: cause.code, message: cause.message, retryable: cause.retryable };
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code: fallbackCode, message, retryable: true };
}
