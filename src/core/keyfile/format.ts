/**
 * Writes a key file's bytes. Hex digits are written by hand into one wipeable array, so that no
 * string ever holds a key. What it writes parses back to equal lines.
 */
import type { FleetKeyBytes, KeyLine } from "./key-file.js";

/** The caller wipes the result. Every line ends in LF. */
export function formatKeyFile(lines: readonly KeyLine[]): Uint8Array {
  const pieces = lines.flatMap((line) => [
    asciiBytes(`${line.keyId}${line.plus ? "+" : ""} `),
    ...formatKey(line.key),
    asciiBytes("\n"),
  ]);
  const text = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    text.set(piece, at);
    at += piece.length;
    piece.fill(0);
  }
  return text;
}

function formatKey(key: FleetKeyBytes): readonly Uint8Array[] {
  if (key.kind === "aead") {
    return [asciiBytes(`${key.algorithm} `), hexBytes(key.bytes), asciiBytes(` ${key.icvBits}`)];
  }
  return [
    asciiBytes(`${key.authAlgorithm} `),
    hexBytes(key.authBytes),
    asciiBytes(` ${key.cipherAlgorithm} `),
    hexBytes(key.cipherBytes),
  ];
}

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const digits = asciiBytes("0123456789abcdef");

function hexBytes(bytes: Uint8Array): Uint8Array {
  const text = new Uint8Array(bytes.length * 2);
  for (const [index, byte] of bytes.entries()) {
    text[index * 2] = digits[byte >> 4] ?? 0;
    text[index * 2 + 1] = digits[byte & 15] ?? 0;
  }
  return text;
}
