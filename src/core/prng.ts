/** A seeded generator of chance: xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32. Integer only. */

export interface Prng {
  /** A whole number in [0, 2^32). */
  next(): number;
  /** A number in [0, 1). */
  share(): number;
  /** A whole number in [0, end). */
  below(end: number): number;
}

export function makePrng(seed: number): Prng {
  const state = new Uint32Array(4);
  let mixed = seed >>> 0;
  for (let i = 0; i < 4; i += 1) {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let word = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
    state[i] = (word ^ (word >>> 16)) >>> 0;
  }
  const next = (): number => advance(state);
  const share = (): number => next() / 2 ** 32;
  return { next, share, below: (end) => Math.floor(share() * end) };
}

function advance(state: Uint32Array): number {
  const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state;
  const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
  state[2] = s2 ^ s0;
  state[3] = s3 ^ s1;
  state[1] = s1 ^ (state[2] ?? 0);
  state[0] = s0 ^ (state[3] ?? 0);
  state[2] = (state[2] ?? 0) ^ (s1 << 9);
  state[3] = rotateLeft(state[3] ?? 0, 11);
  return result;
}

function rotateLeft(value: number, bits: number): number {
  return ((value << bits) | (value >>> (32 - bits))) >>> 0;
}
