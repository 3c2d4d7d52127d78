import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCidr } from "../../adapters/cidr.js";
import { checkPolicy, policySection, toPolicy } from "./policy.js";

const cidrs: readonly (readonly [text: string, canonical: string | null])[] = [
  ["10.0.0.0/8", "10.0.0.0/8"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["192.0.2.128/25", "192.0.2.128/25"],
  ["192.0.2.1/32", "192.0.2.1/32"],
  ["FD00:0::/8", "fd00::/8"],
  ["2001:db8::1/128", "2001:db8::1/128"],
  ["::/0", "::/0"],
  ["10.0.0.1/8", null],
  ["192.0.2.128/24", null],
  ["fd00::1/64", null],
  ["10.0.0.0/33", null],
  ["10.0.0.0", null],
  ["10.0.0/8", null],
  ["fe80::%eth0/64", null],
  ["", null],
];

for (const [text, canonical] of cidrs) {
  test(`policy: ${text === "" ? "nothing" : text} is ${canonical ?? "refused"}`, () => {
    const prefix = parseCidr(text);
    assert.equal(prefix === null ? null : `${prefix.address}/${prefix.length}`, canonical);
  });
}

const kernel = { dataplane: { kind: "kernel" }, registry: {} };

function faultsOf(section: object, around: Parameters<typeof checkPolicy>[1] = kernel): readonly string[] {
  return checkPolicy(policySection.parse(section), around).map(({ path }) => path.join("."));
}

test("policy: levels and CIDRs are of the kernel's dataplane alone", () => {
  const userspace = { dataplane: { kind: "userspace" }, registry: {} };
  assert.deepEqual(faultsOf({}, userspace), []);
  assert.deepEqual(faultsOf({ level: "prefer", cidrs: ["10.0.0.0/8"] }, userspace), ["policy.level", "policy.cidrs"]);
  assert.deepEqual(faultsOf({ level: "prefer", cidrs: ["10.0.0.0/8"] }), []);
});

test("policy: a bypass without CIDRs does nothing and is refused", () => {
  assert.deepEqual(faultsOf({ bypass: { tcpPorts: [7400] } }), ["policy.bypass"]);
});

test("policy: the registry's port must be open where its address is blocked", () => {
  const around = (host: string): typeof kernel => ({ ...kernel, registry: { host, port: 7400 } });
  const blocking = { cidrs: ["10.0.0.0/9", "fd00::/16"] };
  assert.deepEqual(faultsOf(blocking, around("10.127.0.5")), ["policy.bypass.tcpPorts"]);
  assert.deepEqual(faultsOf(blocking, around("fd00::5")), ["policy.bypass.tcpPorts"]);
  assert.deepEqual(faultsOf(blocking, around("10.128.0.5")), []);
  assert.deepEqual(faultsOf(blocking, around("fd01::5")), []);
  assert.deepEqual(faultsOf({ ...blocking, bypass: { tcpPorts: [7400] } }, around("10.127.0.5")), []);
});

test("policy: so must the port of each member of etcd that is named by address", () => {
  const endpoints = [
    { host: "etcd-1.example", port: 2379 },
    { host: "10.128.0.5", port: 2381 },
    { host: "10.127.0.5", port: 2379 },
    { host: "fd00::5", port: 2389 },
  ];
  const around = { ...kernel, registry: { etcd: { endpoints } } };
  const opening = (...tcpPorts: number[]): object => ({ cidrs: ["10.0.0.0/9", "fd00::/16"], bypass: { tcpPorts } });
  assert.deepEqual(faultsOf(opening(), around), ["policy.bypass.tcpPorts", "policy.bypass.tcpPorts"]);
  assert.deepEqual(faultsOf(opening(2379), around), ["policy.bypass.tcpPorts"]);
  assert.deepEqual(faultsOf(opening(2379, 2389), around), []);
});

test("policy: CIDRs are there at each level, for a fleet that moves to require", () => {
  const fields = { cidrs: ["10.0.0.0/8"], bypass: { tcpPorts: [22] } };
  assert.deepEqual(toPolicy(policySection.parse({ ...fields, level: "off" })).guard?.bypassTcpPorts, [22]);
  assert.equal(toPolicy(policySection.parse({})).guard, null);
  assert.deepEqual(toPolicy(policySection.parse(fields)), {
    level: "require",
    guard: { cidrs: [{ address: "10.0.0.0", length: 8 }], bypassTcpPorts: [22] },
  });
});
