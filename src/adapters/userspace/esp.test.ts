import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  hasEspShape,
  isEspKeyLength,
  openEsp,
  readEspHeader,
  sealEsp,
  splitSequence,
  type EspPacket,
} from "./esp.js";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/**
 * draft-mcgrew-gcm-test-01, the cases with extended sequence numbers; the padding and ICV are those
 * of the draft.
 */
const vectors = [
  {
    key: "4c80cdefbb5d10da906ac73c3613a634 2e443b68",
    iv: "4956ed7e3b244cfe",
    packet: {
      spi: 0x00004321,
      sequence: { high: 0x87654321, low: 0 },
      nextHeader: 1,
      payload: hex(
        "45000048699a000080114db7c0a80102c0a801010a9bf15638d3010000010000" +
          "00000000045f736970045f756470037369700963796265726369747902646b0000210001",
      ),
    },
    sealed:
      "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34" +
      "cfa2436f14a3f3cf65925bf1f4a13c5d" +
      "15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732 459018148f6cbe722fd04796562dfdb4",
  },
  {
    key: "3de09874b388e6491988d0c3607eae1f 57690e43",
    iv: "4e280000a2fca1a3",
    packet: {
      spi: 0x42f67e3f,
      sequence: { high: 0x10101010, low: 0x10101010 },
      nextHeader: 1,
      payload: hex("4500001c42a200008001441f406793b6e00000020a00f5ff"),
    },
    sealed:
      "fba2ca845e5df9f0f22c3e6e86dd831e1fc65792cd1af9130e1379ed 369f071f35e034be95f112e4e7d05d35",
  },
];

test("esp: known answers of draft-mcgrew-gcm-test-01", () => {
  for (const { key, iv, packet, sealed } of vectors) {
    const wire = sealEsp(hex(key), packet, hex(iv));
    assert.equal(wire.subarray(16).toString("hex"), sealed.replaceAll(" ", ""));
    assert.deepEqual(readEspHeader(wire), { spi: packet.spi, sequenceLow: packet.sequence.low });
    const opened = openEsp(hex(key), wire, packet.sequence.high);
    assert.deepEqual(opened, { ok: true, value: { nextHeader: 1, payload: packet.payload } });
  }
});

const keys = fc
  .constantFrom(20, 36)
  .chain((size) => fc.uint8Array({ minLength: size, maxLength: size }));
const packets = fc.record({
  spi: fc.integer({ min: 256, max: 0xffff_ffff }),
  sequence: fc.maxSafeNat().map((sequence) => splitSequence(sequence)),
  nextHeader: fc.nat(255),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

/** RFC 4106 spelled out once more, without the code under test. */
function sealSlowly(key: Buffer, packet: EspPacket): Buffer {
  const words = Buffer.alloc(16);
  words.writeUInt32BE(packet.spi, 0);
  words.writeUInt32BE(packet.sequence.high, 4);
  words.writeUInt32BE(packet.sequence.low, 8);
  const iv = words.subarray(4, 12);
  const cipher = createCipheriv(
    key.length === 20 ? "aes-128-gcm" : "aes-256-gcm",
    key.subarray(0, -4),
    Buffer.concat([key.subarray(-4), iv]),
  );
  cipher.setAAD(words.subarray(0, 12));
  const padding = [[1, 2], [1], [], [1, 2, 3]][packet.payload.length % 4]!;
  const trailer = Buffer.from([...padding, padding.length, packet.nextHeader]);
  const sealed = [cipher.update(packet.payload), cipher.update(trailer), cipher.final()];
  return Buffer.concat([
    words.subarray(0, 4),
    words.subarray(8, 12),
    iv,
    ...sealed,
    cipher.getAuthTag(),
  ]);
}

test("esp: seals as RFC 4106 spells it out, with both key sizes, and opens again", () => {
  fc.assert(
    fc.property(keys, packets, (key, packet) => {
      const wire = sealEsp(Buffer.from(key), packet);
      assert.deepEqual(wire, sealSlowly(Buffer.from(key), packet));
      assert.ok(hasEspShape(wire));
      const { nextHeader, payload } = packet;
      const opened = openEsp(Buffer.from(key), wire, packet.sequence.high);
      assert.deepEqual(opened, { ok: true, value: { nextHeader, payload } });
    }),
  );
});

test("esp: any changed bit, another key and another high half are refused", () => {
  const bits = fc.nat(10_000);
  fc.assert(
    fc.property(keys, packets, bits, (key, packet, bit) => {
      const wire = sealEsp(Buffer.from(key), packet);
      const tampered = Buffer.from(wire);
      tampered[(bit >> 3) % wire.length]! ^= 1 << (bit & 7);
      const refused = { ok: false, error: "icv" };
      assert.deepEqual(openEsp(Buffer.from(key), tampered, packet.sequence.high), refused);
      const otherKey = Buffer.from(key);
      otherKey[bit % key.length]! ^= 1;
      assert.deepEqual(openEsp(otherKey, wire, packet.sequence.high), refused);
      assert.deepEqual(openEsp(Buffer.from(key), wire, packet.sequence.high + 1), refused);
    }),
  );
});

/** An authentic packet with a trailer of our choice, which `sealEsp` never makes. */
function sealRaw(key: Buffer, plaintext: Buffer): Buffer {
  const head = Buffer.from("010000000000000100000000" + "00000001", "hex");
  const nonce = Buffer.concat([key.subarray(-4), head.subarray(8, 16)]);
  const cipher = createCipheriv("aes-128-gcm", key.subarray(0, 16), nonce);
  cipher.setAAD(hex("01000000 00000000 00000001"));
  return Buffer.concat([head, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

test("esp: an authentic packet with senseless padding is told apart from a forged one", () => {
  const key = Buffer.alloc(20, 7);
  assert.deepEqual(openEsp(key, sealRaw(key, hex("01020217")), 0), {
    ok: true,
    value: { nextHeader: 0x17, payload: Buffer.alloc(0) },
  });
  for (const plaintext of ["01030217", "00000317", "0101ff17"]) {
    assert.deepEqual(openEsp(key, sealRaw(key, hex(plaintext)), 0), {
      ok: false,
      error: "trailer",
    });
  }
});

test("esp: shapes and key lengths", () => {
  const shapes: readonly [number, boolean][] = [
    [35, false],
    [36, true],
    [37, false],
    [40, true],
    [0, false],
  ];
  for (const [bytes, expected] of shapes)
    assert.equal(hasEspShape(Buffer.alloc(bytes)), expected, `${bytes}`);
  assert.equal(readEspHeader(Buffer.alloc(7)), null);
  for (const [bytes, expected] of [
    [20, true],
    [36, true],
    [28, false],
    [16, false],
    [0, false],
  ] as const) {
    assert.equal(isEspKeyLength(bytes), expected, `${bytes} bytes`);
  }
});
