/** What of an agent's plan the kernel can run, what it becomes, and what is recognised as ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeyId } from "../../../core/key-id.js";
import type { IncarnationId, NodeName } from "../../../core/node.js";
import type { Endpoint, KeyEnd, Operation, PolicyAction, PolicySpec, PolicyView, SaSpec } from "../../../core/sa.js";
import type { NodeIndex, Spi } from "../../../core/spi.js";
import type { ListedPolicy, ListedSa, XfrmPolicy } from "../codec/model.js";
import { defaultOwnership, isOwnPolicy, isOwnSa, peerPriority } from "./ownership.js";
import type { LocalNode } from "./local-node.js";
import { PolicyReading } from "./policy-reading.js";
import { partsOf, xfrmPolicyOf } from "./policy-translation.js";
import { refuse, slotOfSa, xfrmSaIdOf, xfrmSaOf } from "./translate.js";

const local: LocalNode = {
  addresses: { ipv4: "192.0.2.1", ipv6: null, udpPort: null },
  ownership: defaultOwnership,
  replayWindow: 1_024,
  probePort: 11_192,
  guard: null,
};
const spi = 0x0300_0010 as Spi;
const at = (address: string, udpPort: number | null = null): Endpoint => ({ address, udpPort });
const end: KeyEnd = {
  name: "node" as NodeName,
  index: 1 as NodeIndex,
  incarnationId: "1".padStart(32, "0") as IncarnationId,
};

function sa(changes: Partial<SaSpec> = {}): SaSpec {
  const key = { keyId: 3 as KeyId, from: end, to: end, family: "ipv4", mode: "transport" } as const;
  const ends = { source: at("192.0.2.2"), destination: at("192.0.2.1") };
  return { direction: "in", spi, ...ends, key, ...changes };
}

function policy(direction: "in" | "out", action: PolicyAction, remote = at("192.0.2.2")) {
  return { direction, peer: end.name, family: "ipv4", remote, action } as const;
}

const set = (...args: Parameters<typeof policy>): Operation => ({
  kind: "set-policy",
  policy: policy(...args),
});

const install = (changes: Partial<SaSpec>): Operation => ({ kind: "install-sa", sa: sa(changes) });

const operations: readonly [string, Operation, string | null][] = [
  ["an inbound SA to its address", install({}), null],
  ["an SA to another address", install({ destination: at("192.0.2.9") }), "DATAPLANE_NOT_LOCAL"],
  ["an SA of a family that it lacks", install({ source: at("::2"), destination: at("::1") }), "DATAPLANE_NOT_LOCAL"],
  ["ESP in UDP", install({ source: at("192.0.2.2", 4_500) }), "DATAPLANE_UNSUPPORTED"],
  ["tunnel mode", install({ key: { ...sa().key, mode: "tunnel" } }), "DATAPLANE_UNSUPPORTED"],
  ["protect outbound", set("out", { kind: "protect", spi }), null],
  ["block outbound", set("out", { kind: "block" }), null],
  ["plaintext outbound", set("out", { kind: "accept" }), "DATAPLANE_UNSUPPORTED"],
  ["accept inbound", set("in", { kind: "accept" }), null],
  ["an inbound policy pinned to an SPI", set("in", { kind: "protect", spi }), "DATAPLANE_UNSUPPORTED"],
  ["a policy of a family that it lacks", set("in", { kind: "block" }, at("::2")), "DATAPLANE_UNSUPPORTED"],
];

for (const [what, operation, code] of operations) {
  test(`kernel port: ${code === null ? "runs" : "refuses"} ${what}`, () => {
    assert.equal(refuse(operation, local)?.code ?? null, code);
  });
}

test("kernel port: an SA carries the reqid, ESN and the replay window, and no limits of its own", () => {
  assert.deepEqual(xfrmSaOf(sa(), local), {
    family: "ipv4",
    source: "192.0.2.2",
    destination: "192.0.2.1",
    spi,
    mode: "transport",
    reqid: 0x5350_0001,
    ifId: null,
    replayWindow: 1_024,
    esn: true,
    encapsulation: null,
  });
});

test("kernel port: the kernel's name of an SA is its destination, whichever end that is", () => {
  const remote = at("192.0.2.2");
  const idOf = (direction: "in" | "out") => xfrmSaIdOf({ direction, spi, remote }, local).destination;
  assert.deepEqual([idOf("in"), idOf("out")], ["192.0.2.1", "192.0.2.2"]);
});

function viewsOf(policies: readonly ListedPolicy[], node = local): readonly PolicyView[] {
  const reading = new PolicyReading(node);
  for (const one of policies) reading.add(one);
  return reading.done();
}

function writtenOf(spec: PolicySpec, node = local): readonly XfrmPolicy[] {
  return partsOf(spec).map((part) => xfrmPolicyOf(spec, part, node));
}

/** As the kernel lists what was set. */
function listed(written: XfrmPolicy): ListedPolicy {
  const templates = written.templates.map((template) => ({ ...template, protocol: 50 }));
  return { ...written, index: 1, hasMark: false, templates };
}

test("kernel port: an outbound policy is pinned to its SPI, an inbound one is not, and each is recognised", () => {
  const cases: readonly [ReturnType<typeof policy>, number | null | undefined][] = [
    [policy("out", { kind: "protect", spi }), spi],
    [policy("in", { kind: "accept" }), null],
    [policy("in", { kind: "accept-any" }), null],
    [policy("out", { kind: "pass" }), undefined],
    [policy("out", { kind: "block" }), undefined],
    [policy("in", { kind: "block" }), undefined],
  ];
  for (const [spec, pinned] of cases) {
    const [written] = writtenOf(spec);
    assert.ok(written !== undefined);
    assert.equal(written.templates[0]?.spi, pinned);
    assert.equal(written.priority, defaultOwnership.priority + peerPriority);
    const { direction, family, remote, action } = spec;
    assert.ok(isOwnPolicy(listed(written), defaultOwnership));
    assert.deepEqual(viewsOf([listed(written)]), [{ slot: { direction, family, remote }, action }]);
  }
});

test("kernel port: where ESP goes in UDP, SAs have both ports and policies are found under the node's own", () => {
  const udp = { ...local, addresses: { ...local.addresses, udpPort: 4_500 } };
  const [here, there] = [{ address: "192.0.2.1", udpPort: 4_500 }, { address: "192.0.2.2", udpPort: 4_500 }];
  const spec = { ...sa(), source: there, destination: here };
  assert.equal(refuse({ kind: "install-sa", sa: spec }, udp), null);
  assert.deepEqual(xfrmSaOf(spec, udp).encapsulation, { source: 4_500, destination: 4_500 });
  const accept = { ...policy("in", { kind: "accept" }), remote: there };
  assert.deepEqual(viewsOf([listed(writtenOf(accept, udp)[0]!)], udp)[0]?.slot.remote, there);
  const other = { ...spec, source: { ...there, udpPort: 4_501 } };
  assert.match(refuse({ kind: "install-sa", sa: other }, udp)?.message ?? "", /UDP 4501 towards a peer, where this node has UDP 4500/);
});

const ownSa: ListedSa = {
  ...xfrmSaOf(sa(), local),
  protocol: 50,
  hasMark: false,
  encapsulation: null,
  aead: { name: "rfc4106(gcm(aes))", icvBits: 128, key: new Uint8Array(20) },
  packets: 0,
  bytes: 0,
  firstUsedAt: 0,
  lastUsedAt: null,
  receivedSequence: 0,
  sentSequence: 0,
};

test("kernel port: an SA is ours by its reqid, and only without marks, if_id or another cipher", () => {
  assert.ok(isOwnSa(ownSa, defaultOwnership));
  const foreign: readonly Partial<ListedSa>[] = [
    { reqid: 1 },
    { protocol: 51 },
    { hasMark: true },
    { ifId: 1 },
    { aead: null },
  ];
  for (const change of foreign) {
    assert.ok(!isOwnSa({ ...ownSa, ...change }, defaultOwnership), JSON.stringify(change));
  }
});

test("kernel port: a policy is ours by its band, and only without marks, if_id or another's template", () => {
  const own = listed(writtenOf(policy("in", { kind: "accept" }))[0]!);
  const { priority } = defaultOwnership;
  const foreign: readonly Partial<ListedPolicy>[] = [
    { priority: priority - 1 },
    { priority: priority + 256 },
    { hasMark: true },
    { ifId: 1 },
    { templates: [{ ...own.templates[0]!, reqid: 1 }] },
  ];
  for (const change of foreign) {
    assert.ok(!isOwnPolicy({ ...own, ...change }, defaultOwnership), JSON.stringify(change));
  }
});

test("kernel port: what neither starts nor ends here has no slot", () => {
  assert.equal(slotOfSa({ ...ownSa, destination: "192.0.2.9" }, local), null);
  const remote = at("192.0.2.2");
  assert.deepEqual(slotOfSa(ownSa, local), { direction: "in", spi, remote });
  const outbound = { ...ownSa, source: "192.0.2.1", destination: "192.0.2.2" };
  assert.deepEqual(slotOfSa(outbound, local), { direction: "out", spi, remote });
});

test("kernel port: a policy of ours for more than one peer is not listed as a peer's", () => {
  const own = listed(writtenOf(policy("in", { kind: "block" }))[0]!);
  const wide = { ...own.selector, source: { address: "0.0.0.0", length: 0 } };
  assert.deepEqual(viewsOf([{ ...own, selector: wide }]), []);
  assert.deepEqual(viewsOf([{ ...own, direction: "forward" }]), []);
});

const tunnelNode: LocalNode = { ...local, addresses: { ...local.addresses, cidrs: ["10.1.0.0/24"] } };
const outer = "192.0.2.2";

function between(direction: "in" | "out", action: PolicyAction, network = "10.1.0.0/24"): PolicySpec {
  const remote = at("10.2.0.0/24");
  return { direction, peer: end.name, family: "ipv4", local: network, remote, action };
}

const inParts = (spec: PolicySpec): readonly ListedPolicy[] => writtenOf(spec, tunnelNode).map(listed);

test("kernel port: between networks, what comes in is two policies, and each is recognised", () => {
  const specs = [
    between("out", { kind: "protect", spi, outer }),
    between("out", { kind: "pass" }),
    between("in", { kind: "accept", outer }),
    between("in", { kind: "accept-any", outer }),
  ];
  for (const spec of specs) {
    const { peer: _peer, action, ...slot } = spec;
    assert.deepEqual(viewsOf(inParts(spec), tunnelNode), [{ slot, action }]);
  }
  assert.deepEqual(inParts(specs[2]!).map(({ direction }) => direction), ["in", "forward"]);
});

test("kernel port: one of two inbound policies is none that a level wants", () => {
  const [here, through] = inParts(between("in", { kind: "accept", outer }));
  const [other] = inParts(between("in", { kind: "accept", outer: "192.0.2.9" }));
  for (const half of [[here!], [through!], [other!, through!]]) {
    assert.deepEqual(viewsOf(half, tunnelNode).map(({ action }) => action.kind), ["block"]);
  }
});

/** The path of probes, between the addresses themselves. */
function ofProbes(direction: "in" | "out", action: PolicyAction): PolicySpec {
  return { ...between(direction, action, "192.0.2.1"), remote: at("192.0.2.2") };
}

test("kernel port: in a tunnel, the path of probes takes the probe port alone, and each policy is recognised", () => {
  const [out, accept] = [ofProbes("out", { kind: "protect", spi, outer }), ofProbes("in", { kind: "accept", outer })];
  const portsOf = (spec: PolicySpec): readonly unknown[] =>
    inParts(spec).map(({ direction, selector: { protocol, sourcePort, destinationPort } }) => [direction, protocol, sourcePort, destinationPort]);
  assert.deepEqual(portsOf(out), [["out", 17, 11_192, "any"]]);
  assert.deepEqual(portsOf(accept), [["in", 17, "any", 11_192], ["in", 17, 11_192, "any"]]);
  for (const spec of [out, accept, ofProbes("out", { kind: "block" })]) {
    const { peer: _peer, action, ...slot } = spec;
    assert.deepEqual(viewsOf(inParts(spec), tunnelNode), [{ slot, action }]);
    assert.equal(refuse({ kind: "set-policy", policy: spec }, tunnelNode), null);
  }
  assert.deepEqual(viewsOf(inParts(accept).slice(1), tunnelNode).map(({ action }) => action.kind), ["block"], "one of two");
});

test("kernel port: a policy of another probe port, or from another mode, is nobody's slot", () => {
  const [out] = inParts(ofProbes("out", { kind: "block" }));
  assert.deepEqual(viewsOf([out!], { ...tunnelNode, probePort: 11_193 }), []);
  assert.deepEqual(viewsOf([out!], local), []);
  const foreign: Operation = { kind: "set-policy", policy: { ...ofProbes("out", { kind: "block" }), local: "192.0.2.7" } };
  assert.equal(refuse(foreign, tunnelNode)?.code, "DATAPLANE_UNSUPPORTED");
});

test("kernel port: a tunnel that does not end here, or a policy of another mode, is nobody's slot", () => {
  const [out] = inParts(between("out", { kind: "protect", spi, outer }));
  const elsewhere = { ...tunnelNode, addresses: { ...tunnelNode.addresses, ipv4: "192.0.2.7" } };
  assert.deepEqual(viewsOf([out!], elsewhere), []);
  assert.deepEqual(viewsOf([out!], local), []);
});

test("kernel port: a node runs plans of its own mode alone", () => {
  const inTunnel = install({ key: { ...sa().key, mode: "tunnel" } });
  assert.equal(refuse(inTunnel, tunnelNode), null);
  assert.equal(refuse(install({}), tunnelNode)?.code, "DATAPLANE_UNSUPPORTED");
  const set = (spec: PolicySpec): Operation => ({ kind: "set-policy", policy: spec });
  assert.equal(refuse(set(between("out", { kind: "protect", spi, outer })), tunnelNode), null);
  assert.equal(refuse(set(between("out", { kind: "protect", spi, outer })), local)?.code, "DATAPLANE_UNSUPPORTED");
  assert.equal(refuse(set(between("out", { kind: "protect", spi })), tunnelNode)?.code, "DATAPLANE_UNSUPPORTED");
  assert.equal(refuse(set(between("out", { kind: "block" }, "10.1.0.9/24")), tunnelNode)?.code, "DATAPLANE_UNSUPPORTED");
  assert.equal(refuse(set(policy("out", { kind: "protect", spi })), tunnelNode)?.code, "DATAPLANE_UNSUPPORTED");
});
