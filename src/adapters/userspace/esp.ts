/**
 * ESP packets (RFC 4303) protected by AES-GCM (RFC 4106), with 64-bit extended sequence numbers;
 * pure.
 *
 *     SPI 4 | sequence low 4 | IV 8 | payload, padding, pad length 1, next header 1 | ICV 16
 *
 * Invariant: one (key, IV) pair seals one packet. The IV is the sequence number, which the caller
 * never repeats for a key; the nonce is the key's 4-byte salt and the IV (RFC 4106, 4). Replay,
 * lookup and counting are the callers'.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { CipherGCMTypes } from "node:crypto";
import { assert } from "../../core/assert.js";
import { fail, succeed, type Result } from "../../core/result.js";
import { subspace } from "./replay-window.js";

/** A 64-bit sequence number as its two halves. */
export interface Sequence {
  readonly high: number;
  readonly low: number;
}

export interface EspPacket {
  readonly spi: number;
  readonly sequence: Sequence;
  /** An IP protocol number. */
  readonly nextHeader: number;
  readonly payload: Buffer;
}

/** What is readable without a key. `sequenceLow` is the 32 bits on the wire. */
export interface EspHeader {
  readonly spi: number;
  readonly sequenceLow: number;
}

export interface OpenedEsp {
  readonly nextHeader: number;
  readonly payload: Buffer;
}

/**
 * `icv`: not sealed with this key, or changed on the way. `trailer`: authentic, but its padding
 * makes no sense.
 */
export type OpenFailure = "icv" | "trailer";

const saltBytes = 4;
const headerBytes = 8;
const ivBytes = 8;
const trailerBytes = 2;
const icvBytes = 16;
const overheadBytes = headerBytes + ivBytes + icvBytes;

const algorithms: ReadonlyMap<number, CipherGCMTypes> = new Map([
  [16 + saltBytes, "aes-128-gcm"],
  [32 + saltBytes, "aes-256-gcm"],
]);

/** Keys are 20 or 36 bytes: AES-128 or AES-256 and the salt (RFC 4106, 8.1). */
export function isEspKeyLength(bytes: number): boolean {
  return algorithms.has(bytes);
}

/** Halves of a sequence number below 2^53. */
export function splitSequence(sequence: number): Sequence {
  return { high: Math.floor(sequence / subspace), low: sequence % subspace };
}

/** Null for what is too short to have a header. */
export function readEspHeader(packet: Buffer): EspHeader | null {
  if (packet.length < headerBytes) return null;
  return { spi: packet.readUInt32BE(0), sequenceLow: packet.readUInt32BE(4) };
}

/**
 * Could this be a packet of `sealEsp`? Its ciphertext is whole 4-byte words (RFC 4303, 2.4) and
 * holds a trailer.
 */
export function hasEspShape(packet: Buffer): boolean {
  const sealedBytes = packet.length - overheadBytes;
  return sealedBytes >= 4 && sealedBytes % 4 === 0;
}

/**
 * Seals a payload. `keyBytes` is the AES key followed by the salt.
 * @param iv 8 bytes; anything but the default is for known-answer tests alone.
 */
export function sealEsp(
  keyBytes: Buffer,
  packet: EspPacket,
  iv = counterOf(packet.sequence),
): Buffer {
  const plaintext = appendTrailer(packet.payload, packet.nextHeader);
  const sealed = Buffer.allocUnsafe(overheadBytes + plaintext.length);
  sealed.writeUInt32BE(packet.spi, 0);
  sealed.writeUInt32BE(packet.sequence.low, 4);
  iv.copy(sealed, headerBytes);
  const [algorithm, key] = splitKey(keyBytes);
  const cipher = createCipheriv(algorithm, key, nonceOf(keyBytes, iv), { authTagLength: icvBytes });
  cipher.setAAD(authenticatedHeader(packet.spi, packet.sequence));
  cipher.update(plaintext).copy(sealed, headerBytes + ivBytes);
  cipher.final();
  cipher.getAuthTag().copy(sealed, sealed.length - icvBytes);
  return sealed;
}

/**
 * Verifies and opens a packet that `hasEspShape`. The high half of its sequence number is the
 * receiver's inference.
 */
export function openEsp(
  keyBytes: Buffer,
  packet: Buffer,
  sequenceHigh: number,
): Result<OpenedEsp, OpenFailure> {
  assert(hasEspShape(packet), "only packets with the shape of ESP are opened");
  const sequence = { high: sequenceHigh, low: packet.readUInt32BE(4) };
  const iv = packet.subarray(headerBytes, headerBytes + ivBytes);
  const [algorithm, key] = splitKey(keyBytes);
  const decipher = createDecipheriv(algorithm, key, nonceOf(keyBytes, iv), {
    authTagLength: icvBytes,
  });
  decipher.setAAD(authenticatedHeader(packet.readUInt32BE(0), sequence));
  decipher.setAuthTag(packet.subarray(packet.length - icvBytes));
  const plaintext = decipher.update(
    packet.subarray(headerBytes + ivBytes, packet.length - icvBytes),
  );
  try {
    decipher.final();
  } catch {
    return fail("icv");
  }
  return removeTrailer(plaintext);
}

/** The sequence number as the 8-byte explicit IV (RFC 4106, 3.1). */
function counterOf(sequence: Sequence): Buffer {
  const counter = Buffer.allocUnsafe(ivBytes);
  counter.writeUInt32BE(sequence.high, 0);
  counter.writeUInt32BE(sequence.low, 4);
  return counter;
}

/** The AAD with extended sequence numbers: SPI, high half, low half (RFC 4106, 5). */
function authenticatedHeader(spi: number, sequence: Sequence): Buffer {
  const header = Buffer.allocUnsafe(12);
  header.writeUInt32BE(spi, 0);
  header.writeUInt32BE(sequence.high, 4);
  header.writeUInt32BE(sequence.low, 8);
  return header;
}

function splitKey(keyBytes: Buffer): [CipherGCMTypes, Buffer] {
  const algorithm = algorithms.get(keyBytes.length);
  assert(algorithm !== undefined, "an installed key has 20 or 36 bytes");
  return [algorithm, keyBytes.subarray(0, keyBytes.length - saltBytes)];
}

function nonceOf(keyBytes: Buffer, iv: Buffer): Buffer {
  const nonce = Buffer.allocUnsafe(saltBytes + ivBytes);
  keyBytes.copy(nonce, 0, keyBytes.length - saltBytes);
  iv.copy(nonce, saltBytes);
  return nonce;
}

/** Padding counts 1, 2, 3 up to a multiple of 4 bytes (RFC 4303, 2.4). */
function appendTrailer(payload: Buffer, nextHeader: number): Buffer {
  const padBytes = (4 - ((payload.length + trailerBytes) % 4)) % 4;
  const plaintext = Buffer.allocUnsafe(payload.length + padBytes + trailerBytes);
  payload.copy(plaintext);
  for (let pad = 1; pad <= padBytes; pad += 1) plaintext[payload.length + pad - 1] = pad;
  plaintext[plaintext.length - 2] = padBytes;
  plaintext[plaintext.length - 1] = nextHeader;
  return plaintext;
}

function removeTrailer(plaintext: Buffer): Result<OpenedEsp, OpenFailure> {
  const padBytes = plaintext[plaintext.length - 2]!;
  const payloadBytes = plaintext.length - trailerBytes - padBytes;
  if (payloadBytes < 0) return fail("trailer");
  for (let pad = 1; pad <= padBytes; pad += 1) {
    if (plaintext[payloadBytes + pad - 1] !== pad) return fail("trailer");
  }
  const nextHeader = plaintext[plaintext.length - 1]!;
  return succeed({ nextHeader, payload: plaintext.subarray(0, payloadBytes) });
}
