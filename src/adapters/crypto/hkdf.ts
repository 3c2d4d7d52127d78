/**
 * HKDF with SHA-256 (RFC 5869), in its two steps, so that a fleet key is extracted once and
 * expanded for every SA. Keys are wipeable buffers: a KeyObject would be 5 % faster and could not
 * be wiped.
 */
import { createHmac } from "node:crypto";
import { assert } from "../../core/assert.js";

const hashBytes = 32;

/** RFC 5869, 2.2. The caller wipes the result. */
export function hkdfExtract(salt: Uint8Array, inputKey: Uint8Array): Buffer {
  return createHmac("sha256", salt).update(inputKey).digest();
}

/** RFC 5869, 2.3. The caller wipes the result. */
export function hkdfExpand(pseudorandomKey: Uint8Array, info: Uint8Array, length: number): Buffer {
  assert(length > 0 && length <= 255 * hashBytes, "HKDF makes 1 to 8160 bytes");
  const output = Buffer.alloc(length);
  // One message, T(n-1) | info | n, patched for each block: calls into the hash cost most.
  const message = Buffer.alloc(hashBytes + info.length + 1);
  message.set(info, hashBytes);
  for (let made = 0, count = 1; made < length; made += hashBytes, count += 1) {
    message[message.length - 1] = count;
    const start = count === 1 ? hashBytes : 0;
    const block = createHmac("sha256", pseudorandomKey).update(message.subarray(start)).digest();
    output.set(block.subarray(0, length - made), made);
    message.set(block);
    block.fill(0);
  }
  message.fill(0);
  return output;
}
