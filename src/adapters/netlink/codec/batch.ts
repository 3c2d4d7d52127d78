/**
 * Messages one after another in one buffer, as one `send` takes them. The buffer grows, is used
 * again and may hold key bytes: `wipe` zeroes all that was ever written, and growing wipes what it
 * leaves behind.
 */
import { headerBytes, messageAlignment } from "./constants.js";

export class MessageBatch {
  /** Both are replaced when the buffer grows: read them after `reserve`, not before. */
  bytes: Uint8Array;
  view: DataView;
  #length = 0;
  #messageStart = 0;
  #count = 0;

  constructor(capacityBytes = 32_768) {
    this.bytes = new Uint8Array(capacityBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Messages in the batch. */
  get count(): number {
    return this.#count;
  }

  /** The bytes to send: a view, valid until the next change. */
  content(): Uint8Array {
    return this.bytes.subarray(0, this.#length);
  }

  /** Begins a message; its length is set by `endMessage`, its sequence number by `number`. */
  beginMessage(type: number, flags: number): void {
    this.#messageStart = this.reserve(headerBytes);
    this.view.setUint16(this.#messageStart + 4, type, true);
    this.view.setUint16(this.#messageStart + 6, flags, true);
  }

  /** Space for a structure, zeroed. @returns where it starts */
  reserve(size: number): number {
    const start = this.#length;
    const end = start + align(size);
    if (end > this.bytes.length) this.#grow(end);
    this.bytes.fill(0, start, end);
    this.#length = end;
    return start;
  }

  /** Space for an attribute's payload, after its header. @returns where the payload starts */
  reserveAttribute(type: number, payloadBytes: number): number {
    const start = this.reserve(4 + payloadBytes);
    this.view.setUint16(start, 4 + payloadBytes, true);
    this.view.setUint16(start + 2, type, true);
    return start + 4;
  }

  endMessage(): void {
    this.view.setUint32(this.#messageStart, this.#length - this.#messageStart, true);
    this.#count += 1;
  }

  /** A whole message, prepared elsewhere. @returns where it starts */
  append(message: Uint8Array): number {
    const start = this.#length;
    const end = start + message.length;
    if (end > this.bytes.length) this.#grow(end);
    this.bytes.set(message, start);
    this.#length = end;
    this.#count += 1;
    return start;
  }

  /**
   * Gives each message its sequence number, the first one `first`; the last also gets `lastFlags`.
   * Numbers wrap after 2^32 - 1.
   * @param portId of the sending socket: what the kernel announces of the change, it announces with it
   */
  number(first: number, lastFlags: number, portId: number): void {
    let sequence = first;
    for (let at = 0; at < this.#length; ) {
      const next = at + align(this.view.getUint32(at, true));
      this.view.setUint32(at + 8, sequence, true);
      this.view.setUint32(at + 12, portId, true);
      if (next >= this.#length) {
        this.view.setUint16(at + 6, this.view.getUint16(at + 6, true) | lastFlags, true);
      }
      sequence = (sequence + 1) >>> 0;
      at = next;
    }
  }

  /** Empties the batch and zeroes what it held. */
  wipe(): void {
    this.bytes.fill(0, 0, this.#length);
    this.#length = 0;
    this.#count = 0;
  }

  #grow(least: number): void {
    const old = this.bytes;
    this.bytes = new Uint8Array(Math.max(least, 2 * old.length));
    this.view = new DataView(this.bytes.buffer);
    this.bytes.set(old.subarray(0, this.#length));
    old.fill(0);
  }
}

/** Of any length that 32 bits can tell: what was received may lie, and a sum cut to 32 bits would lead backwards. */
export function align(size: number): number {
  return size + (-size & (messageAlignment - 1));
}
