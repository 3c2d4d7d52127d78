/** Waits for something to become true of a fleet: by its changes, never by polling. */
import { systemClock } from "../../adapters/system/clock.js";
import type { Stop } from "../../ports/failure.js";

export type Waited<T> =
  | { readonly kind: "reached"; readonly value: T }
  | { readonly kind: "interrupted" }
  | { readonly kind: "timed-out" };

export interface WaitOptions {
  readonly signal?: AbortSignal;
  /** Null waits for ever. */
  readonly timeoutMs: number | null;
}

/** What changes. */
export interface Changing {
  onChange(listener: () => void): Stop;
}

/**
 * @param check what was waited for, null while it is not there; asked at once and after each change
 */
export function waitUntil<T>(
  changing: Changing,
  check: () => T | null,
  { signal, timeoutMs }: WaitOptions,
): Promise<Waited<T>> {
  return new Promise((resolve) => {
    const stops: Stop[] = [];
    const end = (waited: Waited<T>): void => {
      for (const stop of stops) stop();
      resolve(waited);
    };
    const look = (): void => {
      const value = check();
      if (value !== null) end({ kind: "reached", value });
    };
    const interrupt = (): void => end({ kind: "interrupted" });
    if (signal?.aborted === true) return interrupt();
    signal?.addEventListener("abort", interrupt);
    stops.push(() => signal?.removeEventListener("abort", interrupt));
    stops.push(changing.onChange(look));
    if (timeoutMs !== null) {
      const dueMs = systemClock.nowMs() + timeoutMs;
      stops.push(systemClock.setTimer(dueMs, () => end({ kind: "timed-out" })));
    }
    look();
  });
}
