/**
 * Path proof on a real kernel: something on the way drops the packets of one SPI, which no report can know. The peer is not
 * switched, nothing is lost, and the reason is told; when the way is free again, it goes over by itself.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { defaultOwnership, probePriority } from "../../../src/adapters/netlink/kernel/ownership.js";
import { limits } from "../../../src/core/limits.js";
import type { Probe, ProbeOutcome } from "../../../src/core/probe.js";
import { formatSpi, makeSpi, splitSpi, type Spi } from "../../../src/core/spi.js";
import type { KeyId } from "../../../src/core/key-id.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { runsOnly, withKernelFleet, type FleetNode, type KernelFleetOptions } from "../../support/netlink/kernel-fleet.js";
import { assertHitless, xfrmErrors } from "../../support/netlink/loss.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

/** With which left sends a key to right. */
function spiOf({ view }: FleetNode, keyId: number): Spi {
  const self = view().state.context?.self;
  assert.ok(self !== undefined);
  return makeSpi({ keyId: keyId as KeyId, index: self.index, number: self.incarnationNumber });
}

/** By IPv4, in tunnel mode between any two networks. */
function sentWith({ view }: FleetNode): readonly number[] {
  const policies = [...view().world.kernel.peers.values()].flatMap((peer) => peer.policies);
  const keyIds = policies.flatMap(({ action, family }) =>
    action.kind === "protect" && family === "ipv4" ? [splitSpi(action.spi).keyId] : [],
  );
  return [...new Set(keyIds)];
}

/** In right's namespace, before XFRM sees them; IPv4 without options has the SPI after 20 bytes, in UDP after 28. */
function dropFrom({ namespace, node }: FleetNode, spi: Spi): void {
  const { name } = namespace;
  const place = node.addresses.udpPort === null ? 20 : 28;
  tc(name, `qdisc add dev ${name} ingress`);
  tc(name, `filter add dev ${name} parent ffff: protocol ip u32 match u32 ${formatSpi(spi)} 0xffffffff at ${place} action drop`);
}

function passAgain({ namespace }: FleetNode): void {
  tc(namespace.name, `qdisc del dev ${namespace.name} ingress`);
}

function tc(namespace: string, words: string): void {
  execFileSync("tc", ["-n", namespace, ...words.split(" ")]);
}

const probePolicyPriority = defaultOwnership.priority + probePriority;

const policies = (node: FleetNode): string => ip("-n", node.namespace.name, "xfrm", "policy");

/** Two networks and one, and one of IPv6 at each end. */
const behind = [
  [{ cidr: "10.1.0.0/24", host: "10.1.0.1" }, { cidr: "10.1.1.0/24", host: "10.1.1.1" }, { cidr: "fd01::/64", host: "fd01::1" }],
  [{ cidr: "10.2.0.0/24", host: "10.2.0.1" }, { cidr: "fd02::/64", host: "fd02::1" }],
] as const;

async function closedPathIsNotTaken(options: KernelFleetOptions): Promise<void> {
  await withKernelFleet({ provesPaths: true, ...options }, async ({ left, right, until, stream }) => {
    dropFrom(right, spiOf(left, 2));
    const flowing = stream();
    for (const node of [left, right]) node.offer(1, 2);
    await until("right sends with key 2", () => sentWith(right).join() === "2");
    await until("left's probe has failed", () => (left.view().world.publishedReport?.unproven?.count ?? 0) === 1);
    assert.deepEqual(sentWith(left), [1]);
    const unproven = left.view().world.publishedReport?.unproven;
    assert.equal(unproven?.why, `no answer within ${limits.probeMsMax} ms`);
    assert.ok(left.said.includes("probe failed, the peer stays on the old key"));
    assert.doesNotMatch(policies(left), new RegExp(`priority ${probePolicyPriority}`), "no policy stays behind");
    passAgain(right);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
    assertHitless(await flowing.end(), [left, right]);
    assert.ok(left.said.includes("path proven"));
  });
}

async function rotationsWithProof(options: KernelFleetOptions): Promise<void> {
  await withKernelFleet({ provesPaths: true, ...options }, async ({ left, right, until, stream }) => {
    const flowing = stream();
    for (const node of [left, right]) node.offer(1, 2);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
    assertHitless(await flowing.end(), [left, right], 0);
    for (const node of [left, right]) {
      const proofs = [...node.view().world.proofs.values()].flat();
      assert.deepEqual(proofs.map(({ probe, outcome }) => [probe.family, probe.key.keyId, outcome.kind]), [
        ["ipv4", 2, "answered"],
        ["ipv6", 2, "answered"],
      ]);
    }
    assert.deepEqual([left, right].map(xfrmErrors), [{}, {}]);
  });
}

function probeTo({ view, address, node }: FleetNode, peer: FleetNode): Probe {
  const [self, other] = [view().state.context?.self, peer.view().state.context?.self];
  const key = view().state.context?.current;
  assert.ok(self !== undefined && other !== undefined && key !== null && key !== undefined);
  const spi = makeSpi({ keyId: key.keyId, index: self.index, number: self.incarnationNumber });
  const { udpPort } = node.addresses;
  return {
    peer: other.name,
    family: "ipv4",
    key,
    from: self.incarnationId,
    to: other.incarnationId,
    spi,
    local: { address, udpPort },
    remote: { address: peer.address, udpPort },
  };
}

function probe(from: FleetNode, to: FleetNode): Promise<ProbeOutcome | undefined> {
  return new Promise((resolve) => {
    from.node.kernel.probe([probeTo(from, to)], (result) => {
      assert.ok(result.ok);
      resolve(result.value[0]);
    });
  });
}

/** Nobody listens there: to refuse the packet, the kernel must have decrypted it. */
async function refusalProvesAsWell(options: KernelFleetOptions): Promise<void> {
  await withKernelFleet(options, async ({ left, right }) => {
    right.stopAnswering();
    assert.equal((await probe(left, right))?.kind, "answered");
  });
}

/** Another program's policy for the very packets of a probe. */
async function foreignPolicyStays(): Promise<void> {
  await withKernelFleet({}, async ({ left, right }) => {
    const selector = `src ${left.address}/32 dst ${right.address}/32 proto udp dport ${limits.probePortDefault}`;
    ipBatch([`xfrm policy add ${selector} dir out priority 7`], left.namespace);
    const outcome = await probe(left, right);
    assert.equal(outcome?.kind === "failed" && outcome.code, "DATAPLANE_SLOT_FOREIGN");
    assert.match(policies(left), /priority 7/);
  });
}

/** As a crash between two messages leaves it. */
async function leftoverGoes(): Promise<void> {
  await withKernelFleet({ resyncMs: 1_000 }, async ({ left, right, until }) => {
    const selector = `src ${left.address}/32 dst ${right.address}/32 proto udp dport ${limits.probePortDefault}`;
    const template = `tmpl src ${left.address} dst ${right.address} proto esp reqid ${0x5350_0001} mode transport`;
    ipBatch([`xfrm policy add ${selector} dir out priority ${probePolicyPriority} ${template}`], left.namespace);
    await until("it is gone", () => !policies(left).includes("proto udp"));
  });
}

export const pathProofCases: readonly KernelCase[] = [
  { name: "path proof: a peer whose path drops the new SPI stays on the old key, and loses nothing", run: () => closedPathIsNotTaken({}) },
  { name: "path proof: the same in tunnel mode", run: () => closedPathIsNotTaken({ behind }) },
  { name: "path proof: the same in tunnel mode with ESP in UDP", run: () => closedPathIsNotTaken({ behind, udpPort: 4_500 }) },
  { name: "path proof: a rotation proves IPv4 and IPv6 and loses nothing", run: () => rotationsWithProof({}) },
  { name: "path proof: a rotation with ESP in UDP proves both and loses nothing", run: () => rotationsWithProof({ udpPort: 4_500 }) },
  { name: "path proof: a rotation in tunnel mode proves both and loses nothing", run: () => rotationsWithProof({ behind }) },
  { name: "path proof: a peer that refuses the port has decrypted the packet", run: () => refusalProvesAsWell({}) },
  { name: "path proof: a peer that refuses the port has decrypted the packet, in tunnel mode", run: () => refusalProvesAsWell({ behind }) },
  { name: "path proof: another program's policy in a probe's place is left alone", run: foreignPolicyStays },
  { name: "path proof: a policy that a crash left goes at the next dump", run: leftoverGoes },
];
