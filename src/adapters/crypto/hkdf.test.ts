/** RFC 5869, appendix A: the test cases with SHA-256. */
import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import { hkdfExpand, hkdfExtract } from "./hkdf.js";

function counting(from: number, to: number): Buffer {
  return Buffer.from(Array.from({ length: to - from + 1 }, (_, index) => from + index));
}

const vectors = [
  {
    name: "A.1 basic",
    inputKey: Buffer.alloc(22, 0x0b),
    salt: counting(0x00, 0x0c),
    info: counting(0xf0, 0xf9),
    pseudorandomKey: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
    output:
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
  },
  {
    name: "A.2 long inputs and output",
    inputKey: counting(0x00, 0x4f),
    salt: counting(0x60, 0xaf),
    info: counting(0xb0, 0xff),
    pseudorandomKey: "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
    output:
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41" +
      "c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
  },
  {
    name: "A.3 no salt, no info",
    inputKey: Buffer.alloc(22, 0x0b),
    salt: Buffer.alloc(0),
    info: Buffer.alloc(0),
    pseudorandomKey: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
    output:
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  },
] as const;

for (const vector of vectors) {
  test(`HKDF: RFC 5869 ${vector.name}`, () => {
    const extracted = hkdfExtract(vector.salt, vector.inputKey);
    assert.equal(extracted.toString("hex"), vector.pseudorandomKey);
    const output = hkdfExpand(extracted, vector.info, vector.output.length / 2);
    assert.equal(output.toString("hex"), vector.output);
  });
}

test("HKDF: equals node's own in one call, for any length", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 });
  const lengths = fc.integer({ min: 1, max: 100 });
  fc.assert(
    fc.property(bytes, bytes, bytes, lengths, (key, salt, info, length) => {
      const ours = hkdfExpand(hkdfExtract(salt, key), info, length);
      assert.deepEqual(ours, Buffer.from(hkdfSync("sha256", key, salt, info, length)));
    }),
  );
});
