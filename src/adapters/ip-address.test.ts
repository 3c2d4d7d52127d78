import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalIpv6 } from "./ip-address.js";
import { readAddress, writeAddress } from "./netlink/codec/address.js";

const spellings: readonly (readonly [text: string, canonical: string | null])[] = [
  ["2001:DB8:0:0::1", "2001:db8::1"],
  ["2001:db8::1", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::1", "::1"],
  ["fe80::1%eth0", null],
  ["::ffff:192.0.2.1", null],
  ["0:0:0:0:0:ffff:c000:201", null],
  ["192.0.2.1", null],
  ["2001:db8::g", null],
];

for (const [text, canonical] of spellings) {
  test(`ip address: ${text} is ${canonical ?? "refused"}`, () => {
    assert.equal(canonicalIpv6(text), canonical);
  });
}

test("ip address: the canonical spelling is the one that the kernel's bytes are read as", () => {
  for (const canonical of spellings.map(([, text]) => text).filter((text) => text !== null)) {
    const bytes = new Uint8Array(16);
    writeAddress(bytes, 0, "ipv6", canonical);
    assert.equal(readAddress(bytes, 0, "ipv6"), canonical);
  }
});
