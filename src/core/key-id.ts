/**
 * Key ids and their ring. Ids are compared on a ring because they wrap; the ring only chooses the next id and tells
 * "newer" from "older" for key files. What a peer can receive is never read from the ring (design 4.2: membership).
 */
import { fail, succeed, type Result } from "./result.js";

declare const brand: unique symbol;
export type KeyId = number & { readonly [brand]: "KeyId" };

/** Public value derived from the bytes of a fleet key: 32 hex digits. Equal bytes give equal values. */
export type CheckValue = string & { readonly [brand]: "CheckValue" };

/** Which fleet key is meant: two keys under one id differ in their check value. */
export interface KeyIdentity {
  readonly keyId: KeyId;
  readonly check: CheckValue;
}

/** Largest id of a ring: 255 in Spindle's format, 15 in Cilium's. */
export type KeyRing = 255 | 15;

/** SPIs of these ids are strongSwan's default range 0xc0000000-0xcfffffff. */
const strongSwanFirst = 192;
const strongSwanLast = 207;

export function parseKeyId(value: number, ring: KeyRing): Result<KeyId, string> {
  if (!Number.isInteger(value) || value < 1 || value > ring) {
    return fail(`key id must be a whole number from 1 to ${ring}`);
  }
  if (value >= strongSwanFirst && value <= strongSwanLast) {
    return fail(`key ids ${strongSwanFirst} to ${strongSwanLast} are reserved (strongSwan's SPI range)`);
  }
  return succeed(value as KeyId);
}

export const checkValuePattern = /^[0-9a-f]{32}$/;

export function parseCheckValue(text: string): Result<CheckValue, string> {
  if (!checkValuePattern.test(text)) return fail("check value must be 32 hex digits");
  return succeed(text as CheckValue);
}

/** The id after `keyId`, wrapping to 1 and skipping the reserved range. */
export function nextKeyId(keyId: KeyId, ring: KeyRing): KeyId {
  const following = keyId + 1;
  if (following === strongSwanFirst) return (strongSwanLast + 1) as KeyId;
  return (following > ring ? 1 : following) as KeyId;
}

/** True when `candidate` lies in the half of the ring that follows `reference`. */
export function isNewer(candidate: KeyId, reference: KeyId, ring: KeyRing): boolean {
  const distance = (candidate - reference + ring) % ring;
  return distance > 0 && distance <= ring / 2;
}

export function sameKey(one: KeyIdentity | null, other: KeyIdentity | null): boolean {
  if (one === other) return true;
  if (one === null || other === null) return false;
  return one.keyId === other.keyId && one.check === other.check;
}

export function includesKey(keys: readonly KeyIdentity[], key: KeyIdentity): boolean {
  for (const one of keys) if (sameKey(one, key)) return true;
  return false;
}
