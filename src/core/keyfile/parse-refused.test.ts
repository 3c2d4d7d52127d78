/** Every condition of field-notes 1.1 that is an error, and those of its test list 3.1. */
import assert from "node:assert/strict";
import test from "node:test";
import { limits } from "../limits.js";
import type { KeyFileCode } from "./fault.js";
import { parseKeyFile } from "./parse.js";

const aead128 = "44434241343332312423222114131211f4f3f2f1";
const hmac = "0123456789abcdef0123456789abcdef";
const letters = "abcdefghijklmnopqrstuvwzyzABCDEF";
const classic = `hmac(sha256) ${hmac} cbc(aes) ${hmac}`;
const aead = (id: string): string => `${id} rfc4106(gcm(aes)) ${aead128} 128`;

function parse(text: string, ring: 255 | 15 = 255): ReturnType<typeof parseKeyFile> {
  return parseKeyFile(new TextEncoder().encode(text), ring);
}

interface Bad {
  readonly name: string;
  readonly text: string;
  /** Code and line of each fault. */
  readonly faults: readonly (readonly [KeyFileCode, number | null])[];
  readonly ring?: 15;
}

const badFiles: readonly Bad[] = [
  { name: "no byte", text: "", faults: [["KEYFILE_EMPTY", null]] },
  { name: "one newline", text: "\n", faults: [["KEYFILE_EMPTY", null]] },
  { name: "3.1 case 3: blanks only", text: " \n", faults: [["KEYFILE_EMPTY", null]] },
  {
    name: "3.1 case 2: letters instead of hex",
    text: `6 test ${letters} test ${letters}`,
    faults: [["KEYFILE_ALGORITHM", 1]],
  },
  {
    name: "3.1 case 2 with algorithms that exist: bad authentication hex",
    text: `6 hmac(sha256) ${letters} cbc(aes) ${letters}`,
    faults: [["KEYFILE_HEX", 1]],
  },
  {
    name: "3.1 case 4: a blank second line",
    text: `${aead("4")}\n   \n`,
    faults: [["KEYFILE_BLANK_LINE", 2]],
  },
  { name: "a second newline", text: `${aead("4")}\n\n`, faults: [["KEYFILE_BLANK_LINE", 2]] },
  { name: "a comment", text: `# fleet\n${aead("4")}\n`, faults: [["KEYFILE_COMMENT", 1]] },
  {
    name: "3.1 case 5: no key id after a leading space",
    text: ` rfc4106(gcm(aes)) ${aead128} 128`,
    faults: [["KEYFILE_KEY_ID", 1]],
  },
  { name: "3.1 case 6: + alone", text: aead("+"), faults: [["KEYFILE_KEY_ID", 1]] },
  {
    name: "3.1 case 12: a third line that protects nothing",
    text: `1 ${classic}\n2 ${classic}\n3 digest_null "" cipher_null ""\n`,
    faults: [["KEYFILE_NULL_ALGORITHM", 3]],
  },
  {
    name: "3.1 case 13: one id twice, found before the algorithm",
    text: `7 ${classic}\n7 digest_null "" cipher_null ""`,
    faults: [["KEYFILE_DUPLICATE_ID", 2]],
  },
  {
    name: "3.1 case 14: 254 on Cilium's ring",
    text: aead("254"),
    ring: 15,
    faults: [["KEYFILE_KEY_ID", 1]],
  },
  { name: "3.1 case 14: abc", text: aead("abc"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "3.1 case 14: 0", text: aead("0"), faults: [["KEYFILE_KEY_ID", 1]] },
  {
    name: "3.1 case 14, oldest file: a sixth field",
    text: `1 ${classic} foobar`,
    faults: [["KEYFILE_FIELD_COUNT", 1]],
  },
  {
    name: "3.1 case 14, oldest file: three lines of id 1",
    text: `${aead("1")}\n${aead("1")}\n${aead("1")}\n`,
    faults: [["KEYFILE_DUPLICATE_ID", 2], ["KEYFILE_DUPLICATE_ID", 3]],
  },
  { name: "a negative id", text: aead("-3"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "two plus signs", text: aead("3++"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "a plus sign in front", text: aead("+3"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "a hexadecimal id", text: aead("0x3"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "an id with a fraction", text: aead("3.0"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "id 16 on Cilium's ring", text: aead("16"), ring: 15, faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "id 256", text: aead("256"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "an id past 2^53", text: aead("9".repeat(40)), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "the first id of strongSwan", text: aead("192"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "the last id of strongSwan", text: aead("207"), faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "1 field", text: "3", faults: [["KEYFILE_FIELD_COUNT", 1]] },
  { name: "2 fields", text: "3 rfc4106(gcm(aes))", faults: [["KEYFILE_FIELD_COUNT", 1]] },
  {
    name: "3 fields (a panic in the reference)",
    text: `3 rfc4106(gcm(aes)) ${aead128}`,
    faults: [["KEYFILE_FIELD_COUNT", 1]],
  },
  { name: "7 fields", text: `3 ${classic} a b`, faults: [["KEYFILE_FIELD_COUNT", 1]] },
  {
    name: "4 fields without the rfc prefix",
    text: `3 gcm(aes) ${aead128} 128`,
    faults: [["KEYFILE_ALGORITHM", 1]],
  },
  {
    name: "authentication only (GMAC)",
    text: `3 rfc4543(gcm(aes)) ${aead128} 128`,
    faults: [["KEYFILE_ALGORITHM", 1]],
  },
  {
    name: "an algorithm in capitals",
    text: `3 RFC4106(GCM(AES)) ${aead128} 128`,
    faults: [["KEYFILE_ALGORITHM", 1]],
  },
  {
    name: "bad AEAD hex",
    text: `3 rfc4106(gcm(aes)) zz${aead128} 128`,
    faults: [["KEYFILE_HEX", 1]],
  },
  {
    name: "odd AEAD hex",
    text: `3 rfc4106(gcm(aes)) ${aead128}f 128`,
    faults: [["KEYFILE_HEX", 1]],
  },
  {
    name: "0X in front",
    text: `3 rfc4106(gcm(aes)) 0X${aead128} 128`,
    faults: [["KEYFILE_HEX", 1]],
  },
  {
    name: "bad encryption hex",
    text: `3 hmac(sha256) ${hmac} cbc(aes) ${hmac}gg`,
    faults: [["KEYFILE_HEX", 1]],
  },
  { name: "no AEAD key", text: '3 rfc4106(gcm(aes)) "" 128', faults: [["KEYFILE_KEY_LENGTH", 1]] },
  { name: "0x alone", text: "3 rfc4106(gcm(aes)) 0x 128", faults: [["KEYFILE_KEY_LENGTH", 1]] },
  {
    name: "19 bytes",
    text: `3 rfc4106(gcm(aes)) ${aead128.slice(2)} 128`,
    faults: [["KEYFILE_KEY_LENGTH", 1]],
  },
  {
    name: "AES-192 (28 bytes)",
    text: `3 rfc4106(gcm(aes)) ${aead128}${hmac.slice(16)} 128`,
    faults: [["KEYFILE_KEY_LENGTH", 1]],
  },
  { name: "an ICV of 64", text: `3 rfc4106(gcm(aes)) ${aead128} 64`, faults: [["KEYFILE_ICV", 1]] },
  { name: "a cut ICV", text: `3 rfc4106(gcm(aes)) ${aead128} 12`, faults: [["KEYFILE_ICV", 1]] },
  {
    name: "an ICV in words",
    text: `3 rfc4106(gcm(aes)) ${aead128} full`,
    faults: [["KEYFILE_ICV", 1]],
  },
  {
    name: "unknown authentication",
    text: `3 hmac(md5) ${hmac} cbc(aes) ${hmac}`,
    faults: [["KEYFILE_ALGORITHM", 1]],
  },
  {
    name: "unknown encryption",
    text: `3 hmac(sha256) ${hmac} cbc(des3_ede) ${hmac}`,
    faults: [["KEYFILE_ALGORITHM", 1]],
  },
  {
    name: "a short authentication key",
    text: `3 hmac(sha256) ${hmac.slice(2)} cbc(aes) ${hmac}`,
    faults: [["KEYFILE_KEY_LENGTH", 1]],
  },
  {
    name: "a cut encryption key",
    text: `3 hmac(sha256) ${hmac} cbc(aes) ${hmac.slice(2)}`,
    faults: [["KEYFILE_KEY_LENGTH", 1]],
  },
  {
    name: "3.1 case 9: no protection at all",
    text: '3 digest_null "" cipher_null ""',
    faults: [["KEYFILE_NULL_ALGORITHM", 1]],
  },
  {
    name: "authentication without encryption",
    text: `3 hmac(sha256) ${hmac} cipher_null ""`,
    faults: [["KEYFILE_NULL_ALGORITHM", 1]],
  },
  {
    name: "encryption without authentication",
    text: `3 digest_null "" cbc(aes) ${hmac}`,
    faults: [["KEYFILE_NULL_ALGORITHM", 1]],
  },
  { name: "newest first", text: `${aead("4")}\n${aead("3")}\n`, faults: [["KEYFILE_ORDER", 2]] },
  {
    name: "Cilium's wrap on the larger ring",
    text: `${aead("15")}\n${aead("1")}\n`,
    faults: [["KEYFILE_ORDER", 2]],
  },
  {
    name: "every bad line is named, good ones between them are not",
    text: `x\n${aead("3")}\n\n4 rfc4106(gcm(aes)) zz 128\n${aead("5")}`,
    faults: [["KEYFILE_KEY_ID", 1], ["KEYFILE_BLANK_LINE", 3], ["KEYFILE_HEX", 4]],
  },
  {
    name: "a good line after a bad one of the same id",
    text: `3 rfc4106(gcm(aes)) zz 128\n${aead("3")}`,
    faults: [["KEYFILE_HEX", 1], ["KEYFILE_DUPLICATE_ID", 2]],
  },
  {
    name: "too many lines",
    text: "x\n".repeat(limits.keyFileLinesMax + 1),
    faults: [["KEYFILE_TOO_MANY_LINES", null]],
  },
  {
    name: "too many bytes",
    text: " ".repeat(limits.keyFileBytesMax + 1),
    faults: [["KEYFILE_TOO_LARGE", null]],
  },
  { name: "a byte order mark", text: `\ufeff${aead("3")}`, faults: [["KEYFILE_KEY_ID", 1]] },
  { name: "a zero byte", text: `${aead("3")}\0`, faults: [["KEYFILE_ICV", 1]] },
  {
    name: "lines that end in CR alone",
    text: `${aead("3")}\r${aead("4")}`,
    faults: [["KEYFILE_FIELD_COUNT", 1]],
  },
];

for (const bad of badFiles) {
  test(`key file refused: ${bad.name}`, () => {
    const parsed = parse(bad.text, bad.ring);
    assert.ok(!parsed.ok);
    const found = parsed.error.map((fault) => [fault.code, fault.line]);
    assert.deepEqual(found, bad.faults);
  });
}
