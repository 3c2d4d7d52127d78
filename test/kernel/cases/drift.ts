/**
 * What others do to our SAs and policies, and how the agents come back: at once when they are told,
 * by the resync when they are not, and never by making a lost outbound SA a second time.
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { KernelPort } from "../../../src/ports/kernel.js";
import { formatSpi, makeSpi, splitSpi, type Spi } from "../../../src/core/spi.js";
import type { HeldSa } from "../../../src/core/rotation/held.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { runsOnly, withKernelFleet, type FleetNode } from "../../support/netlink/kernel-fleet.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

const foreignKey = `aead rfc4106(gcm(aes)) 0x${"07".repeat(20)} 128`;

const incarnationOf = ({ view }: FleetNode): string | undefined =>
  view().state.durable.incarnation?.id;

function sasOf({ view }: FleetNode): readonly HeldSa[] {
  return [...view().world.kernel.peers.values()].flatMap(({ sas }) => sas);
}

function spiOf(node: FleetNode, direction: "in" | "out"): Spi {
  const found = sasOf(node).find(
    (sa) => sa.direction === direction && !sa.remote.address.includes(":"),
  );
  assert.ok(found !== undefined);
  return found.spi;
}

/** As `ip xfrm state delete` names it. */
function nameOf(from: FleetNode, to: FleetNode, spi: Spi): string {
  return `src ${from.address} dst ${to.address} proto esp spi ${formatSpi(spi)}`;
}

const listed = (node: FleetNode, what: "state" | "policy"): string =>
  ip("-n", node.namespace.name, "xfrm", what);

async function inboundComesBack(): Promise<void> {
  await withKernelFleet({}, async ({ left, right, until, carries }) => {
    await carries();
    const before = incarnationOf(right);
    const name = nameOf(left, right, spiOf(right, "in"));
    ipBatch([`xfrm state delete ${name}`], right.namespace);
    await until("the SA is back", () => listed(right, "state").includes(formatSpi(spiOf(left, "out"))));
    await carries();
    assert.equal(incarnationOf(right), before);
  });
}

async function policiesComeBack(): Promise<void> {
  await withKernelFleet({}, async ({ left, right, until, carries }) => {
    const before = [left, right].map(incarnationOf);
    const selectors = (node: FleetNode): string | undefined =>
      listed(node, "policy").match(/^src .*$/gm)?.sort().join();
    const policies = [left, right].map(selectors);
    for (const node of [left, right]) ipBatch(["xfrm policy flush"], node.namespace);
    await until("all policies are back", () =>
      [left, right].every((node, i) => selectors(node) === policies[i]),
    );
    await carries();
    assert.deepEqual([left, right].map(incarnationOf), before);
  });
}

/** The old SPI and its counter never come back. */
async function lostOutboundIsNeverReused(flush: (node: FleetNode, other: FleetNode) => string): Promise<void> {
  await withKernelFleet({}, async ({ left, right, until, carries }) => {
    const [before, spi] = [incarnationOf(left), spiOf(left, "out")];
    ipBatch([flush(left, right)], left.namespace);
    await until("a new incarnation", () => incarnationOf(left) !== before);
    await until("both run key 1", () => runsOnly(left, 1) && runsOnly(right, 1));
    await carries();
    assert.notEqual(spiOf(left, "out"), spi);
    assert.ok(!listed(left, "state").includes(formatSpi(spi)));
    await until("the peer dropped the old SA", () => !listed(right, "state").includes(formatSpi(spi)));
  });
}

/** Hears nothing but that the kernel is there. */
function deaf(kernel: KernelPort): KernelPort {
  return {
    apply: (...request) => kernel.apply(...request),
    dump: (...request) => kernel.dump(...request),
    watch: (changed) => kernel.watch((reason) => reason === "connected" && changed(reason)),
  };
}

async function resyncFindsWhatWasNotTold(): Promise<void> {
  const resyncMs = 1_500;
  await withKernelFleet({ resyncMs, wrap: deaf }, async ({ left, right, until, carries }) => {
    const spi = spiOf(right, "in");
    ipBatch([`xfrm state delete ${nameOf(left, right, spi)}`], right.namespace);
    await until("the SA is back", () => listed(right, "state").includes(formatSpi(spi)));
    await carries();
  });
}

/** Another program has taken the SPI that left would use for key 2. */
async function foreignSaInOurSlotStays(): Promise<void> {
  await withKernelFleet({}, async ({ left, right, until, carries }) => {
    const spi = makeSpi({ ...splitSpi(spiOf(left, "out")), keyId: splitSpi(2 * 2 ** 24 as Spi).keyId });
    const name = nameOf(left, right, spi);
    const beside = `src ${left.address} dst ${right.address} proto esp spi 0xc0000001`;
    ipBatch(
      [
        `xfrm state add ${name} reqid 1 mode transport ${foreignKey}`,
        `xfrm state add ${beside} reqid 1 mode transport ${foreignKey}`,
        "xfrm policy add src 10.9.0.0/16 dst 10.8.0.0/16 dir out priority 5",
      ],
      left.namespace,
    );
    const before = incarnationOf(left);
    for (const node of [left, right]) node.offer(1, 2);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
    await carries();
    assert.notEqual(incarnationOf(left), before);
    assert.notEqual(spiOf(left, "out"), spi);
    const foreign = ip("-n", "left", "xfrm", "state", "list", "reqid", "1");
    assert.ok(foreign.includes(formatSpi(spi)) && foreign.includes("0xc0000001"), foreign);
    assert.ok(listed(left, "policy").includes("10.9.0.0/16"));
  });
}

/** Where the foreign SA has a peer's SPI, only the peer could go elsewhere: nothing is claimed, nothing touched. */
async function foreignSaInPeersSlotIsNotReported(): Promise<void> {
  await withKernelFleet({}, async ({ left, right, until, carries }) => {
    const spi = makeSpi({ ...splitSpi(spiOf(right, "in")), keyId: splitSpi(2 * 2 ** 24 as Spi).keyId });
    const name = nameOf(left, right, spi);
    ipBatch([`xfrm state add ${name} reqid 1 mode transport ${foreignKey}`], right.namespace);
    const before = incarnationOf(right);
    for (const node of [left, right]) node.offer(1, 2);
    await until("right says why", () =>
      [...right.view().world.heldBack.values()].some(({ code }) => code === "DATAPLANE_SLOT_FOREIGN"),
    );
    await pause(1_000);
    const holds = right.view().world.publishedReport?.holds.map(({ keyId }) => keyId);
    assert.deepEqual(holds, [1]);
    assert.equal(incarnationOf(right), before);
    await carries();
    ipBatch([`xfrm state delete ${name}`], right.namespace);
    await until("both run key 2", () => runsOnly(left, 2) && runsOnly(right, 2));
  });
}

export const driftCases: readonly KernelCase[] = [
  { name: "an inbound SA that somebody deleted is back at once, in the same incarnation", run: inboundComesBack },
  { name: "flushed policies are back at once, in the same incarnation", run: policiesComeBack },
  {
    name: "an outbound SA that somebody deleted is a new incarnation and a new SPI",
    run: () => lostOutboundIsNeverReused((here, there) => `xfrm state delete ${nameOf(here, there, spiOf(here, "out"))}`),
  },
  {
    name: "flushed SAs are a new incarnation and a new SPI",
    run: () => lostOutboundIsNeverReused(() => "xfrm state flush"),
  },
  { name: "a deletion that was not told is repaired by the resync", run: resyncFindsWhatWasNotTold },
  { name: "a foreign SA with our next SPI stays, and the node takes a new incarnation", run: foreignSaInOurSlotStays },
  { name: "a foreign SA with a peer's next SPI stays, and the key is not reported as held", run: foreignSaInPeersSlotIsNotReported },
];
