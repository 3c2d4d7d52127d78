/**
 * Digest of an SA's key under a connection's nonce: tells equal bytes from others to who has them,
 * and nobody else.
 */
import { createHmac } from "node:crypto";
import { saSlotKey } from "../../core/sa.js";
import type { SaSlot } from "../../core/sa.js";

export const digestBytes = 32;
export const nonceBytes = 32;

/**
 * HMAC-SHA-256 over slot and key: a digest of another connection or another slot compares with
 * nothing.
 */
export function digestKey(nonce: Buffer, slot: SaSlot, keyBytes: Buffer): Buffer {
  return createHmac("sha256", nonce)
    .update(`${saSlotKey(slot)}\0`)
    .update(keyBytes)
    .digest();
}
