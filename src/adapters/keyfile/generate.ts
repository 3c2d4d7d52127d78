/**
 * Makes new fleet keys from the system's random numbers. It decides nothing about ids and writes
 * nothing.
 */
import { randomFillSync } from "node:crypto";
import { aeadAlgorithm, saltBytes } from "../../core/keyfile/algorithms.js";
import type { FleetKeyBytes, KeyLine } from "../../core/keyfile/key-file.js";
import type { KeyId } from "../../core/key-id.js";

export const generatedAlgorithms = ["aes-gcm-128", "aes-gcm-256"] as const;
export type GeneratedAlgorithm = (typeof generatedAlgorithms)[number];

/**
 * With the `+` that Cilium wants since it derives a key per pair of nodes. The caller wipes the
 * bytes.
 */
export function generateLine(keyId: KeyId, algorithm: GeneratedAlgorithm): KeyLine {
  const keyBits = algorithm === "aes-gcm-128" ? 128 : 256;
  const bytes = randomFillSync(new Uint8Array(keyBits / 8 + saltBytes));
  const key = { kind: "aead", algorithm: aeadAlgorithm, bytes, icvBits: 128 } as const;
  return { keyId, plus: true, key };
}

/** A new key of the same form, algorithms and lengths. The caller wipes the bytes. */
export function generateLike(line: KeyLine, keyId: KeyId): KeyLine {
  return { keyId, plus: line.plus, key: generateKeyLike(line.key) };
}

function generateKeyLike(key: FleetKeyBytes): FleetKeyBytes {
  if (key.kind === "aead") return { ...key, bytes: randomLike(key.bytes) };
  return {
    ...key,
    authBytes: randomLike(key.authBytes),
    cipherBytes: randomLike(key.cipherBytes),
  };
}

function randomLike(bytes: Uint8Array): Uint8Array {
  return randomFillSync(new Uint8Array(bytes.length));
}
