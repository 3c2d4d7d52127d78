/**
 * Cuts received bytes into messages and attributes. What the kernel sends is taken as well formed
 * only as far as lengths were checked: a length that leads outside ends the reading.
 */
import { align } from "./batch.js";
import { headerBytes } from "./constants.js";

export interface ReceivedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** The receiver of a reply, 0 for a notification. */
  readonly portId: number;
  readonly payload: Uint8Array;
}

/** @returns false when the bytes end inside a message: the receive buffer was too short */
export function eachMessage(
  received: Uint8Array,
  visit: (message: ReceivedMessage) => void,
): boolean {
  const view = viewOf(received);
  let at = 0;
  while (at + headerBytes <= received.length) {
    const length = view.getUint32(at, true);
    if (length < headerBytes || at + length > received.length) return false;
    visit({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      portId: view.getUint32(at + 12, true),
      payload: received.subarray(at + headerBytes, at + length),
    });
    at += align(length);
  }
  return at >= received.length;
}

export type Attributes = ReadonlyMap<number, Uint8Array>;

/** The two highest bits of an attribute's type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
const attributeTypeMask = 0x3fff;

/** Attributes from `start` on; of one type that comes twice, the last. */
export function readAttributes(payload: Uint8Array, start: number): Attributes {
  const view = viewOf(payload);
  const attributes = new Map<number, Uint8Array>();
  for (let at = align(start); at + 4 <= payload.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > payload.length) break;
    const type = view.getUint16(at + 2, true) & attributeTypeMask;
    attributes.set(type, payload.subarray(at + 4, at + length));
    at += align(length);
  }
  return attributes;
}

/** The 32 bits that an attribute holds, null when it is absent or cut. */
export function readWord(bytes: Uint8Array | undefined): number | null {
  return bytes === undefined || bytes.length < 4 ? null : viewOf(bytes).getUint32(0, true);
}

/** The 64 bits that an attribute holds; a number, exact to 2^53. */
export function readLongWord(bytes: Uint8Array | undefined): number | null {
  return bytes === undefined || bytes.length < 8 ? null : Number(viewOf(bytes).getBigUint64(0, true));
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
