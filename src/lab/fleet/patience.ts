/**
 * How the lab waits: for a fact, as long as it may take, while every program can be kept alive and
 * nobody interrupts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../adapters/system/clock.js";
import { LabError } from "../lab-error.js";

const pollMs = 20;

export class Patience {
  readonly #signal: AbortSignal | undefined;
  #fault: string | null = null;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Ends all waits: a program of the lab cannot be kept alive. The first reason stays. */
  giveUp(why: string): void {
    this.#fault ??= why;
  }

  /** False when the time is over. @throws LabError LAB_PROGRAM_FAILED, LAB_INTERRUPTED */
  async waitFor(isTrue: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = systemClock.nowMs() + limitMs;
    while (!isTrue()) {
      this.#check();
      if (systemClock.nowMs() >= untilMs) return false;
      await sleep(pollMs);
    }
    return true;
  }

  /** @throws LabError LAB_START_TIMEOUT, and as `waitFor` */
  async waitForValue<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    const found: T[] = [];
    void promise.then((value) => found.push(value));
    if (await this.waitFor(() => found.length > 0, limitMs)) return found[0]!;
    throw new LabError("LAB_START_TIMEOUT", "a dataplane did not start");
  }

  async rest(durationMs: number): Promise<void> {
    const untilMs = systemClock.nowMs() + durationMs;
    await this.waitFor(() => systemClock.nowMs() >= untilMs, Number.POSITIVE_INFINITY);
  }

  #check(): void {
    if (this.#fault !== null) throw new LabError("LAB_PROGRAM_FAILED", this.#fault);
    if (this.#signal?.aborted) throw new LabError("LAB_INTERRUPTED", "the lab was interrupted");
  }
}
