/**
 * Path proof on a real kernel: something on the way drops the packets of one SPI, which no report can know. The peer is not
 * switched, nothing is lost, and the reason is told; when the way is free again, it goes over by itself.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { openXfrmStat } from "../../../src/adapters/netlink/xfrm-stat.js";
import { limits } from "../../../src/core/limits.js";
import type { Probe, ProbeOutcome } from "../../../src/core/probe.js";
import { formatSpi, makeSpi, splitSpi, type Spi } from "../../../src/core/spi.js";
import type { KeyId } from "../../../src/core/key-id.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { runsOnly, withKernelFleet, type FleetNode } from "../../support/netlink/kernel-fleet.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

/** With which left sends a key to right. */
function spiOf({ view }: FleetNode, keyId: number): Spi {
  const self = view().state.context?.self;
  assert.ok(self !== undefined);
  return makeSpi({ keyId: keyId as KeyId, index: self.index, number: self.incarnationNumber });
}

function sentWith({ view }: FleetNode): readonly number[] {
  const policies = [...view().world.kernel.peers.values()].flatMap((peer) => peer.policies);
  return policies.flatMap(({ action, family }) =>
    action.kind === "protect" && family === "ipv4" ? [splitSpi(action.spi).keyId] : [],
  );
}

/** In right's namespace, before XFRM sees them; IPv4 without options has the SPI after 20 bytes. */
function dropFrom({ namespace }: FleetNode, spi: Spi): void {
  const { name } = namespace;
  tc(name, `qdisc add dev ${name} ingress`);
  tc(name, `filter add dev ${name} parent ffff: protocol ip u32 match u32 ${formatSpi(spi)} 0xffffffff at 20 action drop`);
}

function passAgain({ namespace }: FleetNode): void {
  tc(namespace.name, `qdisc del dev ${namespace.name} ingress`);
}

function tc(namespace: string, words: string): void {
  execFileSync("tc", ["-n", namespace, ...words.split(" ")]);
}

function errorsOf({ namespace }: FleetNode): readonly (readonly [string, number])[] {
  const stat = namespace.within(() => openXfrmStat());
  const counters = stat.read();
  stat.close();
  return Object.entries(counters).filter(([, count]) => count > 0);
}

const policies = (node: FleetNode): string => ip("-n", node.namespace.name, "xfrm", "policy");

async function closedPathIsNotTaken(): Promise<void> {
  await withKernelFleet({ provesPaths: true }, async ({ left, right, until, stream }) => {
    dropFrom(right, spiOf(left, 2));
    const flowing = stream();
    for (const node of [left, right]) node.offer(1, 2);
    await until("right sends with key 2", () => sentWith(right).join() === "2");
    await until("left's probe has failed", () => (left.view().world.publishedReport?.unproven?.count ?? 0) === 1);
    assert.deepEqual(sentWith(left), [1]);
    const unproven = left.view().world.publishedReport?.unproven;
    assert.equal(unproven?.why, `no answer within ${limits.probeMsMax} ms`);
    assert.ok(left.said.includes("probe failed, the peer stays on the old key"));
    assert.doesNotMatch(policies(left), new RegExp(`dport ${limits.probePortDefault}`), "no policy stays behind");
    passAgain(right);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
    const { sent, received } = await flowing.end();
    assert.ok(sent > 20);
    assert.equal(received, sent);
    assert.ok(left.said.includes("path proven"));
    assert.deepEqual([errorsOf(left), errorsOf(right)], [[], []]);
  });
}

async function rotationsWithProof(udpPort: number | undefined): Promise<void> {
  const options = udpPort === undefined ? { provesPaths: true } : { provesPaths: true, udpPort };
  await withKernelFleet(options, async ({ left, right, until, stream }) => {
    const flowing = stream();
    for (const node of [left, right]) node.offer(1, 2);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
    const { sent, received } = await flowing.end();
    assert.equal(received, sent);
    for (const node of [left, right]) {
      const proofs = [...node.view().world.proofs.values()].flat();
      assert.deepEqual(proofs.map(({ probe, outcome }) => [probe.family, probe.key.keyId, outcome.kind]), [
        ["ipv4", 2, "answered"],
        ["ipv6", 2, "answered"],
      ]);
    }
    assert.deepEqual([errorsOf(left), errorsOf(right)], [[], []]);
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
async function refusalProvesAsWell(): Promise<void> {
  await withKernelFleet({}, async ({ left, right }) => {
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
    ipBatch([`xfrm policy add ${selector} dir out priority ${0x5350_0000 + 96} ${template}`], left.namespace);
    await until("it is gone", () => !policies(left).includes("proto udp"));
  });
}

export const pathProofCases: readonly KernelCase[] = [
  { name: "path proof: a peer whose path drops the new SPI stays on the old key, and loses nothing", run: closedPathIsNotTaken },
  { name: "path proof: a rotation proves IPv4 and IPv6 and loses nothing", run: () => rotationsWithProof(undefined) },
  { name: "path proof: the same with ESP in UDP", run: () => rotationsWithProof(4_500) },
  { name: "path proof: a peer that refuses the port has decrypted the packet", run: refusalProvesAsWell },
  { name: "path proof: another program's policy in a probe's place is left alone", run: foreignPolicyStays },
  { name: "path proof: a policy that a crash left goes at the next dump", run: leftoverGoes },
];
