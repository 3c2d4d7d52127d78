import assert from "node:assert/strict";
import { test } from "node:test";
import { testEntry } from "../../test/support/fleet-snapshot.js";
import { parseIncarnationId, parseNodeName, sameAddresses, sameEnds, sameEntry, type NodeAddresses, type RosterEntry } from "./node.js";

const names: readonly (readonly [string, boolean])[] = [
  ["a", true],
  ["node-1", true],
  ["node-1.rack-2.example", true],
  ["10.0.0.1", true],
  ["a".repeat(253), true],
  ["a".repeat(254), false],
  ["", false],
  ["-a", false],
  ["a-", false],
  [".a", false],
  ["Node", false],
  ["a b", false],
  ["a_b", false],
  ["a\n", false],
  ["é", false],
];

for (const [name, isValid] of names) {
  test(`node: ${JSON.stringify(name.slice(0, 24))} is ${isValid ? "a" : "no"} name`, () => {
    assert.equal(parseNodeName(name).ok, isValid);
  });
}

test("node: an incarnation id is 32 hex digits and not zero (cilium #34223)", () => {
  assert.equal(parseIncarnationId("0123456789abcdef".repeat(2)).ok, true);
  for (const text of ["0".repeat(32), "", "a".repeat(31), "A".repeat(32), "g".repeat(32)]) {
    assert.equal(parseIncarnationId(text).ok, false, text);
  }
});

test("node: an entry differs in each of its fields", () => {
  const entry = testEntry(1);
  assert.ok(sameEntry(entry, structuredClone(entry)));
  const others: readonly Partial<Record<keyof RosterEntry, unknown>>[] = [
    { name: "other" },
    { index: 9 },
    { incarnationId: "b".repeat(32) },
    { incarnationNumber: 3 },
    { revision: 17 },
    { addresses: { ...entry.addresses, ipv4: "192.0.2.99" } },
    { addresses: { ...entry.addresses, ipv6: "fd00::1" } },
    { addresses: { ...entry.addresses, udpPort: null } },
  ];
  for (const change of others) {
    assert.ok(!sameEntry(entry, { ...entry, ...change } as RosterEntry), JSON.stringify(change));
  }
});

const tunnelEnds: NodeAddresses = { ipv4: "192.0.2.1", ipv6: null, udpPort: null, cidrs: ["10.1.0.0/24"] };
const { cidrs: _none, ...transportEnds } = tunnelEnds;
const changedAddresses: readonly (readonly [what: string, other: NodeAddresses, sameEnds: boolean])[] = [
  ["another network", { ...tunnelEnds, cidrs: ["10.2.0.0/24"] }, true],
  ["a network more", { ...tunnelEnds, cidrs: ["10.1.0.0/24", "10.2.0.0/24"] }, true],
  ["no network: the other mode", transportEnds, false],
  ["another IPv4 address", { ...tunnelEnds, ipv4: "192.0.2.2" }, false],
  ["an IPv6 address more", { ...tunnelEnds, ipv6: "2001:db8::1" }, false],
  ["ESP in UDP", { ...tunnelEnds, udpPort: 4_500 }, false],
];

for (const [what, other, isSame] of changedAddresses) {
  test(`node: with ${what} SAs end ${isSame ? "where they did" : "elsewhere"}`, () => {
    assert.deepEqual([sameEnds(tunnelEnds, other), sameAddresses(tunnelEnds, other)], [isSame, false]);
    assert.ok(sameEnds(other, other) && sameAddresses(other, other));
  });
}
