/** Addresses and batches. Whole messages: round-trip.test.ts and garbled.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, xfrmSa } from "../../../../test/support/netlink/arbitraries.js";
import { addressBytes, readAddress, writeAddress } from "./address.js";
import { MessageBatch } from "./batch.js";
import { netlinkFlag, xfrmMessage } from "./constants.js";
import type { Family } from "./model.js";
import { eachMessage, type ReceivedMessage } from "./received.js";
import { appendSa } from "./sa.js";

function messagesOf(bytes: Uint8Array): readonly ReceivedMessage[] {
  const messages: ReceivedMessage[] = [];
  assert.ok(eachMessage(bytes, (message) => messages.push(message)));
  return messages;
}

for (const family of ["ipv4", "ipv6"] satisfies Family[]) {
  test(`codec: an ${family} address is read back in its canonical form`, () => {
    fc.assert(
      fc.property(address(family), (text) => {
        const bytes = new Uint8Array(addressBytes + 2).fill(0xaa);
        writeAddress(bytes, 1, family, text);
        assert.equal(readAddress(bytes, 1, family), text);
        assert.deepEqual([bytes[0], bytes[addressBytes + 1]], [0xaa, 0xaa]);
      }),
    );
  });
}

test("codec: unusual texts of IPv6 addresses", () => {
  const cases = [
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ] as const;
  for (const [text, canonical] of cases) {
    const bytes = new Uint8Array(addressBytes);
    writeAddress(bytes, 0, "ipv6", text);
    assert.equal(readAddress(bytes, 0, "ipv6"), canonical, text);
  }
});

test("codec: what is no address is refused", () => {
  const bytes = new Uint8Array(addressBytes);
  const wrong: Record<Family, readonly string[]> = {
    ipv4: ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2..4", "1.2.3.4 ", "1.2.3.0004", "::1", "a.b.c.d"],
    ipv6: ["", "1", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:2:3:4:5:6:7:8::", "12345::", "g::", "1.2.3.4", "::1.2.3"],
  };
  for (const family of ["ipv4", "ipv6"] as const) {
    for (const text of wrong[family]) {
      assert.throws(() => writeAddress(bytes, 0, family, text), RangeError, `${family} "${text}"`);
    }
  }
});

test("codec: messages of a batch are numbered in order, and only the last asks for an acknowledgement", () => {
  const batch = new MessageBatch(64);
  const sa = fc.sample(xfrmSa, { numRuns: 5, seed: 1 });
  for (const one of sa) appendSa(batch, "add", one, new Uint8Array(20));
  batch.number(0xffff_fffe, netlinkFlag.acknowledge, 4_711);
  const messages = messagesOf(batch.content());
  assert.deepEqual(messages.map(({ sequence }) => sequence), [0xffff_fffe, 0xffff_ffff, 0, 1, 2]);
  assert.ok(messages.every(({ portId }) => portId === 4_711));
  assert.deepEqual(
    messages.map(({ flags }) => (flags & netlinkFlag.acknowledge) !== 0),
    [false, false, false, false, true],
  );
});

test("codec: no key byte is left in any buffer of a wiped batch, though it grew", () => {
  const key = new Uint8Array(36).fill(0xa5);
  const batch = new MessageBatch(32);
  const buffers = new Set([batch.bytes]);
  for (const sa of fc.sample(xfrmSa, { numRuns: 20, seed: 2 })) {
    appendSa(batch, "add", sa, key);
    buffers.add(batch.bytes);
  }
  assert.ok(buffers.size > 2 && batch.bytes.includes(0xa5));
  batch.wipe();
  for (const buffer of buffers) assert.ok(buffer.every((byte) => byte === 0));
  assert.equal(batch.count, 0);
});

test("codec: received bytes that end inside a message are reported as cut", () => {
  const batch = new MessageBatch();
  for (const sa of fc.sample(xfrmSa, { numRuns: 2, seed: 3 })) {
    appendSa(batch, "add", sa, new Uint8Array(20));
  }
  const whole = batch.content();
  const visits: number[] = [];
  assert.equal(eachMessage(whole.subarray(0, whole.length - 4), ({ type }) => visits.push(type)), false);
  assert.deepEqual(visits, [xfrmMessage.newSa]);
});
