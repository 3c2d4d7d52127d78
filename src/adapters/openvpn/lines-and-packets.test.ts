/** What comes from outside: lines of OpenVPN's management interface, packets of the peer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Digest, Fingerprint, LinkName, PairIndex, SiteName } from "../../core/gateway/link.js";
import { isUpAfter, parseManagementLine } from "./management-lines.js";
import { decodeAnswer, encodeAnswer, encodeQuestion, nonceBytes, probeBytesMin, type ProbeIdentity } from "./probe-packets.js";

const cases: readonly (readonly [string, ReturnType<typeof parseManagementLine>])[] = [
  [">HOLD:Waiting for hold release:0", { kind: "event", event: { kind: "hold" } }],
  [
    ">STATE:1795614313,CONNECTED,SUCCESS,169.254.10.1,10.99.0.1,11940,,",
    { kind: "event", event: { kind: "state", state: { name: "CONNECTED", detail: "SUCCESS", peerAddress: "10.99.0.1" } } },
  ],
  [
    ">STATE:1795614312,WAIT,,,,,,",
    { kind: "event", event: { kind: "state", state: { name: "WAIT", detail: "", peerAddress: "" } } },
  ],
  [
    ">LOG:1795614312,N,TLS Error: a, b",
    { kind: "event", event: { kind: "log", flags: "N", text: "TLS Error: a, b" } },
  ],
  [">STATE:", { kind: "event", event: { kind: "other", text: "STATE:" } }],
  [">", { kind: "event", event: { kind: "other", text: "" } }],
  ["SUCCESS: hold release succeeded", { kind: "success", text: "hold release succeeded" }],
  ["ERROR: unknown command", { kind: "error", text: "unknown command" }],
  ["END", { kind: "end" }],
  ["1795614313,CONNECTED,SUCCESS,a,b", { kind: "text", text: "1795614313,CONNECTED,SUCCESS,a,b" }],
];
for (const [line, expected] of cases) {
  test(`management: ${JSON.stringify(line)}`, () => {
    assert.deepEqual(parseManagementLine(line), expected);
  });
}

const histories: readonly (readonly [string, string, boolean | null])[] = [
  ["a listening end alone", "CONNECTING ASSIGN_IP", false],
  ["a handshake that goes on", "CONNECTING ASSIGN_IP AUTH WAIT", false],
  ["connected", "CONNECTING ASSIGN_IP AUTH WAIT CONNECTED", true],
  ["a stranger who was refused", "CONNECTING ASSIGN_IP AUTH WAIT CONNECTED AUTH WAIT AUTH WAIT", true],
  ["silence, and then a stranger", "CONNECTED RECONNECTING AUTH WAIT", false],
  ["ending", "CONNECTED EXITING", false],
  ["strangers alone, and a cut line", "AUTH WAIT AUTH", null],
  ["nothing yet", "", null],
];
for (const [what, names, expected] of histories) {
  test(`management: up or not, ${what}`, () => {
    const lines = names.split(" ").map((name) => `1795614313,${name},,,,,,`);
    assert.equal(isUpAfter([...lines, ""]), expected);
  });
}

const identity: ProbeIdentity = {
  link: "a".repeat(63) as LinkName,
  site: "b".repeat(63) as SiteName,
  pair: 15 as PairIndex,
  number: Number.MAX_SAFE_INTEGER,
  digest: "cd".repeat(32) as Digest,
  certificate: "ef".repeat(32) as Fingerprint,
};
const nonce = Buffer.alloc(nonceBytes, 7);

test("probe: an answer has the question's number and length, and the longest identity", () => {
  for (const size of [probeBytesMin, 1_372]) {
    const answer = encodeAnswer(encodeQuestion(nonce, size), identity)!;
    assert.equal(answer.length, size);
    assert.deepEqual(decodeAnswer(answer), { nonce: nonce.toString("hex"), sizeBytes: size, identity });
  }
});

test("probe: no answer to what is short, foreign or itself an answer", () => {
  const question = encodeQuestion(nonce, probeBytesMin);
  assert.equal(encodeAnswer(question.subarray(0, -1), identity), null, "an answer is never longer than its question");
  assert.equal(encodeAnswer(Buffer.alloc(probeBytesMin), identity), null);
  assert.equal(encodeAnswer(encodeAnswer(question, identity)!, identity), null, "two ends never answer each other's answers");
});

test("probe: an answer that is cut, changed or has a wrong field counts as none", () => {
  const answer = encodeAnswer(encodeQuestion(nonce, probeBytesMin), identity)!;
  assert.equal(decodeAnswer(answer.subarray(0, probeBytesMin - 1)), null);
  assert.equal(decodeAnswer(encodeQuestion(nonce, probeBytesMin)), null);
  const withIdentity = (text: string): Buffer => {
    const packet = Buffer.alloc(probeBytesMin);
    packet.set(answer.subarray(0, 4 + nonceBytes));
    packet.write(`${text}\n`, 4 + nonceBytes);
    return packet;
  };
  assert.equal(decodeAnswer(withIdentity("no JSON")), null);
  assert.equal(decodeAnswer(withIdentity("null")), null);
  for (const field of Object.keys(identity)) {
    assert.equal(decodeAnswer(withIdentity(JSON.stringify({ ...identity, [field]: "../x" }))), null, field);
    assert.equal(decodeAnswer(withIdentity(JSON.stringify({ ...identity, [field]: undefined }))), null, field);
  }
});
