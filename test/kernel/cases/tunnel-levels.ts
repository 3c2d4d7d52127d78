/**
 * A fleet in tunnel mode moves its level behind the barrier, and at `require` everything else of its networks is blocked. Followed
 * are packets of the nodes themselves and what they forward for a host behind each.
 *
 *   here 10.1.0.9 ──── left 192.0.2.1 ──── right 192.0.2.2 ──── there 10.2.0.9, and 10.9.0.9, which is no node's
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import type { Guard } from "../../../src/adapters/netlink/kernel/guard.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { arrives, type End } from "../../support/netlink/arrival.js";
import { runsOnly, withKernelFleet, type FleetNode, type KernelFleet } from "../../support/netlink/kernel-fleet.js";
import { xfrmErrors } from "../../support/netlink/loss.js";
import { openWay } from "../../support/netlink/datagram-stream.js";
import { ip, ipBatch, makeNamespace, type Namespace } from "../../support/netlink/namespace.js";

const behind = [
  [{ cidr: "10.1.0.0/24", host: "10.1.0.1" }, { cidr: "fd01::/64", host: "fd01::1" }],
  [{ cidr: "10.2.0.0/24", host: "10.2.0.1" }, { cidr: "fd02::/64", host: "fd02::1" }],
] as const;

const guard: Guard = {
  cidrs: [{ address: "10.0.0.0", length: 8 }, { address: "fd00::", length: 8 }],
  bypassTcpPorts: [],
};

/** A host behind a node, which forwards for it; and the way of plain packets to the peer's networks, which are nobody's of ours. */
function addHost(host: Namespace, address: string, i: 0 | 1, { namespace: node }: FleetNode, peer: FleetNode): End {
  const own = behind[i][0].host;
  ipBatch([`link add inner netns ${node.name} type veth peer name ${host.name} netns ${host.name}`]);
  const ways = behind[1 - i]!.map(({ cidr }) => `route add ${cidr} via ${cidr.includes(":") ? peer.node.addresses.ipv6 : peer.address}`);
  ipBatch(["link set inner up", `route add ${address}/32 dev inner`, ...ways], node);
  ipBatch([`address add ${address}/32 dev ${host.name}`, `link set ${host.name} up`, `route add default via ${own} dev ${host.name} onlink`], host);
  node.within(() => writeFileSync("/proc/sys/net/ipv4/ip_forward", "1"));
  return { namespace: host, address };
}

async function withHosts(run: (fleet: KernelFleet, here: End, there: End) => Promise<void>): Promise<void> {
  const hosts = [makeNamespace("here"), makeNamespace("there")] as const;
  try {
    await withKernelFleet({ coordination: "barrier", level: "accept", resyncMs: 300, guard, behind }, async (fleet) => {
      const { left, right } = fleet;
      await run(fleet, addHost(hosts[0], "10.1.0.9", 0, left, right), addHost(hosts[1], "10.2.0.9", 1, right, left));
    });
  } finally {
    for (const host of hosts) host.close();
  }
}

const policies = ({ namespace }: FleetNode): string => ip("-n", namespace.name, "xfrm", "policy");

const encrypted = ({ view }: FleetNode): number =>
  [...view().world.kernel.peers.values()]
    .flatMap(({ sas }) => sas)
    .filter(({ direction }) => direction === "in")
    .reduce((sum, { packets }) => sum + packets, 0);

async function rotate({ left, right, until }: KernelFleet, keyId: number): Promise<void> {
  for (const node of [left, right]) node.offer(keyId - 1, keyId);
  await until(`both run key ${keyId}`, () => runsOnly(left, keyId) && runsOnly(right, keyId));
}

async function movesUpAndDown(): Promise<void> {
  await withHosts(async (fleet, here, there) => {
    const { left, right, goTo, until } = fleet;
    const stranger = { namespace: there.namespace, address: "10.9.0.9" };
    ipBatch(["address add 10.9.0.9/32 dev there"], there.namespace);
    ipBatch(["route add 10.9.0.9/32 dev inner"], right.namespace);
    ipBatch(["route add 10.9.0.9/32 via 192.0.2.2"], left.namespace);
    assert.ok(await arrives(here, there), "plain packets are forwarded");
    assert.ok(await arrives(stranger, here));
    await fleet.carries();
    assert.equal(encrypted(right), 0, "at accept all is plain");
    const through = openWay(here, there);
    const stream = fleet.stream([through]);
    await goTo("require");
    await until("it is encrypted", () => encrypted(right) > 0);
    await until("the networks are blocked", () => [left, right].every((node) => policies(node).includes("action block")));
    await rotate(fleet, 2);
    assert.ok(await arrives(here, there), "forwarded packets go through the tunnel");
    assert.deepEqual([xfrmErrors(left), xfrmErrors(right)], [{}, {}]);
    assert.ok(!(await arrives(stranger, here)), "what is not a node's is blocked");
    assert.deepEqual(xfrmErrors(left), {}, "at right already");
    const blocked = xfrmErrors(right);
    assert.deepEqual(Object.keys(blocked), ["XfrmInPolBlock"]);
    await goTo("accept");
    assert.ok([left, right].every((node) => !policies(node).includes("action block")));
    assert.ok(await arrives(stranger, here));
    const { sent, lost } = await stream.end();
    for (const socket of [through.sender, through.receiver]) socket.close();
    assert.ok(sent > 100, `${sent} sent`);
    assert.deepEqual({ lost, errors: [left, right].map(xfrmErrors) }, { lost: [], errors: [{}, blocked] });
  });
}

export const tunnelLevelCases: readonly KernelCase[] = [
  { name: "tunnel mode: a fleet goes from accept to require and back, for itself and for hosts behind it, and loses nothing", run: movesUpAndDown },
];
