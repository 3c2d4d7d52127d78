/**
 * The algorithm names of both grammars and the key lengths they take, in bytes. A name that is not
 * here is an error: a misspelt one must fail when the file is read, not at the first SA.
 */

/** RFC 4106, 8.1: the salt is the last four octets of the keying material. */
export const saltBytes = 4;

export const aeadAlgorithm = "rfc4106(gcm(aes))";

/**
 * AES-128 and AES-256 with the salt. AES-192 (28) is refused: nobody asks for it and every
 * dataplane would need it.
 */
export const aeadKeyBytes: readonly number[] = [16 + saltBytes, 32 + saltBytes];

export interface KeyLengths {
  readonly name: string;
  readonly allows: (length: number) => boolean;
  readonly expected: string;
}

/**
 * HMAC takes any length; below 16 bytes it is weak, above one block it is hashed first (RFC 2104,
 * 3).
 */
export const authAlgorithms: readonly KeyLengths[] = [
  { name: "hmac(sha256)", allows: between(16, 64), expected: "16 to 64 bytes" },
  { name: "hmac(sha384)", allows: between(16, 128), expected: "16 to 128 bytes" },
  { name: "hmac(sha512)", allows: between(16, 128), expected: "16 to 128 bytes" },
];

export const cipherAlgorithms: readonly KeyLengths[] = [
  {
    name: "cbc(aes)",
    allows: (length) => [16, 24, 32].includes(length),
    expected: "16, 24 or 32 bytes",
  },
];

/** Valid names of the kernel that protect nothing: always refused. */
export const nullAlgorithms: readonly string[] = ["cipher_null", "ecb(cipher_null)", "digest_null"];

function between(lowest: number, highest: number): (length: number) => boolean {
  return (length) => length >= lowest && length <= highest;
}
