import assert from "node:assert/strict";
import { test } from "node:test";
import { agentLines, faultIn, loadAgent } from "../../../test/support/config-file.js";

const kernel = "dataplane: { kind: kernel, ipsecMode: tunnel }";
const node = (fields: string): string => `node: { name: node-1, ${fields} }`;

/** The smallest file with these two lines for its own. */
function linesWith(nodeLine: string, dataplaneLine = kernel): readonly string[] {
  return agentLines.map((line) => {
    if (line.startsWith("node:")) return nodeLine;
    return line.startsWith("dataplane:") ? dataplaneLine : line;
  });
}

test("configuration: networks behind a node are kept in one spelling and order", async () => {
  const addresses = "addresses: { ipv4: 192.0.2.1, ipv6: '2001:db8::1' }";
  const { config } = await loadAgent(linesWith(node(`${addresses}, cidrs: [10.2.0.0/16, 'FD01:0::/64', 10.1.0.0/24]`)));
  assert.deepEqual(config.node.addresses.cidrs, ["10.1.0.0/24", "10.2.0.0/16", "fd01::/64"]);
  const plain = await loadAgent(agentLines);
  assert.ok(!("cidrs" in plain.config.node.addresses));
});

const faults: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["tunnel mode without networks", linesWith(node("addresses: { ipv4: 192.0.2.1 }")), /node needs cidrs: in tunnel mode/],
  [
    "networks without tunnel mode",
    linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: [10.1.0.0/24]"), "dataplane: { kind: kernel }"),
    /node\.cidrs goes with dataplane\.ipsecMode tunnel/,
  ],
  [
    "tunnel mode in userspace",
    linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: [10.1.0.0/24]"), "dataplane: { socket: s, ipsecMode: tunnel }"),
    /dataplane\.ipsecMode goes with kind kernel, and kind is userspace/,
  ],
  [
    "host bits",
    linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: [10.1.0.1/24]")),
    /node\.cidrs\.0 must be a network behind this node, such as 10\.1\.7\.0\/24/,
  ],
  ["everything", linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: [0.0.0.0/0]")), /must be a network behind this node/],
  [
    "one within another",
    linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: [10.1.0.0/16, 10.1.7.0/24]")),
    /node\.cidrs\.1 overlaps 10\.1\.0\.0\/16, which stands before it/,
  ],
  [
    "a family without an end",
    linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: ['fd01::/64']")),
    /node\.cidrs\.0 needs node\.addresses\.ipv6/,
  ],
  [
    "the node's own address",
    linesWith(node("addresses: { ipv4: 192.0.2.1 }, cidrs: [192.0.2.0/24]")),
    /node\.cidrs\.0 holds 192\.0\.2\.1/,
  ],
];

for (const [what, lines, said] of faults) {
  test(`configuration: ${what} is told with its place`, async () => {
    const fault = await faultIn(loadAgent(lines));
    assert.equal(fault.exitCode, 2);
    assert.match(fault.details.join("\n"), said);
  });
}
