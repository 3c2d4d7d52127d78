/** Tunnel mode: traffic between networks behind the nodes, with its policies and routes, on a real kernel. */
import assert from "node:assert/strict";
import type { KernelCase } from "../../support/kernel-cases.js";
import { openDatagramSocket } from "../../support/netlink/datagrams.js";
import { runsOnly, withKernelFleet, type FleetNode, type KernelFleetOptions } from "../../support/netlink/kernel-fleet.js";
import { xfrmErrors } from "../../support/netlink/loss.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

/** Two networks and a family more than the tunnels' own on the left, one of each on the right. */
const behind = [
  [
    { cidr: "10.1.0.0/24", host: "10.1.0.1" },
    { cidr: "10.1.1.0/24", host: "10.1.1.1" },
    { cidr: "fd01::/64", host: "fd01::1" },
  ],
  [
    { cidr: "10.2.0.0/24", host: "10.2.0.1" },
    { cidr: "fd02::/64", host: "fd02::1" },
  ],
] as const;

const withTunnels = (run: Parameters<typeof withKernelFleet>[1], options: KernelFleetOptions = {}): Promise<void> =>
  withKernelFleet({ behind, ...options }, run);

const listed = (node: FleetNode, what: "state" | "policy"): string => ip("-n", node.namespace.name, "xfrm", what);

const routes = (node: FleetNode, family: "-4" | "-6" = "-4"): string =>
  ip("-n", node.namespace.name, family, "route", "show", "proto", "84");

/**
 * In policies for this host and through it, out policies pinned, for each pair of networks of one family. For the probes of each
 * family besides an out policy and two in.
 */
function assertWhole(left: FleetNode): void {
  const policies = listed(left, "policy");
  const count = (words: string): number => policies.split(words).length - 1;
  assert.deepEqual(["dir out", "dir in", "dir fwd"].map(count), [3 + 2, 3 + 4, 3], policies);
  assert.equal(listed(left, "state").match(/mode tunnel/g)?.length, 4, "one SA for each direction and family");
}

async function rotates(options: KernelFleetOptions): Promise<void> {
  await withTunnels(async ({ left, right, until, carries, stream }) => {
    await carries();
    assertWhole(left);
    const before = [left, right].map(xfrmErrors);
    const traffic = stream();
    for (const keyId of [2, 3]) {
      for (const node of [left, right]) node.offer(keyId - 1, keyId);
      await until(`both run key ${keyId}`, () => runsOnly(left, keyId) && runsOnly(right, keyId));
    }
    const { sent, lost } = await traffic.end();
    assert.ok(sent > 20, `${sent} datagrams`);
    assert.deepEqual({ lost, errors: [left, right].map(xfrmErrors) }, { lost: [], errors: before });
    assertWhole(left);
  }, options);
}

/** Larger than what is left of the link's 1,500 bytes: it comes in pieces, and as one datagram. */
async function carriesLargeDatagrams(): Promise<void> {
  await withTunnels(async ({ left, right, until, carries }) => {
    await carries();
    for (const [family, from, to] of [["ipv4", "10.1.1.1", "10.2.0.1"], ["ipv6", "fd01::1", "fd02::1"]] as const) {
      const sender = left.namespace.within(() => openDatagramSocket(family, from, 5_100));
      const receiver = right.namespace.within(() => openDatagramSocket(family, to, 5_100));
      const large = "x".repeat(1_460);
      try {
        await until(`a large datagram of ${family}`, () => {
          sender.send(large, to, 5_100);
          return receiver.receiveAll().includes(large);
        });
      } finally {
        sender.close();
        receiver.close();
      }
    }
  });
}

async function routesComeBack(): Promise<void> {
  await withTunnels(async ({ left, until, carries }) => {
    await carries();
    assert.match(routes(left), /10\.2\.0\.0\/24 via 192\.0\.2\.2 dev left metric 21328/);
    assert.match(routes(left, "-6"), /fd02::\/64 via 2001:db8::2 dev left metric 21328/);
    assert.equal(routes(left).trim().split("\n").length, 1, "none to the peer itself, whose probes have policies too");
    ipBatch(
      [
        "route add 10.9.0.0/16 via 192.0.2.2 proto 84 metric 21328",
        "route add 10.8.0.0/16 via 192.0.2.2 proto static",
        "route del 10.2.0.0/24 proto 84",
      ],
      left.namespace,
    );
    await until("ours is back, what none of our policies names is gone", () => {
      const now = routes(left);
      return now.includes("10.2.0.0/24") && !now.includes("10.9.0.0/16");
    });
    assert.match(ip("-n", "left", "route"), /10\.8\.0\.0\/16/);
    await carries();
  }, { resyncMs: 1_000 });
}

/** In between two dumps, of which the next is a minute away. */
async function lostRoutesComeBackAtOnce(): Promise<void> {
  await withTunnels(async ({ left, until, carries }) => {
    await carries();
    const cameBack = async (what: string, holds: () => boolean): Promise<void> => {
      const beganMs = performance.now();
      await until(what, holds);
      assert.ok(performance.now() - beganMs < 10_000, what);
    };
    const [ipv4, ipv6] = [(): boolean => routes(left).includes("10.2.0.0/24"), (): boolean => routes(left, "-6").includes("fd02::/64")];
    ipBatch(["route del 10.2.0.0/24 proto 84", "route del fd02::/64 proto 84"], left.namespace);
    await cameBack("both are back", () => ipv4() && ipv6());
    ipBatch(["link set left down"], left.namespace);
    assert.ok(!ipv4(), "the kernel took it away without a word about the route");
    ipBatch(["link set left up"], left.namespace);
    await cameBack("it is back with its device", ipv4);
  });
}

async function halfAnInboundPolicyIsPutRight(): Promise<void> {
  await withTunnels(async ({ left, until, carries }) => {
    await carries();
    ipBatch(["xfrm policy delete src 10.2.0.0/24 dst 10.1.0.0/24 dir fwd"], left.namespace);
    await until("it is back", () => listed(left, "policy").split("dir fwd").length === 4);
    assertWhole(left);
  });
}

export const tunnelCases: readonly KernelCase[] = [
  { name: "tunnel mode: two rotations under traffic of IPv4 and IPv6 between networks lose nothing", run: () => rotates({}) },
  { name: "tunnel mode in UDP: two rotations under traffic of IPv4 and IPv6 lose nothing", run: () => rotates({ udpPort: 4_500 }) },
  { name: "tunnel mode: datagrams that need the whole link arrive", run: carriesLargeDatagrams },
  { name: "tunnel mode: routes are put right, and nobody else's touched", run: routesComeBack },
  { name: "tunnel mode: routes that somebody deletes, or that go with their device, are back at once", run: lostRoutesComeBackAtOnce },
  { name: "tunnel mode: an inbound policy without its forwarding half is put right", run: halfAnInboundPolicyIsPutRight },
];
