/**
 * Parses the fields after the key id. The form is chosen by their number alone, as Cilium does:
 * three are AEAD, four are auth+enc. Names and lengths are checked here, so that a bad one never
 * reaches a kernel.
 */
import { fail, succeed, type Result } from "../result.js";
import { aeadAlgorithm, aeadKeyBytes, authAlgorithms, cipherAlgorithms } from "./algorithms.js";
import { nullAlgorithms, type KeyLengths } from "./algorithms.js";
import type { LineProblem } from "./fault.js";
import { decodeDecimal, decodeHex, isWord, type Span } from "./fields.js";
import type { AeadKey, AuthEncKey, FleetKeyBytes, IcvBits } from "./key-file.js";

/** @param fields the fields after the key id, at most one more than the longest form has */
export function parseKey(
  bytes: Uint8Array,
  fields: readonly Span[],
): Result<FleetKeyBytes, LineProblem> {
  const [first, second, third, fourth, surplus] = fields;
  if (first && second && third && !fourth) return parseAead(bytes, first, second, third);
  if (first && second && third && fourth && !surplus) {
    return parseAuthEnc(bytes, [first, second], [third, fourth]);
  }
  const found = surplus ? "more than 5" : String(fields.length + 1);
  return fail({ code: "KEYFILE_FIELD_COUNT", problem: `${found} field(s) on the line` });
}

function parseAead(
  bytes: Uint8Array,
  name: Span,
  hex: Span,
  icv: Span,
): Result<AeadKey, LineProblem> {
  if (!isWord(bytes, name, aeadAlgorithm)) {
    const problem = "unknown AEAD algorithm";
    return fail({ code: "KEYFILE_ALGORITHM", problem, expected: aeadAlgorithm });
  }
  const icvBits = decodeDecimal(bytes, icv);
  if (!isIcvBits(icvBits)) return fail({ code: "KEYFILE_ICV", problem: "bad ICV length" });
  const key = decodeHex(bytes, hex);
  if (!key.ok) return fail({ code: "KEYFILE_HEX", problem: key.error });
  if (aeadKeyBytes.includes(key.value.length)) {
    return succeed({ kind: "aead", algorithm: aeadAlgorithm, bytes: key.value, icvBits });
  }
  key.value.fill(0);
  return fail({
    code: "KEYFILE_KEY_LENGTH",
    problem: `the AES-GCM key has ${key.value.length} bytes`,
    expected: "20 bytes (AES-128 and salt) or 36 bytes (AES-256 and salt)",
  });
}

function isIcvBits(value: number | null): value is IcvBits {
  return value === 96 || value === 128 || value === 256;
}

type NameAndKey = readonly [name: Span, hex: Span];

function parseAuthEnc(
  bytes: Uint8Array,
  auth: NameAndKey,
  cipher: NameAndKey,
): Result<AuthEncKey, LineProblem> {
  const authPart = parsePart(bytes, auth, authAlgorithms, "authentication");
  if (!authPart.ok) return authPart;
  const cipherPart = parsePart(bytes, cipher, cipherAlgorithms, "encryption");
  if (!cipherPart.ok) {
    authPart.value.key.fill(0);
    return cipherPart;
  }
  return succeed({
    kind: "auth-enc",
    authAlgorithm: authPart.value.name,
    authBytes: authPart.value.key,
    cipherAlgorithm: cipherPart.value.name,
    cipherBytes: cipherPart.value.key,
  });
}

interface Part {
  readonly name: string;
  readonly key: Uint8Array;
}

function parsePart(
  bytes: Uint8Array,
  [name, hex]: NameAndKey,
  known: readonly KeyLengths[],
  purpose: string,
): Result<Part, LineProblem> {
  if (nullAlgorithms.some((word) => isWord(bytes, name, word))) {
    return fail({ code: "KEYFILE_NULL_ALGORITHM", problem: `no ${purpose}: a null algorithm` });
  }
  const algorithm = known.find((candidate) => isWord(bytes, name, candidate.name));
  if (algorithm === undefined) {
    const expected = known.map((candidate) => candidate.name).join(", ");
    return fail({ code: "KEYFILE_ALGORITHM", problem: `unknown ${purpose} algorithm`, expected });
  }
  const key = decodeHex(bytes, hex);
  if (!key.ok) return fail({ code: "KEYFILE_HEX", problem: `${purpose}: ${key.error}` });
  if (algorithm.allows(key.value.length)) return succeed({ name: algorithm.name, key: key.value });
  key.value.fill(0);
  return fail({
    code: "KEYFILE_KEY_LENGTH",
    problem: `the ${purpose} key has ${key.value.length} bytes`,
    expected: `${algorithm.expected} for ${algorithm.name}`,
  });
}
