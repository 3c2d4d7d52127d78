/**
 * Collects what a watch tells and lets a test wait for it: a condition with a deadline, never a
 * pause.
 */
import assert from "node:assert/strict";
import type { Done, PortFailure } from "../../src/ports/failure.js";
import type { Result } from "../../src/core/result.js";

const deadlineMsDefault = 15_000;

export class Recorder<E> {
  readonly events: E[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #deadlineMs: number;

  constructor(deadlineMs = deadlineMsDefault) {
    this.#deadlineMs = deadlineMs;
  }

  /** Give this to the watch. */
  readonly listener = (event: E): void => {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  };

  /** Resolves with the first event that fits, which may have come already. */
  async first<F extends E>(fits: (event: E) => event is F): Promise<F>;
  async first(fits: (event: E) => boolean): Promise<E>;
  async first(fits: (event: E) => boolean): Promise<E> {
    await this.until(() => this.events.some(fits));
    const found = this.events.find(fits);
    assert.ok(found !== undefined);
    return found;
  }

  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`not seen in time; events: ${JSON.stringify(this.events).slice(-2_000)}`));
      }, this.#deadlineMs);
      const look = (): void => {
        if (!holds()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}

/** A port's call as a promise. */
export function call<T>(run: (done: Done<T>) => void): Promise<Result<T, PortFailure>> {
  return new Promise((resolve) => run(resolve));
}

/** @throws AssertionError with the failure's code */
export async function succeeds<T>(run: (done: Done<T>) => void): Promise<T> {
  const result = await call(run);
  assert.ok(result.ok, result.ok ? "" : `${result.error.code}: ${result.error.message}`);
  return result.value;
}

/** The code of the failure. */
export async function failsWith<T>(run: (done: Done<T>) => void): Promise<string> {
  const result = await call(run);
  assert.ok(!result.ok, "the call fails");
  return result.error.code;
}

/**
 * Asks again until `look` gives something, for what cannot be watched; each question follows the
 * last answer.
 */
export async function eventually<T>(look: () => Promise<T | null>): Promise<T> {
  const untilMs = performance.now() + deadlineMsDefault;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    assert.ok(performance.now() < untilMs, "comes about in time");
    await new Promise((resolve) => setImmediate(resolve));
  }
}
