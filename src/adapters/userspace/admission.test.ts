import assert from "node:assert/strict";
import { test } from "node:test";
import { familyOf, isLoopback, refusePolicy, refuseSa } from "./admission.js";
import { makeNode, policySpec, saSpec } from "./fixtures.js";
import { parseReceiveDrops } from "./receive-drops.js";
import type { SaRequest } from "./sa-database.js";

const local = makeNode(1, "127.0.0.1", 4500);
const peer = makeNode(2, "127.0.0.2", 4500);
const outbound: SaRequest = { ...saSpec("out", 3, local, peer), mode: "transport" };
const inbound: SaRequest = { ...saSpec("in", 3, peer, local), mode: "transport" };
const elsewhere = { address: "127.0.0.1", udpPort: 4501 };

const requests: readonly [string, SaRequest, string | undefined][] = [
  ["outbound from here", outbound, undefined],
  ["inbound to here", inbound, undefined],
  ["tunnel mode", { ...outbound, mode: "tunnel" }, "DATAPLANE_UNSUPPORTED"],
  ["outbound from another port", { ...outbound, source: elsewhere }, "DATAPLANE_NOT_LOCAL"],
  ["inbound to another port", { ...inbound, destination: elsewhere }, "DATAPLANE_NOT_LOCAL"],
  [
    "plain ESP",
    { ...outbound, destination: { address: "127.0.0.2", udpPort: null } },
    "DATAPLANE_UNSUPPORTED",
  ],
  [
    "a peer of the other family",
    { ...inbound, source: { address: "::1", udpPort: 9 } },
    "DATAPLANE_UNSUPPORTED",
  ],
];
for (const [name, request, code] of requests) {
  test(`admission: ${name} is ${code ?? "admitted"}`, () => {
    assert.equal(refuseSa(local.endpoint, request)?.code, code);
  });
}

test("admission: policies are of the dataplane's family and for peers with a UDP port", () => {
  const slot = policySpec("in", peer, { kind: "accept" });
  assert.equal(refusePolicy(local.endpoint, slot), null);
  assert.equal(
    refusePolicy(local.endpoint, { ...slot, family: "ipv6" })?.code,
    "DATAPLANE_UNSUPPORTED",
  );
  const plain = { ...slot, remote: { address: "127.0.0.2", udpPort: null } };
  assert.equal(refusePolicy(local.endpoint, plain)?.code, "DATAPLANE_UNSUPPORTED");
});

test("admission: loopback is 127/8 and ::1, and nothing else", () => {
  for (const address of ["127.0.0.1", "127.255.0.9", "::1"])
    assert.ok(isLoopback(address), address);
  for (const address of ["0.0.0.0", "10.0.0.1", "::", "127.evil", "localhost"])
    assert.ok(!isLoopback(address), address);
  assert.equal(familyOf("127.evil"), null);
});

/** Lines as in /proc/net/udp: the second column is the socket's address, the last one its drops. */
const rest = "00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 11 2 0000000000000000";
const table = [
  "  sl  local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout drops  ",
  ` 101: 0100007F:1194 ${rest} 0`,
  ` 102: 0200007F:1194 ${rest} 37`,
  "",
].join("\n");

test("receive drops: the line of the socket is found by address and port", () => {
  assert.equal(parseReceiveDrops(table, { address: "127.0.0.2", udpPort: 4500 }), 37);
  assert.equal(parseReceiveDrops(table, { address: "127.0.0.1", udpPort: 4500 }), 0);
  assert.equal(parseReceiveDrops(table, { address: "127.0.0.3", udpPort: 4500 }), 0);
  const table6 = table.replace("0100007F", "00000000000000000000000001000000").replace(/0$/m, "5");
  assert.equal(parseReceiveDrops(table6, { address: "::1", udpPort: 4500 }), 5);
});
