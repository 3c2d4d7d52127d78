/**
 * What a key file holds, as values. Key bytes are wipeable arrays from the first digit on: no
 * string ever holds a key. The last line is the newest key, the one before it the key the fleet
 * runs (design 4.1).
 */
import { assert } from "../assert.js";
import type { KeyId } from "../key-id.js";
import { saltBytes } from "./algorithms.js";

/** Bits of the integrity check value, as Cilium's grammar allows them. */
export type IcvBits = 96 | 128 | 256;

/** AES-GCM: the AES key followed by the 4-byte salt (RFC 4106, 8.1). */
export interface AeadKey {
  readonly kind: "aead";
  readonly algorithm: "rfc4106(gcm(aes))";
  readonly bytes: Uint8Array;
  readonly icvBits: IcvBits;
}

/** Encryption and authentication with a key each. */
export interface AuthEncKey {
  readonly kind: "auth-enc";
  readonly authAlgorithm: string;
  readonly authBytes: Uint8Array;
  readonly cipherAlgorithm: string;
  readonly cipherBytes: Uint8Array;
}

export type FleetKeyBytes = AeadKey | AuthEncKey;

export interface KeyLine {
  readonly keyId: KeyId;
  /**
   * The `+` after the id. Cilium once read it as "one key per pair of nodes"; here it is kept and
   * means nothing.
   */
  readonly plus: boolean;
  readonly key: FleetKeyBytes;
}

/** At least one line, ids unique and each newer than the one before. */
export interface KeyFile {
  readonly lines: readonly KeyLine[];
}

export function newestLine(file: KeyFile): KeyLine {
  const newest = file.lines.at(-1);
  assert(newest !== undefined, "a key file has at least one line");
  return newest;
}

/**
 * Where a line stands in a rotation: the last of several is `next`, the one before it (or the only
 * one) `current`.
 */
export function slotOf(file: KeyFile, index: number): "next" | "current" | "previous" {
  const fromEnd = file.lines.length - 1 - index;
  if (fromEnd > 1) return "previous";
  return fromEnd === 0 && file.lines.length > 1 ? "next" : "current";
}

/** Why no dataplane of this version runs the key, or null when they do. */
export function whyNotRunnable(key: FleetKeyBytes): string | null {
  if (key.kind === "auth-enc") {
    return "no dataplane runs the auth+enc form: use rfc4106(gcm(aes))";
  }
  if (key.icvBits === 128) return null;
  // RFC 4106, 6: 16 bytes shall be supported, 8 and 12 may be; 32 is impossible with GCM.
  return key.icvBits === 96
    ? "the dataplanes check an ICV of 128 bits: use 128"
    : "AES-GCM has no ICV of 256 bits (RFC 4106, 6): use 128";
}

/** As people name it: `aes-gcm-128`, `hmac(sha256)+cbc(aes)`. */
export function describeAlgorithm(key: FleetKeyBytes): string {
  if (key.kind === "auth-enc") return `${key.authAlgorithm}+${key.cipherAlgorithm}`;
  return `aes-gcm-${(key.bytes.length - saltBytes) * 8}`;
}

export function secretParts(key: FleetKeyBytes): readonly Uint8Array[] {
  return key.kind === "aead" ? [key.bytes] : [key.authBytes, key.cipherBytes];
}

/** Overwrites the bytes of a key. The only thing that ever changes a key file in memory. */
export function wipeKey(key: FleetKeyBytes): void {
  for (const part of secretParts(key)) part.fill(0);
}

export function wipeLines(lines: readonly KeyLine[]): void {
  for (const line of lines) wipeKey(line.key);
}
