/**
 * The set of states that were met: fixed-width rows of numbers in large arrays, found by hash (FNV-1a, open addressing).
 * Exact: rows are compared in full, so no two states are ever taken for one.
 */

const rowsPerChunk = 1 << 16;

export class StateTable {
  readonly #width: number;
  readonly #chunks: Uint32Array[] = [];
  #slots = new Int32Array(1 << 17).fill(-1);
  #size = 0;

  constructor(width: number) {
    this.#width = width;
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of the arrays. */
  get bytes(): number {
    return this.#chunks.length * rowsPerChunk * this.#width * 4 + this.#slots.length * 4;
  }

  row(index: number): number[] {
    const { chunk, start } = this.#place(index);
    return Array.from(chunk.subarray(start, start + this.#width));
  }

  /** The index of the row, and whether it is new. New rows are numbered in order. */
  add(row: readonly number[]): { readonly index: number; readonly isNew: boolean } {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    let slot = hashOf(row) & (this.#slots.length - 1);
    for (let index = this.#slots[slot] ?? -1; index >= 0; index = this.#slots[slot] ?? -1) {
      if (this.#equals(index, row)) return { index, isNew: false };
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    this.#slots[slot] = this.#size;
    this.#write(row);
    return { index: this.#size - 1, isNew: true };
  }

  /** Adds a row without looking whether it is there: for a list beside a table. */
  append(row: readonly number[]): void {
    this.#write(row);
  }

  #write(row: readonly number[]): void {
    if (this.#size === this.#chunks.length * rowsPerChunk) this.#chunks.push(new Uint32Array(rowsPerChunk * this.#width));
    const { chunk, start } = this.#place(this.#size);
    chunk.set(row, start);
    this.#size += 1;
  }

  #equals(index: number, row: readonly number[]): boolean {
    const { chunk, start } = this.#place(index);
    return row.every((value, column) => chunk[start + column] === value);
  }

  #place(index: number): { readonly chunk: Uint32Array; readonly start: number } {
    const chunk = this.#chunks[Math.floor(index / rowsPerChunk)];
    if (chunk === undefined) throw new Error(`bug: there is no row ${index}`);
    return { chunk, start: (index % rowsPerChunk) * this.#width };
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    for (let index = 0; index < this.#size; index += 1) {
      let slot = hashOf(this.row(index)) & (slots.length - 1);
      while ((slots[slot] ?? -1) >= 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = index;
    }
    this.#slots = slots;
  }
}

function hashOf(row: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const value of row) {
    hash = Math.imul(hash ^ (value & 0xffff), 0x01000193);
    hash = Math.imul(hash ^ (value >>> 16), 0x01000193);
  }
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x85ebca6b) >>> 0;
}

/** A list of whole numbers that grows. */
export class NumberList {
  #values = new Int32Array(1 << 12);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#values.length * 4;
  }

  push(value: number): void {
    if (this.#size === this.#values.length) {
      const values = new Int32Array(this.#values.length * 2);
      values.set(this.#values);
      this.#values = values;
    }
    this.#values[this.#size] = value;
    this.#size += 1;
  }

  at(index: number): number {
    return this.#values[index] ?? -1;
  }
}
