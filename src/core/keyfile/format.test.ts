import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { KeyId } from "../key-id.js";
import { formatKeyFile } from "./format.js";
import type { FleetKeyBytes, KeyLine } from "./key-file.js";
import { wipeLines } from "./key-file.js";
import { parseKeyFile } from "./parse.js";

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });

const aeadKey: fc.Arbitrary<FleetKeyBytes> = fc.record({
  kind: fc.constant("aead" as const),
  algorithm: fc.constant("rfc4106(gcm(aes))" as const),
  bytes: fc.oneof(bytesOf(20), bytesOf(36)),
  icvBits: fc.constantFrom(96 as const, 128 as const, 256 as const),
}, { noNullPrototype: true });
const authEncKey: fc.Arbitrary<FleetKeyBytes> = fc.record({
  kind: fc.constant("auth-enc" as const),
  authAlgorithm: fc.constantFrom("hmac(sha256)", "hmac(sha384)", "hmac(sha512)"),
  authBytes: fc.oneof(bytesOf(16), bytesOf(32), bytesOf(64)),
  cipherAlgorithm: fc.constant("cbc(aes)"),
  cipherBytes: fc.oneof(bytesOf(16), bytesOf(24), bytesOf(32)),
}, { noNullPrototype: true });
const anyKeys = fc.array(fc.tuple(fc.boolean(), fc.oneof(aeadKey, authEncKey)), {
  minLength: 1,
  maxLength: 4,
});
const anyLines: fc.Arbitrary<readonly KeyLine[]> = fc
  .tuple(fc.integer({ min: 1, max: 180 }), anyKeys)
  .map(([first, keys]) =>
    keys.map(([plus, key], index) => ({ keyId: (first + index) as KeyId, plus, key })),
  );

test("key file: what is written parses back to equal lines", () => {
  fc.assert(
    fc.property(anyLines, (lines) => {
      const parsed = parseKeyFile(formatKeyFile(lines), 255);
      assert.ok(parsed.ok);
      assert.deepEqual(parsed.value.lines, lines);
    }),
  );
});

test("key file: the text is Cilium's, byte for byte", () => {
  const text = "3+ rfc4106(gcm(aes)) 44434241343332312423222114131211f4f3f2f1 128\n";
  const parsed = parseKeyFile(new TextEncoder().encode(text), 15);
  assert.ok(parsed.ok);
  assert.equal(new TextDecoder().decode(formatKeyFile(parsed.value.lines)), text);
});

test("key file: wiping leaves no byte of any key, and the written text is apart from it", () => {
  const text =
    `3 hmac(sha256) ${"ab".repeat(16)} cbc(aes) ${"cd".repeat(16)}\n` +
    `4 rfc4106(gcm(aes)) ${"ef".repeat(20)} 128\n`;
  const parsed = parseKeyFile(new TextEncoder().encode(text), 15);
  assert.ok(parsed.ok);
  const written = formatKeyFile(parsed.value.lines);
  wipeLines(parsed.value.lines);
  assert.equal(new TextDecoder().decode(written), text);
  const wiped = new TextDecoder().decode(formatKeyFile(parsed.value.lines));
  assert.equal(wiped, text.replace(/(ab|cd|ef)/g, "00"));
});
