import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeAddresses } from "../../../core/node.js";
import { formatCidr } from "../../cidr.js";
import type { XfrmPolicy } from "../codec/model.js";
import { guardPolicies, type Guard } from "./guard.js";
import { defaultOwnership, priorityBand } from "./ownership.js";

const addresses = { ipv4: "192.0.2.1", ipv6: null, udpPort: null };

function policies(guard: Partial<Guard>, node: NodeAddresses = addresses): readonly XfrmPolicy[] {
  return guardPolicies({ cidrs: [], bypassTcpPorts: [], ...guard }, node, defaultOwnership);
}

const cidrs = [{ address: "10.0.0.0", length: 8 }];
const blocks = (some: readonly XfrmPolicy[]): readonly XfrmPolicy[] => some.filter(({ verdict }) => verdict === "block");

/** Places in which a datagram of this protocol and destination port passes. */
function passes(some: readonly XfrmPolicy[], protocol: number, port: number, family = "ipv4"): readonly string[] {
  return some
    .filter(({ verdict, selector }) => verdict === "allow" && selector.family === family)
    .filter(({ selector }) => selector.protocol === protocol && selector.destinationPort === port)
    .map(({ direction }) => direction);
}

test("guard: without CIDRs there is nothing to pass by", () => {
  assert.deepEqual(policies({ bypassTcpPorts: [7400] }), []);
});

test("guard: each CIDR is blocked in, out and forwarded, after all that passes and in our band", () => {
  const found = policies({ cidrs, bypassTcpPorts: [7400] });
  assert.deepEqual(blocks(found).map(({ direction }) => direction), ["out", "in", "forward"]);
  assert.deepEqual(found.slice(-3), blocks(found), "a node never cuts itself off while it installs them");
  const [first, last] = [Math.min, Math.max].map((of) => of(...found.map(({ priority }) => priority - defaultOwnership.priority)));
  assert.ok(first! >= 0 && last === priorityBand - 1);
});

test("guard: listed ports pass in both directions and families, and DHCP does", () => {
  const found = policies({ cidrs, bypassTcpPorts: [7400] });
  for (const family of ["ipv4", "ipv6"]) assert.deepEqual(passes(found, 6, 7400, family), ["out", "in"]);
  assert.deepEqual(passes(found, 6, 7401), []);
  for (const port of [67, 68]) assert.deepEqual(passes(found, 17, port), ["out", "in"]);
  for (const port of [546, 547]) assert.deepEqual(passes(found, 17, port, "ipv6"), ["out", "in"]);
});

test("guard: a node in a tunnel forwards between its networks, from them to the CIDRs and from those to them, and nothing else", () => {
  const inTunnel = { ...addresses, cidrs: ["10.1.0.0/24", "172.16.0.0/24"] };
  const own = ["10.1.0.0/24", "172.16.0.0/24", "192.0.2.1/32"];
  const passing = (node: NodeAddresses, wanted: string): readonly string[] =>
    policies({ cidrs }, node)
      .filter(({ direction, verdict, selector }) => direction === wanted && verdict === "allow" && selector.protocol === 0)
      .map(({ selector: { source, destination } }) => `${formatCidr(source)} ${formatCidr(destination)}`);
  assert.deepEqual(passing(addresses, "forward"), []);
  const between = own.flatMap((one) => own.map((other) => `${one} ${other}`));
  const leaving = own.slice(0, 2).map((network) => `${network} 10.0.0.0/8`);
  const arriving = own.slice(0, 2).map((network) => `10.0.0.0/8 ${network}`);
  assert.deepEqual(new Set(passing(inTunnel, "forward")), new Set([...between, ...leaving]));
  assert.deepEqual(new Set(passing(inTunnel, "out")), new Set([...between, ...arriving]));
});

test("guard: of ICMPv6 neighbour discovery passes and nothing else", () => {
  const icmp = policies({ cidrs }).filter(({ selector }) => selector.protocol === 58);
  const types = new Set(icmp.map(({ selector }) => selector.sourcePort));
  assert.deepEqual([...types], [133, 134, 135, 136, 137]);
});
