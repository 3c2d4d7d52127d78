/**
 * Levels of strictness on a real kernel (S3): what leaves and enters plainly at each of them, and that a
 * fleet goes up and down through them without losing a packet.
 *
 *   behind 10.7.0.2 ──── left 192.0.2.1 ──── right 192.0.2.2, 192.0.2.9 (no agent's), 198.51.100.9
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Guard } from "../../../src/adapters/netlink/kernel/guard.js";
import { openXfrmStat } from "../../../src/adapters/netlink/xfrm-stat.js";
import type { PolicyLevel } from "../../../src/core/policy-level.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { arrives, familyOf, type End } from "../../support/netlink/arrival.js";
import { runCommand } from "../../support/netlink/command.js";
import { runsOnly, withKernelFleet, type FleetNode } from "../../support/netlink/kernel-fleet.js";
import { dump, makeKernelNode, type KernelNode } from "../../support/netlink/kernel-node.js";
import { assertHitless } from "../../support/netlink/loss.js";
import { ip, ipBatch, makeNamespace, type Namespace } from "../../support/netlink/namespace.js";
import { canConnect, listenAt } from "../../support/netlink/streams.js";

const guard: Guard = {
  cidrs: [
    { address: "192.0.2.0", length: 24 },
    { address: "10.7.0.0", length: 16 },
    { address: "2001:db8::", length: 64 },
  ],
  bypassTcpPorts: [7_400],
};

interface Site {
  readonly left: Namespace;
  readonly right: Namespace;
  readonly behind: Namespace;
}

async function withSite(run: (site: Site) => Promise<void>): Promise<void> {
  const [left, right, behind] = [makeNamespace("left"), makeNamespace("right"), makeNamespace("behind")];
  ipBatch([
    "link add left netns left type veth peer name right netns right",
    "link add inner netns left type veth peer name behind netns behind",
  ]);
  ipBatch(
    ["link set lo up", "address add 192.0.2.1/24 dev left", "address add 2001:db8::1/64 dev left nodad", "link set left up"],
    left,
  );
  ipBatch(["address add 10.7.0.1/24 dev inner", "link set inner up", "route add 198.51.100.0/24 via 192.0.2.9"], left);
  ipBatch(
    [
      ...["link set lo up", "address add 192.0.2.2/24 dev right", "address add 192.0.2.9/24 dev right"],
      ...["address add 2001:db8::9/64 dev right nodad", "address add 198.51.100.9/32 dev lo", "link set right up"],
      "route add 10.7.0.0/16 via 192.0.2.1",
    ],
    right,
  );
  ipBatch(["link set lo up", "address add 10.7.0.2/24 dev behind", "link set behind up", "route add default via 10.7.0.1"], behind);
  left.within(() => writeFileSync("/proc/sys/net/ipv4/ip_forward", "1"));
  try {
    // IPv6 needs a moment after a link has come up.
    while (!(await arrives({ namespace: left, address: "2001:db8::1" }, { namespace: right, address: "2001:db8::9" })));
    await run({ left, right, behind });
  } finally {
    for (const namespace of [left, right, behind]) namespace.close();
  }
}

/** Every way in which plain packets could leave, enter or pass through left. */
function ways({ left, right, behind }: Site): Readonly<Record<string, readonly [End, End]>> {
  const end = (namespace: Namespace, address: string): End => ({ namespace, address });
  return {
    "out, ipv4": [end(left, "192.0.2.1"), end(right, "192.0.2.9")],
    "in, ipv4": [end(right, "192.0.2.9"), end(left, "192.0.2.1")],
    "out, ipv6": [end(left, "2001:db8::1"), end(right, "2001:db8::9")],
    "in, ipv6": [end(right, "2001:db8::9"), end(left, "2001:db8::1")],
    "forwarded from a CIDR": [end(behind, "10.7.0.2"), end(right, "198.51.100.9")],
    "forwarded into a CIDR": [end(right, "198.51.100.9"), end(behind, "10.7.0.2")],
  };
}

async function openWays(site: Site): Promise<readonly string[]> {
  const open: string[] = [];
  for (const [way, [from, to]] of Object.entries(ways(site))) if (await arrives(from, to)) open.push(way);
  return open;
}

function makeGuarded(site: Site, wanted: Guard | null): Promise<KernelNode> {
  return makeKernelNode(1, { ipv4: "192.0.2.1", ipv6: "2001:db8::1" }, site.left, { guard: wanted });
}

async function nothingPlainPasses(): Promise<void> {
  await withSite(async (site) => {
    const all = Object.keys(ways(site));
    assert.deepEqual(await openWays(site), all, "without the guard every probe arrives");
    const node = await makeGuarded(site, guard);
    await node.kernel.check();
    ipBatch(["neighbour flush all"], site.left);
    assert.deepEqual(await openWays(site), []);
    const counters = site.left.within(() => openXfrmStat()).read();
    assert.ok((counters.XfrmInPolBlock ?? 0) > 0 && (counters.XfrmOutPolBlock ?? 0) > 0);
    node.kernel.close();
    const lifted = await makeGuarded(site, null);
    await lifted.kernel.check();
    assert.equal(ip("-n", "left", "xfrm", "policy"), "", "another level takes it back");
    assert.deepEqual(await openWays(site), all);
    lifted.kernel.close();
  });
}

async function onlyTheBypassPasses(): Promise<void> {
  await withSite(async ({ left, right, ...site }) => {
    const node = await makeGuarded({ left, right, ...site }, guard);
    await node.kernel.check();
    for (const namespace of [left, right]) ipBatch(["neighbour flush all"], namespace);
    for (const [here, there] of [["192.0.2.1", "192.0.2.9"], ["2001:db8::1", "2001:db8::9"]] as const) {
      const family = familyOf(here);
      const from = { family, address: there };
      const listeners = [7_400, 7_401].map((port) => left.within(() => listenAt({ family, address: here, port })));
      const outside = right.within(() => listenAt({ family, address: there, port: 7_400 }));
      const inbound = [7_400, 7_401].map((port) => right.within(() => canConnect(from, { family, address: here, port })));
      assert.deepEqual(inbound, [true, false], family);
      const own = { family, address: here };
      assert.ok(left.within(() => canConnect(own, { ...from, port: 7_400 })), "outbound");
      assert.ok(left.within(() => canConnect(own, { ...own, port: 7_401 })), "a node reaches itself");
      for (const listener of [...listeners, outside]) listener.close();
    }
    node.kernel.close();
  });
}

async function guardComesBack(): Promise<void> {
  await withKernelFleet({ guard }, async ({ left, until, carries }) => {
    const blocks = (): number => (ip("-n", "left", "xfrm", "policy").match(/action block/g) ?? []).length;
    const before = blocks();
    assert.equal(before, 9);
    ipBatch(["xfrm policy flush"], left.namespace);
    await until("the blocks are back", () => blocks() === before);
    await until("all is at rest", () => runsOnly(left, 1));
    await carries();
  });
}

/** As a boot unit does it; the agent finds everything in place. */
async function guardCommandBlocks(): Promise<void> {
  ipBatch(["xfrm policy flush"]);
  const folder = mkdtempSync("/run/spindle-guard-");
  const config = join(folder, "agent.yaml");
  const text = (level: string): string =>
    [
      "schemaVersion: 1",
      "node: { name: node-1, addresses: { ipv4: 192.0.2.1 } }",
      "stateDir: ./state",
      "registry: { socket: ./registry.sock }",
      "keyFile: { path: ./keys }",
      "dataplane: { kind: kernel }",
      `policy: { level: ${level}, cidrs: [10.7.0.0/16], bypass: { tcpPorts: [7400] } }`,
    ].join("\n");
  const guardWith = async (level: string): Promise<unknown> => {
    writeFileSync(config, text(level));
    const { stdout, exitCode, stderr } = await runCommand(["guard", "--json", "--config", config]);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout);
  };
  // Both ways: the node itself 1, a port 4, DHCP 4, discovery 5; and a CIDR 3.
  const policies = 2 * 14 + 3;
  assert.deepEqual(await guardWith("require"), { schemaVersion: 1, policies, changed: policies });
  assert.equal((ip("xfrm", "policy").match(/action block/g) ?? []).length, 3);
  assert.deepEqual(await guardWith("require"), { schemaVersion: 1, policies, changed: 0 });
  assert.deepEqual(await guardWith("prefer"), { schemaVersion: 1, policies: 0, changed: policies });
  assert.equal(ip("xfrm", "policy"), "");
  rmSync(folder, { recursive: true });
}

/** S6: a policy of another program for the very network is not replaced, and the node does not start as if it were ours. */
async function foreignHolderIsTold(): Promise<void> {
  await withSite(async (site) => {
    ipBatch(["xfrm policy add dst 10.7.0.0/16 dir out priority 3"], site.left);
    const node = await makeGuarded(site, guard);
    await assert.rejects(node.kernel.check(), { code: "DATAPLANE_SLOT_FOREIGN" });
    assert.match(ip("-n", "left", "xfrm", "policy"), /priority 3/);
    node.kernel.close();
  });
}

/** The same at a later time: it is told at each dump, and the agent goes on with the rest. */
async function foreignReplacementIsTold(): Promise<void> {
  await withSite(async (site) => {
    const node = await makeGuarded(site, guard);
    await node.kernel.check();
    ipBatch(["xfrm policy update dst 10.7.0.0/16 dir out priority 3", "xfrm policy delete src 10.7.0.0/16 dir in"], site.left);
    await dump(node, () => null);
    assert.deepEqual(node.said, ["plain packets are not blocked everywhere"]);
    const after = ip("-n", "left", "xfrm", "policy");
    assert.match(after, /priority 3/);
    assert.match(after, /src 10\.7\.0\.0\/16 dst 0\.0\.0\.0\/0 \n\tdir in action block/, "what was only deleted is back");
    node.kernel.close();
  });
}

const encrypted = ({ view }: FleetNode): number =>
  [...view().world.kernel.peers.values()]
    .flatMap(({ sas }) => sas)
    .filter(({ direction }) => direction === "in")
    .reduce((sum, { packets }) => sum + packets, 0);

/** Up to `require` and back, one node after the other, and a rotation at each level. */
async function fleetGoesUpAndDown(): Promise<void> {
  await withKernelFleet({ level: "accept", resyncMs: 300 }, async (fleet) => {
    const { left, right, until } = fleet;
    const stream = fleet.stream();
    let keyId = 1;
    const rotate = async (): Promise<void> => {
      keyId += 1;
      for (const node of [left, right]) node.offer(keyId - 1, keyId);
      await until(`both run key ${keyId}`, () => runsOnly(left, keyId) && runsOnly(right, keyId));
    };
    const go = async (level: PolicyLevel): Promise<void> => {
      for (const node of [left, right]) {
        await node.restart(level);
        await until(`${level} is at rest`, () => runsOnly(node, keyId));
      }
      await rotate();
    };
    await rotate();
    assert.equal(encrypted(right), 0, "at level accept all is plain");
    await go("prefer");
    await until("at level prefer it is encrypted", () => encrypted(right) > 0);
    await go("require");
    await go("prefer");
    await go("accept");
    assertHitless(await stream.end(), [left, right], 100);
  });
}

/** Behind the barrier nobody keeps an order by hand: from nothing to `require` with its networks, and back to nothing. */
async function barrierMovesFleet(): Promise<void> {
  await withKernelFleet({ coordination: "barrier", level: "accept", resyncMs: 300, guard }, async (fleet) => {
    const { left, right, goTo } = fleet;
    const policies = (): string => ip("-n", "left", "xfrm", "policy");
    await goTo("off");
    assert.equal(policies(), "", "at off nothing is installed");
    const stream = fleet.stream();
    await goTo("require");
    assert.ok(encrypted(right) > 0, "it is encrypted");
    await fleet.until("the networks are blocked", () => policies().includes("action block"));
    const ends = [{ namespace: right.namespace, address: "192.0.2.99" }, { namespace: left.namespace, address: left.address }] as const;
    ipBatch(["address add 192.0.2.99/24 dev right"], right.namespace);
    assert.ok(!(await arrives(...ends)), "what is not a node's is blocked");
    await goTo("accept");
    assert.ok(!policies().includes("action block"));
    assert.ok(await arrives(...ends));
    await goTo("off");
    const { sent, lost } = await stream.end();
    assert.deepEqual(lost, []);
    assert.equal(policies(), "");
    assert.equal(ip("-n", "left", "xfrm", "state"), "");
    assert.ok(sent > 100, `${sent} sent`);
  });
}

/** A plain packet of a peer: taken up to `prefer`, dropped at `require`. */
async function plainOfPeerIsDroppedAtRequire(): Promise<void> {
  await withKernelFleet({ level: "prefer" }, async ({ left, right, until }) => {
    const ends = [
      { namespace: left.namespace, address: left.address },
      { namespace: right.namespace, address: right.address },
    ] as const;
    await left.restart("accept");
    await until("left sends plainly", () => runsOnly(left, 1));
    assert.ok(await arrives(...ends), "prefer takes it");
    await right.restart("require");
    await until("right requires", () => runsOnly(right, 1));
    assert.ok(!(await arrives(...ends)), "require drops it");
  });
}

export const policyLevelCases: readonly KernelCase[] = [
  { name: "require: over its CIDRs nothing plain leaves, enters or is forwarded", run: nothingPlainPasses },
  { name: "require: control ports, neighbour discovery and the node itself pass", run: onlyTheBypassPasses },
  { name: "require: block and bypass policies that somebody flushed come back", run: guardComesBack },
  { name: "require: spindle guard blocks before there is an agent", run: guardCommandBlocks },
  { name: "require: a foreign policy for a CIDR stays, and is a coded error", run: foreignHolderIsTold },
  { name: "require: a block that another program replaced is told, and the agent goes on", run: foreignReplacementIsTold },
  { name: "prefer takes plain packets of a peer, require drops them", run: plainOfPeerIsDroppedAtRequire },
  { name: "behind the barrier a live fleet goes from off to require and back, and loses nothing", run: barrierMovesFleet },
  { name: "a live fleet goes from accept to require and back, rotating at each level, and loses nothing", run: fleetGoesUpAndDown },
];
