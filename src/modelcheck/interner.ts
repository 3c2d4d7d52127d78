/** Gives equal values the same small number, so that a state of the fleet is a few numbers. Values are never changed. */

export class Interner<T> {
  readonly #ids = new Map<string, number>();
  readonly #values: T[] = [];

  get size(): number {
    return this.#values.length;
  }

  /** @param text equal for values that are to count as one; the first of them stays */
  idOf(text: string, value: T): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#ids.set(text, this.#values.length);
    return this.#values.push(value) - 1;
  }

  at(id: number): T {
    const value = this.#values[id];
    if (value === undefined) throw new Error(`bug: nothing has the number ${id}`);
    return value;
  }
}

/** Results by a pair of numbers, each below 2^26. */
export class PairCache {
  readonly #results = new Map<number, number>();

  get(one: number, other: number, compute: () => number): number {
    const pair = one * 2 ** 26 + other;
    const known = this.#results.get(pair);
    if (known !== undefined) return known;
    const result = compute();
    this.#results.set(pair, result);
    return result;
  }
}
