/** Both grammars: what is accepted, and what holds for any input. For the rest: parse-refused. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { describeFault } from "./fault.js";
import { describeAlgorithm, secretParts, slotOf, whyNotRunnable } from "./key-file.js";
import type { KeyFile } from "./key-file.js";
import { parseKeyFile } from "./parse.js";

const aead128 = "44434241343332312423222114131211f4f3f2f1";
const aead256 = `44434241343332312423222114131211${aead128}`;
const hmac = "0123456789abcdef0123456789abcdef";
const classic = `hmac(sha256) ${hmac} cbc(aes) ${hmac}`;
const aead = (id: string): string => `${id} rfc4106(gcm(aes)) ${aead128} 128`;

function parse(text: string, ring: 255 | 15 = 255): ReturnType<typeof parseKeyFile> {
  return parseKeyFile(new TextEncoder().encode(text), ring);
}

function parseValid(text: string, ring: 255 | 15 = 255): KeyFile {
  const parsed = parse(text, ring);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.error.map((fault) => fault.problem).join());
  return parsed.value;
}

interface Good {
  readonly name: string;
  readonly text: string;
  readonly ids: readonly number[];
  /** Of the newest line; AES-GCM with 128 bits and able to run unless it says otherwise. */
  readonly algorithm?: string;
  readonly runs?: false;
  readonly ring?: 15;
}

const hmacName = "hmac(sha256)+cbc(aes)";

const goodFiles: readonly Good[] = [
  {
    name: "3.1 case 8: two lines auth+enc",
    text: `1 ${classic}\n2 ${classic}\n`,
    ids: [1, 2],
    algorithm: hmacName,
    runs: false,
  },
  { name: "3.1 case 10: AEAD of 20 bytes", text: aead("4"), ids: [4] },
  {
    name: "3.1 case 11: AEAD of 36 bytes",
    text: `5 rfc4106(gcm(aes)) ${aead256} 128`,
    ids: [5],
    algorithm: "aes-gcm-256",
  },
  { name: "3.1 case 14: 15 on Cilium's ring", text: aead("15"), ids: [15], ring: 15 },
  { name: "3.1 case 14: 3+", text: aead("3+"), ids: [3] },
  {
    name: "the wrap of Cilium's ring",
    text: `${aead("15")}\n${aead("1")}`,
    ids: [15, 1],
    ring: 15,
  },
  { name: "the wrap of our ring", text: `${aead("255")}\n${aead("1")}`, ids: [255, 1] },
  { name: "over strongSwan's ids", text: `${aead("191")}\n${aead("208")}`, ids: [191, 208] },
  { name: "three lines", text: `${aead("7")}\n${aead("8")}\n${aead("9")}\n`, ids: [7, 8, 9] },
  {
    name: "another key length on the next line",
    text: `3 rfc4106(gcm(aes)) ${aead256} 128\n${aead("4")}`,
    ids: [3, 4],
  },
  { name: "CRLF", text: `${aead("3")}\r\n${aead("4")}\r\n`, ids: [3, 4] },
  { name: "CR at the end without LF", text: `${aead("3")}\r`, ids: [3] },
  {
    name: "runs of spaces and tabs",
    text: ` \t3 \t rfc4106(gcm(aes))  0x${aead128.toUpperCase()}\t128 \n`,
    ids: [3],
  },
  { name: "leading zeros", text: aead("007"), ids: [7] },
  { name: "an ICV of 96", text: `3 rfc4106(gcm(aes)) ${aead128} 96`, ids: [3], runs: false },
  { name: "an ICV of 256", text: `3 rfc4106(gcm(aes)) ${aead128} 256`, ids: [3], runs: false },
  {
    name: "32 bytes each, with +",
    text: `3+ hmac(sha256) ${hmac}${hmac} cbc(aes) ${hmac}${hmac}`,
    ids: [3],
    algorithm: hmacName,
    runs: false,
  },
  {
    name: "hmac(sha512)",
    text: `3 hmac(sha512) ${hmac}${hmac} cbc(aes) ${hmac}`,
    ids: [3],
    algorithm: "hmac(sha512)+cbc(aes)",
    runs: false,
  },
];

for (const good of goodFiles) {
  test(`key file accepted: ${good.name}`, () => {
    const { lines } = parseValid(good.text, good.ring);
    assert.deepEqual(lines.map((line) => line.keyId), good.ids);
    const newest = lines.at(-1);
    assert.ok(newest);
    assert.equal(describeAlgorithm(newest.key), good.algorithm ?? "aes-gcm-128");
    assert.equal(whyNotRunnable(newest.key) === null, good.runs ?? true);
  });
}

test("key file: bytes are the digits in order, the prefix is not a part of them", () => {
  const [line] = parseValid(`3+ rfc4106(gcm(aes)) 0x${aead256} 128`).lines;
  assert.ok(line?.key.kind === "aead");
  assert.equal(Buffer.from(line.key.bytes).toString("hex"), aead256);
  assert.equal(line.plus, true);
});

test("key file: auth+enc keeps which key is which", () => {
  const [line] = parseValid(`3 hmac(sha256) ${aead128} cbc(aes) ${hmac}`).lines;
  assert.ok(line);
  const parts = secretParts(line.key).map((part) => Buffer.from(part).toString("hex"));
  assert.deepEqual(parts, [aead128, hmac]);
});

test("key file: the last line is next, the one before it current, the only one current", () => {
  const three = parseValid(`${aead("7")}\n${aead("8")}\n${aead("9")}\n`);
  assert.deepEqual([0, 1, 2].map((index) => slotOf(three, index)), ["previous", "current", "next"]);
  assert.equal(slotOf(parseValid(aead("7")), 0), "current");
});

test("key file fault: place, problem, expectation and remedy on one line", () => {
  const parsed = parse(`${aead("3")}\n4 rfc4106(gcm(aes)) ${aead128}ab 128`);
  assert.ok(!parsed.ok && parsed.error[0]);
  assert.equal(
    describeFault(parsed.error[0], "/etc/spindle/keys"),
    "/etc/spindle/keys:2: the AES-GCM key has 21 bytes; expected 20 bytes (AES-128 and salt) or " +
      "36 bytes (AES-256 and salt); to fix it, " +
      'write the line with "spindle keyfile generate" or "next"',
  );
});

const anyRing = fc.constantFrom(255 as const, 15 as const);

test("key file: any bytes give a value or at least one fault, never a throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), anyRing, (bytes, ring) => {
      const before = Uint8Array.from(bytes);
      const parsed = parseKeyFile(bytes, ring);
      assert.deepEqual(bytes, before, "the input belongs to the caller");
      if (!parsed.ok) assert.ok(parsed.error.length > 0);
    }),
  );
});

const hexText = fc.stringMatching(/^[0-9a-fA-F]{0,80}$/);
const anyField = fc.oneof(
  hexText,
  fc.nat(300).map(String),
  fc.constantFrom("rfc4106(gcm(aes))", "hmac(sha256)", "cbc(aes)", "cipher_null"),
  fc.constantFrom("128", '""', "3+", aead128),
  hexText.map((hex) => `0x${hex}`),
  hexText.map((hex) => `${hex}x`),
);
const anyLine = fc.array(anyField, { maxLength: 7 }).map((fields) => fields.join(" "));
const anyFile = fc.array(anyLine, { minLength: 1, maxLength: 4 }).map((lines) => lines.join("\n"));

test("key file fault: no 8 hex digits of the input are ever repeated", () => {
  let refused = 0;
  fc.assert(
    fc.property(anyFile, (text) => {
      const parsed = parse(text);
      if (parsed.ok) return;
      refused += 1;
      const messages = parsed.error.map((fault) => describeFault(fault, "keys"));
      const message = messages.join("\n").toLowerCase();
      for (const [run] of text.toLowerCase().matchAll(/[0-9a-f]{8,}/g)) {
        for (let at = 0; at + 8 <= run.length; at += 1) {
          assert.ok(!message.includes(run.slice(at, at + 8)), "a piece of key is in the message");
        }
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(refused > 100, "the generator makes bad files");
});
