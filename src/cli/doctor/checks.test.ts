import assert from "node:assert/strict";
import { test } from "node:test";
import { diagnose } from "./checks.js";
import type { Facts, NodeFacts, PeerFacts, PeerPath, Tables } from "./facts.js";
import type { Level } from "./finding.js";

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
const path: PeerPath = { source: "192.0.2.1", routeMtu: 1_500, pathMtu: 1_500, answer: "refused" };
const probe = { kind: "answered", keyId: 3, roundTripMs: 0.4 } as const;
const unproven = { kind: "unknown", why: "no agent is asked" } as const;
const peer: PeerFacts = { address: "192.0.2.2", udpPort: null, path, isForbidden: false, probe };
const noChains = { kind: "read", ruleset: { chains: [] }, legacyTables: [] } as const;

const healthy: Facts = {
  platform: "linux",
  kernel: "6.1.0",
  hasNetAdmin: true,
  esp: { ipv4: { ok: true }, ipv6: { ok: true } },
  hasXfrmStat: true,
  tables,
  programs: [],
  seesAllPrograms: true,
  isClockSynchronised: true,
  attached: { listed: [], tcx: [] },
  firewall: noChains,
  links: [{ name: "eth0", mtu: 1_500, kind: null, isUp: true }],
  strictReversePath: [],
  reversePathDrops: 0,
  node,
  peer,
};

test("doctor: on a healthy host every check is fine, and none has anything to do", () => {
  const findings = diagnose(healthy);
  assert.deepEqual(findings.filter(({ level, todo }) => level !== "ok" || todo !== null), []);
  assert.ok(findings.length >= 19);
});

const overlay = (mtu: number): Partial<Facts> => ({
  links: [...healthy.links, { name: "flannel.1", mtu, kind: "vxlan", isUp: true }],
});
const towards = (change: Partial<PeerPath>, udpPort: number | null = null): Partial<Facts> => ({
  peer: { ...peer, udpPort, path: { ...path, ...change } },
});
/** A node and a peer in tunnel mode. */
const inTunnel = (network: string, pathMtu: number): Partial<Facts> => {
  const isIpv6 = network.includes(":");
  const [ipv4, ipv6] = isIpv6 ? [null, "2001:db8::1"] : ["192.0.2.1", null];
  const local = [isIpv6 ? "2001:db8::1" : "192.0.2.1"];
  return {
    node: { addresses: { ipv4, ipv6, udpPort: null, cidrs: [`${network}/24`] }, local, isPortTaken: false },
    peer: { ...peer, address: isIpv6 ? "2001:db8::2" : "192.0.2.2", path: { ...path, source: local[0]!, pathMtu, routeMtu: pathMtu } },
  };
};
const beside = (change: Partial<PeerFacts>): Partial<Facts> => ({ peer: { ...peer, ...change } });
const eth0 = { device: "eth0", isInHardware: false } as const;
const dropsAll = { family: "inet", table: "t", name: "in", hook: "input", drops: true, rules: [] } as const;
const dropping: Facts["firewall"] = { ...noChains, ruleset: { chains: [dropsAll] } };
const dropsSome = { ...dropsAll, drops: false, rules: [[{ match: { op: "==", left: { meta: { key: "iifname" } }, right: "eth0" } }, { drop: null }]] };
const unclear: Facts["firewall"] = { ...noChains, ruleset: { chains: [dropsSome] } };
const withUdpIpv6: NodeFacts = { ...node, addresses: { ipv4: null, ipv6: "2001:db8::1", udpPort: 4_500 }, local: ["2001:db8::1"] };
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
  ["a strict reverse path filter", { strictReversePath: ["eth0"] }, "reverse path", "warning", /if packets.*eth0\/rp_filter=2$/],
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
    { ...beside({ probe: unproven }), tables: { ...tables, peerPackets: { sent: 9, received: 0 } } },
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
  ["a kernel that is too old", { kernel: "4.18.0-553.el8" }, "platform", "obstacle", /4\.19/],
  ["a kernel that was never tried", { kernel: "5.10.0" }, "platform", "unknown", /trial/],
  ["a kernel without a number", { kernel: "custom" }, "platform", "unknown", /6\.1/],
  ["IPv6 in UDP on an old kernel", { kernel: "5.4.0", node: withUdpIpv6, peer: null }, "platform", "obstacle", /5\.8/],
  ["capabilities that cannot be read", { hasNetAdmin: null }, "privileges", "unknown", /CAP_NET_ADMIN/],
  ["a container", { seesAllPrograms: false }, "other IPsec", "unknown", /hostPID/],
  ["tables that cannot be read", { tables: null }, "other policies", "unknown", /privileges/],
  ["no /proc", { strictReversePath: null }, "reverse path", "unknown", /rp_filter|net\.ipv4\.conf/],
  ["a strict reverse path that dropped", { strictReversePath: ["eth0"], reversePathDrops: 3 }, "reverse path", "warning", /^packets come by another/],
  ["a tunnel without room for IPv6", inTunnel("2001:db8::", 1_350), "mtu", "obstacle", /1357/],
  ["a clock that nobody keeps", { isClockSynchronised: false }, "clock", "warning", /chrony/],
  ["a clock that cannot be read", { isClockSynchronised: null }, "clock", "unknown", /chrony/],
  ["an XDP program", { attached: { listed: [{ ...eth0, kind: "xdp", name: "12" }], tcx: [] } }, "bpf and offload", "warning", /bpftool net/],
  [
    "a filter in hardware",
    { attached: { listed: [{ ...eth0, kind: "tc", name: "flower", isInHardware: true }], tcx: [] } },
    "bpf and offload",
    "warning",
    /hw-tc-offload off/,
  ],
  ["programs that cannot be listed", { attached: { listed: null, tcx: [] } }, "bpf and offload", "unknown", /root/],
  ["a TCX program", { attached: { listed: [], tcx: [{ device: "eth0", count: 2 }] } }, "tcx", "warning", /hostLegacyRouting/],
  ["TCX that cannot be asked", { attached: { listed: [], tcx: null } }, "tcx", "unknown", /bpftool/],
  ["a firewall that drops ESP", { firewall: dropping }, "firewall", "obstacle", /IP protocol 50 \(ESP\)/],
  ["a firewall that drops ESP in UDP", { firewall: dropping, ...beside({ udpPort: 4_500 }) }, "firewall", "obstacle", /UDP 4500/],
  ["a drop on other conditions", { firewall: unclear, ...beside({ probe: unproven }) }, "firewall", "unknown", /real packet/],
  ["a drop on other conditions, and no peer", { firewall: unclear, peer: null }, "firewall", "unknown", /real packet/],
  ["rules that cannot be read", { firewall: { kind: "unread", why: "nft is not installed" } }, "firewall", "unknown", /nft list ruleset/],
  ["a probe that is not answered", beside({ probe: { kind: "failed", why: "no answer" } }), "packets", "obstacle", /IP protocol 50 pass/],
  ["no packets and no probe", beside({ probe: unproven }), "packets", "unknown", /--config/],
  ["nothing that shows the addresses", beside({ probe: unproven }), "address translation", "unknown", /unchanged/],
  [
    "a private address towards a public one",
    { node: null, ...beside({ probe: unproven, path: { ...path, source: "10.0.0.1" } }) },
    "address translation",
    "warning",
    /routed network/,
  ],
  ["a peer that is silent", towards({ answer: "none" }), "peer", "unknown", /probe/],
  ["a path whose width nobody confirmed", towards({ answer: "none" }), "mtu", "unknown", /ping -M do -s 1472/],
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
    { tables: { ...tables, peerPackets: { sent: 9, received: 0 } } },
    { kernel: "6.1.0-rc1" },
    { kernel: "10.0" },
    { node: withUdpIpv6, peer: null },
  ];
  for (const change of enough) {
    assert.deepEqual(diagnose({ ...healthy, ...change }).filter(({ level }) => level !== "ok"), []);
  }
});

const rooms: readonly (readonly [name: string, change: Partial<Facts>, bytes: number])[] = [
  ["transport mode", {}, 1_463],
  ["in UDP", towards({}, 4_500), 1_455],
  ["a tunnel", inTunnel("10.1.0.0", 1_500), 1_443],
  ["a tunnel of IPv6", inTunnel("2001:db8::", 1_500), 1_423],
];

for (const [name, change, bytes] of rooms) {
  test(`doctor: room inside ESP, ${name}`, () => {
    const found = diagnose({ ...healthy, ...change }).find(({ check }) => check === "mtu");
    assert.equal(found?.what, `1500 bytes, ${bytes} of them inside ESP`);
  });
}

test("doctor: without privileges the missing cipher is not blamed on the kernel", () => {
  const denied = { ok: false, code: "EPERM", message: "not permitted" } as const;
  const found = diagnose({ ...healthy, hasNetAdmin: false, esp: { ipv4: denied, ipv6: denied }, tables: null });
  assert.deepEqual(found.filter(({ level }) => level === "obstacle").map(({ check }) => check), ["privileges"]);
});

test("doctor: SAs that carry packets both ways pass for proof of the path where no agent is asked", () => {
  const counted = { ...tables, peerPackets: { sent: 9, received: 1 } };
  const found = diagnose({ ...healthy, ...beside({ probe: unproven }), tables: counted });
  assert.deepEqual(found.filter(({ check }) => check === "packets").map(({ level }) => level), ["ok"]);
});

test("doctor: an answered packet shows that drops on other conditions are not for it, and excuses no certain drop", () => {
  const levels = (firewall: Facts["firewall"]): readonly Level[] =>
    diagnose({ ...healthy, firewall }).flatMap(({ check, level }) => (check === "firewall" ? [level] : []));
  assert.deepEqual([levels(unclear), levels(dropping)], [["ok"], ["obstacle"]]);
});

test("doctor: tables of iptables-legacy are told as unknown beside rules that drop nothing", () => {
  const found = diagnose({ ...healthy, firewall: { ...noChains, legacyTables: ["ip filter"] } });
  assert.deepEqual(found.filter(({ check }) => check === "firewall").map(({ level }) => level), ["ok", "unknown"]);
});
