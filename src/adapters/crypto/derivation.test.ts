import assert from "node:assert/strict";
import { hkdfSync } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import type { KeyEnd, KeyRef } from "../../core/sa.js";
import { checkValueOf, deriveSaKey, extractFleetKey, saInfo } from "./derivation.js";

const fleetKey = Buffer.from("44434241343332312423222114131211f4f3f2f1", "hex");

const end = (name: string, index: number): KeyEnd =>
  ({ name, index, incarnationId: String(index).padStart(32, "0") }) as KeyEnd;

const reference = {
  keyId: 3,
  from: end("a", 1),
  to: end("b", 2),
  family: "ipv4",
  mode: "transport",
} as KeyRef;

function derived(bytes: Uint8Array, sa: KeyRef): string {
  return deriveSaKey(extractFleetKey(bytes), sa).reveal().toString("hex");
}

/** Field by field as docs/reference/keyfile.md says, by other means than the code under test. */
function slowInfo(sa: KeyRef): Buffer {
  const index = (value: number): string => `\0\0\0${String.fromCharCode(value)}`;
  const fields = [
    "security association", "rfc4106(gcm(aes))", "\x01", String.fromCharCode(sa.keyId),
    sa.from.name, index(sa.from.index), sa.from.incarnationId,
    sa.to.name, index(sa.to.index), sa.to.incarnationId, sa.family, sa.mode,
  ];
  const prefixed = fields.map((field) => `\0${String.fromCharCode(field.length)}${field}`);
  return Buffer.from(prefixed.join(""), "latin1");
}

test("derivation: equals HKDF over the documented info", () => {
  const expected = hkdfSync("sha256", fleetKey, "spindle fleet key", slowInfo(reference), 20);
  assert.equal(derived(fleetKey, reference), Buffer.from(expected).toString("hex"));
});

/** Computed by other means (Python's hmac) from the documented fields. */
test("derivation: the bytes of version 1 never change", () => {
  assert.equal(derived(fleetKey, reference), "aaf94379ddf883eb29c20a71eeb235717ae94ce6");
  assert.equal(
    derived(Buffer.alloc(36, 7), reference),
    "56dff1a2f80d122d983e51027472b4787413956cc8e277b7f7bdd63d3a0ae221e488ae72",
  );
  assert.equal(checkValueOf(extractFleetKey(fleetKey)), "ca2c00d7b6926fbb5bd356516cbdab36");
});

test("derivation: the output is as long as the fleet key", () => {
  for (const length of [20, 36]) {
    assert.equal(derived(Buffer.alloc(length, 7), reference).length, length * 2);
  }
});

const changes: readonly (readonly [string, Partial<Record<keyof KeyRef, unknown>>])[] = [
  ["key id", { keyId: 4 }],
  ["direction", { from: reference.to, to: reference.from }],
  ["sender's name", { from: { ...reference.from, name: "c" } }],
  ["sender's index", { from: { ...reference.from, index: 9 } }],
  ["sender's incarnation", { from: { ...reference.from, incarnationId: "f".repeat(32) } }],
  ["receiver's name", { to: { ...reference.to, name: "c" } }],
  ["receiver's index", { to: { ...reference.to, index: 9 } }],
  ["receiver's incarnation", { to: { ...reference.to, incarnationId: "f".repeat(32) } }],
  ["family", { family: "ipv6" }],
  ["mode", { mode: "tunnel" }],
];

for (const [what, change] of changes) {
  test(`derivation: another ${what} gives another key`, () => {
    const other = { ...reference, ...change } as KeyRef;
    assert.notEqual(derived(fleetKey, other), derived(fleetKey, reference));
  });
}

test("check value: one bit of the key changes it, nothing of the SA is in it", () => {
  const other = Buffer.from(fleetKey);
  other[19] = (other[19] ?? 0) ^ 1;
  const value = checkValueOf(extractFleetKey(fleetKey));
  assert.match(value, /^[0-9a-f]{32}$/);
  assert.notEqual(checkValueOf(extractFleetKey(other)), value);
  assert.ok(!derived(fleetKey, reference).startsWith(value.slice(0, 8)));
});

const incarnationId = fc.stringMatching(/^[0-9a-f]{32}$/);
/** Few and similar values, so that fields that run into each other would meet. */
const name = fc.oneof(
  fc.constantFrom("a", "aa", "a.b", "1", "ipv4"),
  fc.stringMatching(/^[a-z0-9.]{1,12}$/),
);
const anyEnd = fc.record({ name, index: fc.nat({ max: 0xf_ffff }), incarnationId });
const anyRef = fc.record({
  keyId: fc.integer({ min: 1, max: 255 }),
  from: anyEnd,
  to: anyEnd,
  family: fc.constantFrom("ipv4", "ipv6"),
  mode: fc.constantFrom("transport", "tunnel"),
}) as unknown as fc.Arbitrary<KeyRef>;

function readIndex(field: string | undefined): number {
  return Buffer.from(field ?? "", "latin1").readUInt32BE();
}

/** Reads the fields back: an encoding that can be decoded cannot join two inputs. */
function decodeFields(info: Buffer): readonly string[] {
  const fields: string[] = [];
  for (let at = 0; at < info.length; ) {
    const length = info.readUInt16BE(at);
    fields.push(info.subarray(at + 2, at + 2 + length).toString("latin1"));
    at += 2 + length;
  }
  return fields;
}

test("info: decodes to the very SA, so different SAs have different infos", () => {
  fc.assert(
    fc.property(anyRef, (sa) => {
      const fields = decodeFields(saInfo(sa)).slice(3);
      assert.equal(fields.length, 9);
      const readEnd = (at: number): unknown => ({
        name: fields[at],
        index: readIndex(fields[at + 1]),
        incarnationId: fields[at + 2],
      });
      const read = {
        keyId: fields[0]?.charCodeAt(0),
        from: readEnd(1),
        to: readEnd(4),
        family: fields[7],
        mode: fields[8],
      };
      assert.deepEqual(JSON.stringify(read), JSON.stringify(sa));
    }),
  );
});

test("info: of two SAs, equal only when they are", () => {
  fc.assert(
    fc.property(anyRef, anyRef, (one, other) => {
      const equal = JSON.stringify(one) === JSON.stringify(other);
      assert.equal(saInfo(one).equals(saInfo(other)), equal);
    }),
  );
});
