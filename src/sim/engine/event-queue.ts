/**
 * A queue of callbacks in order of time, then of scheduling. Times stand in a typed array as a heap of four children per
 * node, each with the slot of its callback; slots are used again. The order of scheduling stands with the slot, as it is
 * only needed among equal times. Cancelling takes the callback out of its slot at once and leaves the time behind; when
 * most are such leftovers, the heap is built anew without them. The two sifts are written for speed: local names, no calls.
 */

export type Callback = () => void;

const sizeAtFirst = 1_024;

export class EventQueue {
  #times = new Float64Array(sizeAtFirst);
  #slots = new Int32Array(sizeAtFirst);
  #size = 0;
  #order = 0;
  /** By slot. Null in a free slot and in that of a cancelled event. */
  readonly #callbacks: (Callback | null)[] = [];
  /** By slot: the order of the event that uses it; also, a late cancel must not hit the next user. */
  #orders = new Float64Array(sizeAtFirst);
  readonly #free: number[] = [];
  #leftovers = 0;

  /** Events that wait and are not cancelled. */
  get pending(): number {
    return this.#size - this.#leftovers;
  }

  /** The time of the first key, which may be that of a cancelled event; infinite when there is none. */
  get firstMs(): number {
    return this.#size === 0 ? Infinity : (this.#times[0] as number);
  }

  /** @returns the slot, to be given to `cancel` with the order that `lastOrder` tells */
  push(atMs: number, callback: Callback): number {
    if (this.#size === this.#times.length) this.#grow();
    const slot = this.#free.pop() ?? this.#callbacks.length;
    const order = (this.#order += 1);
    this.#callbacks[slot] = callback;
    this.#orders[slot] = order;
    this.#siftUp(this.#size, atMs, slot);
    this.#size += 1;
    return slot;
  }

  /** The order of the event pushed last. */
  get lastOrder(): number {
    return this.#order;
  }

  /** Harmless when that event has run or was cancelled. */
  cancel(slot: number, order: number): void {
    if (this.#orders[slot] !== order || this.#callbacks[slot] === null) return;
    this.#callbacks[slot] = null;
    this.#leftovers += 1;
    if (this.#leftovers > sizeAtFirst && this.#leftovers * 2 > this.#size) this.#sweep();
  }

  /** Takes the first key out; null when its event was cancelled. There must be one. */
  pop(): Callback | null {
    const slot = this.#slots[0] as number;
    const callback = this.#callbacks[slot] ?? null;
    this.#release(slot);
    if (callback === null) this.#leftovers -= 1;
    this.#size -= 1;
    const last = this.#size;
    if (last > 0) {
      this.#siftDown(0, this.#times[last] as number, this.#slots[last] as number);
    }
    return callback;
  }

  #release(slot: number): void {
    this.#callbacks[slot] = null;
    this.#orders[slot] = 0;
    this.#free.push(slot);
  }

  #sweep(): void {
    let kept = 0;
    for (let i = 0; i < this.#size; i += 1) {
      const slot = this.#slots[i] as number;
      if (this.#callbacks[slot] === null) this.#release(slot);
      else {
        this.#times[kept] = this.#times[i] as number;
        this.#slots[kept] = slot;
        kept += 1;
      }
    }
    this.#size = kept;
    this.#leftovers = 0;
    for (let i = (kept - 2) >> 2; i >= 0; i -= 1) {
      this.#siftDown(i, this.#times[i] as number, this.#slots[i] as number);
    }
  }

  #grow(): void {
    const length = this.#times.length * 2;
    const [times, orders, slots] = [new Float64Array(length), new Float64Array(length), new Int32Array(length)];
    times.set(this.#times);
    orders.set(this.#orders);
    slots.set(this.#slots);
    this.#times = times;
    this.#orders = orders;
    this.#slots = slots;
  }

  /** For a new event only: its order is the highest, so among equal times it stays below. */
  #siftUp(start: number, atMs: number, slot: number): void {
    const times = this.#times;
    const slots = this.#slots;
    let hole = start;
    while (hole > 0) {
      const parent = (hole - 1) >> 2;
      const parentMs = times[parent] as number;
      if (parentMs <= atMs) break;
      times[hole] = parentMs;
      slots[hole] = slots[parent] as number;
      hole = parent;
    }
    times[hole] = atMs;
    slots[hole] = slot;
  }

  #siftDown(start: number, atMs: number, slot: number): void {
    const times = this.#times;
    const slots = this.#slots;
    const orders = this.#orders;
    const size = this.#size;
    let hole = start;
    for (let first = 4 * hole + 1; first < size; first = 4 * hole + 1) {
      let best = first;
      let bestMs = times[first] as number;
      const end = first + 4 < size ? first + 4 : size;
      for (let child = first + 1; child < end; child += 1) {
        const childMs = times[child] as number;
        if (childMs > bestMs) continue;
        if (childMs === bestMs && (orders[slots[child] as number] as number) > (orders[slots[best] as number] as number)) continue;
        best = child;
        bestMs = childMs;
      }
      const bestSlot = slots[best] as number;
      if (bestMs > atMs || (bestMs === atMs && (orders[bestSlot] as number) > (orders[slot] as number))) break;
      times[hole] = bestMs;
      slots[hole] = bestSlot;
      hole = best;
    }
    times[hole] = atMs;
    slots[hole] = slot;
  }
}
