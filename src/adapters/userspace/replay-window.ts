/**
 * Anti-replay window of one inbound SA with 64-bit extended sequence numbers (RFC 4303, 3.4.3 and
 * appendix A). Invariant: bit `s mod size` is set exactly when `s` was recorded, for every `s` in
 * (highest - size, highest]. Sequence numbers are JavaScript numbers, exact below 2^53; senders
 * stop there (see outbound.ts). It authenticates nothing: `record` is for packets whose ICV was
 * verified.
 */
import { assert } from "../../core/assert.js";
import { limits } from "../../core/limits.js";

export type SequenceVerdict = "new" | "replayed" | "too-old";

/** Sequence numbers that share their 32 low bits are this far apart. */
export const subspace = 2 ** 32;

export function isReplayWindowSize(packets: number): boolean {
  const fits = packets >= limits.replayWindowMin && packets <= limits.replayWindowMax;
  return Number.isInteger(packets) && fits;
}

export class ReplayWindow {
  readonly size: number;
  readonly #words: Uint32Array;
  #highest = 0;

  /** @param size in packets, from `limits.replayWindowMin` to `limits.replayWindowMax`. */
  constructor(size: number) {
    assert(isReplayWindowSize(size), `replay window of ${size} packets is within the limits`);
    this.size = size;
    this.#words = new Uint32Array(Math.ceil(size / 32));
  }

  /** Highest sequence number recorded; 0 before the first packet. */
  get highest(): number {
    return this.#highest;
  }

  /**
   * The full sequence number for the 32 low bits on the wire: the one that is not below the window
   * and less than 2^32 above its lower edge (both cases of RFC 4303, A2.2). Null when no sender can
   * have sent it.
   */
  infer(low: number): number | null {
    const bottom = this.#highest - this.size + 1;
    const distance = (((low - bottom) % subspace) + subspace) % subspace;
    const sequence = bottom + distance;
    return sequence >= 1 && sequence <= Number.MAX_SAFE_INTEGER ? sequence : null;
  }

  judge(sequence: number): SequenceVerdict {
    if (sequence > this.#highest) return "new";
    if (sequence <= this.#highest - this.size) return "too-old";
    return this.#isSet(sequence) ? "replayed" : "new";
  }

  /** Takes note of a verified packet that `judge` calls new. */
  record(sequence: number): void {
    assert(
      this.judge(sequence) === "new",
      `sequence number ${sequence} is new when it is recorded`,
    );
    if (sequence > this.#highest) this.#slideTo(sequence);
    const bit = sequence % this.size;
    this.#words[bit >>> 5]! |= 1 << (bit & 31);
  }

  #slideTo(sequence: number): void {
    if (sequence - this.#highest >= this.size) {
      this.#words.fill(0);
    } else {
      for (let entering = this.#highest + 1; entering <= sequence; entering += 1)
        this.#clear(entering);
    }
    this.#highest = sequence;
  }

  #clear(sequence: number): void {
    const bit = sequence % this.size;
    this.#words[bit >>> 5]! &= ~(1 << (bit & 31));
  }

  #isSet(sequence: number): boolean {
    const bit = sequence % this.size;
    return (this.#words[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }
}
