/**
 * One fleet key in, a key of its own for every SA out (design 4.1). The info names both ends, their
 * lifetimes, family, mode and key id, each field with its length before it, so that no two SAs
 * share a GCM key and a counter (S4). The fleet key itself is used once, to extract; what is kept
 * is the pseudorandom key.
 */
import { aeadAlgorithm } from "../../core/keyfile/algorithms.js";
import type { CheckValue } from "../../core/key-id.js";
import type { KeyEnd, KeyRef } from "../../core/sa.js";
import { hkdfExpand, hkdfExtract } from "./hkdf.js";
import { Secret } from "./secret.js";

/**
 * Changes with every change of the derivation: nodes of two versions then see different check
 * values.
 */
const derivationVersion = "\x01";
const extractSalt = Buffer.from("spindle fleet key");
const checkBytes = 16;

/** A fleet key, ready to derive from. */
export interface DerivationKey {
  readonly pseudorandomKey: Secret;
  /**
   * Bytes of each derived key: the AEAD key and the 4-byte salt (RFC 4106, 8.1), as the fleet key.
   */
  readonly outputBytes: number;
}

/** @param fleetKey bytes of the key file; the caller wipes them */
export function extractFleetKey(fleetKey: Uint8Array): DerivationKey {
  const pseudorandomKey = new Secret(hkdfExtract(extractSalt, fleetKey));
  return { pseudorandomKey, outputBytes: fleetKey.length };
}

/** The key of one SA. The caller wipes it. */
export function deriveSaKey(key: DerivationKey, sa: KeyRef): Secret {
  const info = saInfo(sa);
  return new Secret(hkdfExpand(key.pseudorandomKey.reveal(), info, key.outputBytes));
}

/**
 * Public: tells whether two nodes hold the same bytes, and nothing about the bytes. The key id is
 * no part of it.
 */
export function checkValueOf(key: DerivationKey): CheckValue {
  const info = encodeFields(["check value", aeadAlgorithm, derivationVersion]);
  const value = hkdfExpand(key.pseudorandomKey.reveal(), info, checkBytes);
  return value.toString("hex") as CheckValue;
}

/** What the key of an SA is bound to. Different SAs give different bytes. */
export function saInfo(sa: KeyRef): Buffer {
  return encodeFields([
    "security association",
    aeadAlgorithm,
    derivationVersion,
    byteText(sa.keyId),
    ...endFields(sa.from),
    ...endFields(sa.to),
    sa.family,
    sa.mode,
  ]);
}

function endFields(end: KeyEnd): readonly string[] {
  const index = byteText(end.index >>> 24, end.index >>> 16, end.index >>> 8, end.index);
  return [end.name, index, end.incarnationId];
}

/**
 * Each field after its length in two bytes. One character is one byte: ASCII, or made by
 * `byteText`.
 */
function encodeFields(fields: readonly string[]): Buffer {
  const prefixed = fields.map((field) => byteText(field.length >>> 8, field.length) + field);
  return Buffer.from(prefixed.join(""), "latin1");
}

function byteText(...bytes: readonly number[]): string {
  return String.fromCharCode(...bytes.map((byte) => byte & 0xff));
}
