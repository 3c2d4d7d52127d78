/**
 * Bytes that must not change by accident: what a kernel sent, and what we send. The kernel tests
 * install the latter and see `ip xfrm` show what they mean.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { kernelBytes } from "../../../../test/support/netlink/kernel-bytes.js";
import {
  hostSelector,
  keyOf,
  natPorts,
  protectingPolicy,
  saOf,
} from "../../../../test/support/netlink/samples.js";
import { MessageBatch } from "./batch.js";
import { describeKernelError } from "./errno.js";
import { readKernelError } from "./kernel-error.js";
import type { ListedSa, Notification } from "./model.js";
import { readNotification } from "./notification.js";
import { appendDeletePolicy, appendDumpPolicies, appendPolicy } from "./policy.js";
import { eachMessage, type ReceivedMessage } from "./received.js";
import { appendDeleteSa, appendDumpSas, appendGetSa, appendSa, readSa } from "./sa.js";

function received(name: keyof typeof kernelBytes): ReceivedMessage {
  const messages: ReceivedMessage[] = [];
  const bytes = Uint8Array.from(Buffer.from(kernelBytes[name], "hex"));
  assert.ok(eachMessage(bytes, (message) => messages.push(message)));
  return messages[0]!;
}

const listedSa: ListedSa = {
  ...saOf("ipv4", "transport", { reqid: 77, ifId: 7, replayWindow: 64 }),
  protocol: 50,
  hasMark: false,
  encapsulation: { type: 2, source: 4_500, destination: 4_501 },
  aead: { name: "rfc4106(gcm(aes))", icvBits: 128, key: keyOf(20) },
  packets: 0,
  bytes: 0,
  firstUsedAt: 0,
  lastUsedAt: null,
  receivedSequence: 0,
  sentSequence: 0,
};

test("golden: the kernel's dump of an SA", () => {
  const message = received("saDumped");
  assert.equal(message.sequence, 5);
  assert.deepEqual(readSa(message.payload), listedSa);
});

const policy = {
  direction: "forward",
  selector: {
    ...hostSelector("ipv6", "2001:db8:1::", "2001:db8:2::"),
    source: { address: "2001:db8:1::", length: 48 },
    destination: { address: "2001:db8:2::", length: 64 },
    protocol: 6,
    destinationPort: 443,
  },
  verdict: "allow",
  priority: 9,
  ifId: 3,
  hasMark: false,
} as const;

const template = {
  family: "ipv6",
  source: "2001:db8::1",
  destination: "2001:db8::2",
  spi: 0x100,
  protocol: 50,
  reqid: 5,
  mode: "tunnel",
  optional: true,
} as const;

const told: readonly [keyof typeof kernelBytes, Notification][] = [
  ["saAdded", { kind: "sa-added", sa: listedSa }],
  ["saDeleted", { kind: "sa-deleted", sa: listedSa }],
];

for (const [name, expected] of told) {
  test(`golden: the kernel's notification ${expected.kind}`, () => {
    assert.deepEqual(readNotification(received(name)), expected);
  });
}

for (const [name, kind] of [
  ["policyAdded", "policy-added"],
  ["policyDeleted", "policy-deleted"],
] as const) {
  test(`golden: the kernel's notification ${kind}`, () => {
    const notification = readNotification(received(name));
    assert.ok(notification !== null && "policy" in notification);
    assert.equal(notification.kind, kind);
    const { index, ...read } = notification.policy;
    assert.deepEqual(read, { ...policy, templates: [template] });
    assert.ok(index > 0);
  });
}

test("golden: the kernel's refusal, with its own words and without the key", () => {
  const error = readKernelError(received("keyRefused"));
  const text = "Kernel was unable to initialize cryptographic operations";
  assert.deepEqual(error, { errno: 22, text, offset: null });
  assert.deepEqual(describeKernelError(error), {
    code: "EINVAL",
    retryable: false,
    message: `${text}: the kernel rejects a field; its own words say which`,
  });
  assert.ok(!kernelBytes.keyRefused.includes("01020304"));
});

test("golden: the end of a dump is no error", () => {
  assert.equal(readKernelError(received("dumpDone")), null);
});

const sa = saOf("ipv4", "transport", { encapsulation: natPorts, ifId: 7, replayWindow: 64 });
const protecting = protectingPolicy("out", sa, hostSelector("ipv4", sa.source, sa.destination));
const addresses = "c0000202[12]c0000201";
const unlimited = "f".repeat(64);

/** Fields as they follow each other; `[n]` are n zeros. */
const written: readonly [string, (batch: MessageBatch) => void, readonly string[]][] = [
  [
    "an SA with UDP encapsulation",
    (batch) => appendSa(batch, "add", sa, keyOf(20)),
    [
      "9801000010000106[8][40]0200[14]c0000202[12]0300001132[3]c0000201[12]",
      `${unlimited}[32][32][12][4]0100505302000000800000[5]`,
      "60001200726663343130362867636d286165732929[47]a000000080000000",
      "0102030405060708090a0b0c0d0e0f1011121314",
      "2400170002000000[16]40000000[8]",
      "1c0004000200119411940000[16]08001f0007000000",
    ],
  ],
  [
    "a policy pinned to an SPI",
    (batch) => appendPolicy(batch, "set", protecting),
    [
      `fc00000019000100[8]${addresses}[12][8]02002020[12]${unlimited}[32][32]`,
      "e8030000[4]01000000[4]",
      `44000500c0000202[12]03000011320000000200000`,
      "0c0000201[12]0100505300000000ffffffffffffffffffffffff",
    ],
  ],
  ["a deletion of an SA", (batch) => appendDeleteSa(batch, sa), ["2800000011000100[8]c0000202[12]0300001102003200"]],
  ["a question for an SA", (batch) => appendGetSa(batch, sa), ["2800000012000100[8]c0000202[12]0300001102003200"]],
  [
    "a deletion of a policy",
    (batch) => appendDeletePolicy(batch, protecting),
    [`5000000014000100[8]${addresses}[12][8]02002020[12][4]01000000`],
  ],
  ["a dump of SAs", appendDumpSas, ["1800000012000103[8]0500190032000000"]],
  ["a dump of policies", appendDumpPolicies, ["1000000015000103[8]"]],
];

for (const [what, append, fields] of written) {
  test(`golden: ${what} as we send it`, () => {
    const batch = new MessageBatch();
    append(batch);
    const expected = fields
      .join("")
      .replaceAll(/\[(\d+)\]/g, (_, zeros: string) => "00".repeat(Number(zeros)));
    assert.equal(Buffer.from(batch.content()).toString("hex"), expected);
  });
}
