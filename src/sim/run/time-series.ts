/**
 * Counts over virtual time in equal bins. A long run does not grow it: when the bins are used up, each two become one
 * and a bin lasts twice as long. Levels (nodes per phase) keep the last value of a bin, counts (packets, events) add up.
 */

/** Even, so that bins pair up. */
const binsMax = 1_200;

export interface Series {
  readonly name: string;
  readonly kind: "count" | "level";
  readonly values: readonly number[];
}

interface GrowingSeries extends Series {
  readonly values: number[];
}

export class TimeSeries {
  readonly #series = new Map<string, GrowingSeries>();
  #binMs: number;
  #bins = 0;

  constructor(binMs: number) {
    this.#binMs = binMs;
  }

  get binMs(): number {
    return this.#binMs;
  }

  get bins(): number {
    return this.#bins;
  }

  /** Adds to the bin of this time. */
  count(name: string, atMs: number, amount: number): void {
    const bin = this.#binAt(atMs);
    const { values } = this.#of(name, "count");
    values[bin] = (values[bin] ?? 0) + amount;
  }

  /** Sets the level from this time on. */
  level(name: string, atMs: number, value: number): void {
    const bin = this.#binAt(atMs);
    const { values } = this.#of(name, "level");
    for (let i = values.length; i < bin; i += 1) values[i] = values[i - 1] ?? 0;
    values[bin] = value;
  }

  /** All series at the same length. */
  all(): readonly Series[] {
    return [...this.#series.values()].map(({ name, kind, values }) => {
      const last = kind === "level" ? (values.at(-1) ?? 0) : 0;
      return { name, kind, values: Array.from({ length: this.#bins }, (_, bin) => values[bin] ?? (bin < values.length ? 0 : last)) };
    });
  }

  #of(name: string, kind: Series["kind"]): GrowingSeries {
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    const series: GrowingSeries = { name, kind, values: [] };
    this.#series.set(name, series);
    return series;
  }

  /** May replace all series: to be asked before one of them. */
  #binAt(atMs: number): number {
    while (atMs >= this.#binMs * binsMax) this.#halve();
    const bin = Math.floor(atMs / this.#binMs);
    this.#bins = Math.max(this.#bins, bin + 1);
    return bin;
  }

  #halve(): void {
    this.#binMs *= 2;
    this.#bins = Math.ceil(this.#bins / 2);
    for (const [name, { kind, values }] of this.#series) {
      const halved = Array.from({ length: Math.ceil(values.length / 2) }, (_, i) => {
        const [first = 0, second] = [values[2 * i], values[2 * i + 1]];
        return kind === "count" ? first + (second ?? 0) : (second ?? first);
      });
      this.#series.set(name, { name, kind, values: halved });
    }
  }
}
