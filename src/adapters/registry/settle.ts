/** From the promises of an adapter to the callbacks of a port. */
import type { Done } from "../../ports/failure.js";
import { fail, succeed } from "../../core/result.js";
import { PortError } from "../port-error.js";

/**
 * Posts the outcome. What is no `PortError` is our own bug: it stays unhandled and ends the
 * program.
 */
export function settle<T>(promise: Promise<T>, done: Done<T>): void {
  void promise.then(
    (value) => {
      done(succeed(value));
    },
    (cause: unknown) => {
      const { code, message, retryable } = portErrorOf(cause);
      done(fail({ code, message, retryable }));
    },
  );
}

/** Null for a fault of the outside world. */
export async function orNull<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (cause) {
    portErrorOf(cause);
    return null;
  }
}

/** @throws cause itself when it is no `PortError` */
export function portErrorOf(cause: unknown): PortError {
  if (cause instanceof PortError) return cause;
  throw cause;
}
