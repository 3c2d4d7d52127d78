import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnose, type Level } from "./checks.js";
import type { Facts, NodeFacts, PeerPath, Tables } from "./facts.js";

const tables: Tables = {
  foreignSas: 0,
  foreignPolicies: 0,
  ciliumSas: 0,
  covering: [],
  peerPackets: null,
  highest: null,
};
const node: NodeFacts = {
  addresses: { ipv4: "192.0.2.1", ipv6: null, udpPort: null },
  local: ["127.0.0.1", "192.0.2.1"],
  isPortTaken: false,
};
const path: PeerPath = { source: "192.0.2.1", routeMtu: 1_500, pathMtu: 1_500, answer: "none" };
const peer = { address: "192.0.2.2", udpPort: null, path, isForbidden: false };

const healthy: Facts = {
  platform: "linux",
  kernel: "6.1.0",
  hasNetAdmin: true,
  esp: { ipv4: { ok: true }, ipv6: { ok: true } },
  hasXfrmStat: true,
  tables,
  programs: [],
  links: [{ name: "eth0", mtu: 1_500, kind: null, isUp: true }],
  strictReversePath: [],
  node,
  peer,
};

test("doctor: on a healthy host every check is fine, and none has anything to do", () => {
  const findings = diagnose(healthy);
  assert.deepEqual(findings.filter(({ level, todo }) => level !== "ok" || todo !== null), []);
  assert.ok(findings.length >= 12);
});

const overlay = (mtu: number): Partial<Facts> => ({
  links: [...healthy.links, { name: "flannel.1", mtu, kind: "vxlan", isUp: true }],
});
const towards = (change: Partial<PeerPath>, udpPort: number | null = null): Partial<Facts> => ({
  peer: { ...peer, udpPort, path: { ...path, ...change } },
});
const refused = { ok: false, code: "EPROTONOSUPPORT", message: "the kernel lacks ESP" } as const;

const cases: readonly (readonly [name: string, change: Partial<Facts>, check: string, level: Level, words: RegExp])[] = [
  ["another system", { platform: "darwin" }, "platform", "obstacle", /userspace/],
  ["no privileges", { hasNetAdmin: false }, "privileges", "obstacle", /CAP_NET_ADMIN/],
  ["no ESP for IPv6", { esp: { ...healthy.esp, ipv6: refused } }, "esp ipv6", "obstacle", /esp6/],
  ["no counters", { hasXfrmStat: false }, "counters", "obstacle", /CONFIG_XFRM_STATISTICS/],
  ["Cilium's IPsec", { tables: { ...tables, ciliumSas: 3 } }, "other IPsec", "obstacle", /enable-ipsec: false/],
  ["strongSwan", { programs: ["charon"] }, "other IPsec", "warning", /policies cover other traffic/],
  ["a policy before ours", { tables: { ...tables, covering: ["policy out"] } }, "other policies", "obstacle", /0x53500000/],
  ["an address of another host", { node: { ...node, local: ["127.0.0.1"] } }, "address ipv4", "obstacle", /node\.addresses\.ipv4/],
  [
    "a taken UDP port",
    { node: { ...node, isPortTaken: true, addresses: { ...node.addresses, udpPort: 4_500 } } },
    "udp port",
    "obstacle",
    /IKE daemon/,
  ],
  ["a strict reverse path filter", { strictReversePath: ["eth0"] }, "reverse path", "warning", /rp_filter to 2/],
  [
    "three quarters of 32 bits",
    { tables: { ...tables, highest: { spi: "0x03000010", sequence: 0.75 * 2 ** 32, esn: false } } },
    "sequence numbers",
    "warning",
    /rotate now/,
  ],
  ["no route", { peer: { ...peer, path: null } }, "route", "obstacle", /add one/],
  ["another source address", towards({ source: "10.0.0.1" }), "source", "obstacle", /10\.0\.0\.1/],
  ["a family that the node lacks", { peer: { ...peer, address: "2001:db8::2" } }, "source", "obstacle", /one family/],
  ["nothing at the peer's UDP port", towards({ answer: "refused" }, 4_500), "peer", "obstacle", /encapsulation udp/],
  ["a peer that cannot be reached", towards({ answer: "unreachable" }), "peer", "obstacle", /firewall/],
  ["a packet that may not leave", { peer: { ...peer, path: null, isForbidden: true } }, "route", "obstacle", /spindle status/],
  [
    "packets out and none back",
    { tables: { ...tables, peerPackets: { sent: 9, received: 0 } } },
    "packets",
    "warning",
    /IP protocol 50 pass.*encapsulation udp/,
  ],
  ["a path narrower than its device", towards({ pathMtu: 1_400 }), "mtu", "warning", /1400/],
  [
    "IPv6 without room for ESP",
    { peer: { ...peer, address: "2001:db8::2", path: { ...path, pathMtu: 1_300, routeMtu: 1_300 } } },
    "mtu",
    "obstacle",
    /1317/,
  ],
  ["an overlay without room for ESP", overlay(1_450), "overlay flannel.1", "warning", /1393 or less/],
];

for (const [name, change, check, level, words] of cases) {
  test(`doctor: ${name} is told as ${level}, with what to do`, () => {
    const found = diagnose({ ...healthy, ...change }).filter((one) => one.check === check);
    assert.deepEqual(found.map((one) => one.level), [level]);
    assert.match(found[0]?.todo ?? "", words);
  });
}

test("doctor: what is just enough is fine", () => {
  const enough: readonly Partial<Facts>[] = [
    overlay(1_393),
    towards({ answer: "refused" }),
    { tables: { ...tables, highest: { spi: "0x03000010", sequence: 2 ** 40, esn: true } } },
    { tables: { ...tables, peerPackets: { sent: 9, received: 1 } } },
  ];
  for (const change of enough) {
    assert.deepEqual(diagnose({ ...healthy, ...change }).filter(({ level }) => level !== "ok"), []);
  }
});

test("doctor: without privileges the missing cipher is not blamed on the kernel", () => {
  const denied = { ok: false, code: "EPERM", message: "not permitted" } as const;
  const found = diagnose({ ...healthy, hasNetAdmin: false, esp: { ipv4: denied, ipv6: denied }, tables: null });
  assert.deepEqual(found.filter(({ level }) => level === "obstacle").map(({ check }) => check), ["privileges"]);
});
