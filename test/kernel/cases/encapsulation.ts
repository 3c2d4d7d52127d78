/**
 * ESP in UDP as an agent uses it: the socket that decapsulates belongs to a process that outlives the
 * agent, and the userspace dataplane, which is another implementation of both RFCs, understands every
 * packet of the kernel and the other way round.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { endHolder, findHolders, holdDecapsulation } from "../../../src/adapters/netlink/decapsulation.js";
import { loadLibc } from "../../../src/adapters/netlink/socket/libc.js";
import { openXfrmStat } from "../../../src/adapters/netlink/xfrm-stat.js";
import { Dataplane } from "../../../src/adapters/userspace/dataplane.js";
import { payloadProtocol } from "../../../src/adapters/userspace/outbound.js";
import type { NodeName } from "../../../src/core/node.js";
import type { SaSpec } from "../../../src/core/sa.js";
import type { NodeIndex } from "../../../src/core/spi.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { openDatagramSocket, openRawSocket } from "../../support/netlink/datagrams.js";
import { runsOnly, withKernelFleet } from "../../support/netlink/kernel-fleet.js";
import {
  apply,
  dump,
  giveKey,
  install,
  makeKernelNode,
  recogniser,
  saSpec,
  setPolicy,
  spiOf,
  type KernelNode,
} from "../../support/netlink/kernel-node.js";
import { assertHitless } from "../../support/netlink/loss.js";
import { ip, ipBatch, makeNamespace } from "../../support/netlink/namespace.js";
import { runCommand } from "../../support/netlink/command.js";

const udpPort = 4_500;

async function rotationsOverUdp(): Promise<void> {
  await withKernelFleet({ udpPort }, async ({ left, right, until, stream }) => {
    const flowing = stream();
    for (const keyId of [2, 3]) {
      for (const node of [left, right]) node.offer(keyId - 1, keyId);
      await until(`both run key ${keyId}`, () => runsOnly(left, keyId) && runsOnly(right, keyId));
    }
    assertHitless(await flowing.end(), [left, right]);
    assert.match(ip("-n", "left", "xfrm", "state"), /encap type espinudp sport 4500 dport 4500/);
  });
}

/** Somebody ends the process that holds the socket: another one takes its place at the next dump. */
async function lostHolderComesBack(): Promise<void> {
  const node = await makeKernelNode(1, { ipv4: "192.0.2.1", ipv6: "2001:db8::1" }, null, { udpPort });
  const [first, ...others] = findHolders();
  assert.ok(first !== undefined && others.length === 0);
  endHolder(first);
  while (findHolders().length > 0) await pause(5);
  await dump(node, () => null);
  assert.deepEqual(findHolders().map(({ places }) => places), [first.places]);
  assert.deepEqual(node.said, ["the UDP socket of encapsulated ESP was lost and is opened again"]);
  node.kernel.close();
  const plain = await makeKernelNode(1, { ipv4: "192.0.2.1", ipv6: "2001:db8::1" });
  while (findHolders().length > 0) await pause(5);
  plain.kernel.close();
}

async function socketOutlivesItsAgent(): Promise<void> {
  for (const holder of findHolders()) endHolder(holder);
  ipBatch(["address replace 192.0.2.1/32 dev lo"]);
  const source = new URL("../../../src/adapters/netlink/", import.meta.url).href;
  const program =
    `const { holdDecapsulation } = await import("${source}decapsulation.js");` +
    `const { loadLibc } = await import("${source}socket/libc.js");` +
    `holdDecapsulation(await loadLibc(), [{ family: "ipv4", address: "192.0.2.1", port: ${udpPort} }]);` +
    `process.stdout.write("ready"); setInterval(() => undefined, 1000);`;
  const agent = spawn(process.execPath, ["--input-type=module", "--eval", program], { stdio: ["ignore", "pipe", "inherit"] });
  await once(agent.stdout, "data");
  const before = findHolders();
  assert.deepEqual(before.map(({ places }) => places), [`192.0.2.1#${udpPort}`]);
  agent.kill("SIGKILL");
  await once(agent, "exit");
  const libc = await loadLibc();
  const place = { family: "ipv4", address: "192.0.2.1", port: udpPort } as const;
  assert.deepEqual(holdDecapsulation(libc, [place]), before[0], "the next agent finds it");
  const moved = holdDecapsulation(libc, [{ ...place, port: 4_501 }]);
  assert.deepEqual(findHolders(), [moved], "another port is another socket, and the old one goes");
  const { stdout, exitCode } = await runCommand(["cleanup", "--json"]);
  assert.equal(exitCode, 0);
  assert.deepEqual((JSON.parse(stdout) as { holders: unknown }).holders, [moved]);
  while (findHolders().length > 0) await pause(5);
}

/** The IPv4 address stays: its socket is bound anew as soon as the old holder has closed its own. */
async function addressIsAdded(): Promise<void> {
  ipBatch(["address replace 192.0.2.1/32 dev lo", "address replace 2001:db8::1/128 dev lo"]);
  const libc = await loadLibc();
  const ipv4 = { family: "ipv4", address: "192.0.2.1", port: udpPort } as const;
  const ipv6 = { family: "ipv6", address: "2001:db8::1", port: udpPort } as const;
  for (let round = 0; round < 20; round += 1) {
    const old = holdDecapsulation(libc, [ipv4]);
    const both = holdDecapsulation(libc, [ipv4, ipv6]);
    assert.notEqual(both?.pid, old?.pid);
    assert.deepEqual(findHolders(), [both]);
  }
  holdDecapsulation(libc, []);
  while (findHolders().length > 0) await pause(5);
}

/** It outlives the agent, whose environment may hold passwords. */
async function environmentIsBare(): Promise<void> {
  process.env["SPINDLE_TEST_PASSWORD"] = "secret";
  const libc = await loadLibc();
  const holder = holdDecapsulation(libc, [{ family: "ipv4", address: "192.0.2.1", port: udpPort }]);
  assert.ok(holder !== null);
  const words = readFileSync(`/proc/${holder.pid}/environ`, "latin1").split("\0").filter((word) => word !== "");
  assert.deepEqual(words.map((word) => word.split("=")[0]).sort(), ["PATH", "spindle_decapsulates"]);
  delete process.env["SPINDLE_TEST_PASSWORD"];
  holdDecapsulation(libc, []);
  while (findHolders().length > 0) await pause(5);
}

/** A word in an environment is anybody's: only a process of the agent's own user is believed. */
async function anotherUsersProcessIsNone(): Promise<void> {
  const env = { ...process.env, spindle_decapsulates: `192.0.2.1#${udpPort}` };
  const impostor = spawn("sleep", ["100"], { stdio: "ignore", env, uid: 65_534, gid: 65_534 });
  await once(impostor, "spawn");
  assert.deepEqual(findHolders(), []);
  impostor.kill("SIGKILL");
  await once(impostor, "exit");
}

async function takenPortIsTold(): Promise<void> {
  ipBatch(["address replace 192.0.2.1/32 dev lo"]);
  const other = openDatagramSocket("ipv4", "192.0.2.1", udpPort);
  const libc = await loadLibc();
  const place = { family: "ipv4", address: "192.0.2.1", port: udpPort } as const;
  assert.throws(() => holdDecapsulation(libc, [place]), { code: "DATAPLANE_BIND_FAILED" });
  other.close();
}

const packets = 20;
const [kernelEnd, userspaceEnd] = ["127.0.0.1", "127.0.0.2"] as const;

/** Both in one namespace, over a loopback device on which the kernel is told to apply its policies. */
async function userspaceUnderstandsKernel(keyId: number): Promise<void> {
  const namespace = makeNamespace("interop");
  ipBatch(["link set lo up"], namespace);
  namespace.within(() => {
    for (const name of ["disable_xfrm", "disable_policy"]) writeFileSync(`/proc/sys/net/ipv4/conf/lo/${name}`, "0");
  });
  const kernel = await makeKernelNode(1, { ipv4: kernelEnd, ipv6: "::1" }, namespace, { udpPort });
  const peer: KernelNode = {
    ...kernel,
    end: { ...kernel.end, name: "node-2" as NodeName, index: 2 as NodeIndex },
    addresses: { ...kernel.addresses, ipv4: userspaceEnd },
  };
  const delivered: string[] = [];
  const dataplane = await namespace.within(() =>
    Dataplane.open({
      local: { address: userspaceEnd, udpPort },
      nowMs: () => performance.now(),
      onDeliver: ({ payload }) => void delivered.push(payload.toString()),
      onDrop: ({ counter }) => void delivered.push(counter),
    }),
  );
  giveKey(kernel, keyId);
  await protectKernel(kernel, peer, keyId);
  protectUserspace(dataplane, peer, kernel, keyId);
  const raw = namespace.within(() => openRawSocket("ipv4", kernelEnd, payloadProtocol));
  const numbered = Array.from({ length: packets }, (_, i) => `packet ${i}`);
  for (const text of numbered) assert.equal(raw.send(text, userspaceEnd, 0), 0);
  while (delivered.length < packets) await pause(5);
  assert.deepEqual(delivered, numbered);
  for (const text of numbered) {
    assert.equal(dataplane.send({ address: kernelEnd, udpPort }, Buffer.from(text)).kind, "sent");
  }
  const received: string[] = [];
  while (received.length < packets) {
    received.push(...raw.receiveAll().map(withoutIpHeader));
    await pause(5);
  }
  assert.deepEqual(received, numbered);
  const counters = namespace.within(() => openXfrmStat()).read();
  assert.deepEqual(Object.entries(counters).filter(([, count]) => count > 0), []);
  raw.close();
  await dataplane.close();
  for (const holder of namespace.within(() => findHolders())) endHolder(holder);
  kernel.kernel.close();
  namespace.close();
}

/** A raw socket of IPv4 receives the header too, which is no text: what follows it begins with a word. */
const withoutIpHeader = (text: string): string => text.slice(text.lastIndexOf("packet"));

async function protectKernel(here: KernelNode, peer: KernelNode, keyId: number): Promise<void> {
  const stages = [
    [setPolicy("in", peer, { kind: "accept" }), install(saSpec("in", keyId, peer, here))],
    [install(saSpec("out", keyId, here, peer))],
    [setPolicy("out", peer, { kind: "protect", spi: spiOf(keyId, here) })],
  ];
  assert.deepEqual((await apply(here, stages, recogniser(here, peer))).failed, []);
}

function protectUserspace(dataplane: Dataplane, here: KernelNode, peer: KernelNode, keyId: number): void {
  const remote = { address: peer.addresses.ipv4, udpPort };
  for (const sa of [saSpec("in", keyId, peer, here), saSpec("out", keyId, here, peer)]) installInUserspace(dataplane, sa, here);
  const slot = { family: "ipv4", remote } as const;
  assert.ok(dataplane.setPolicy({ ...slot, direction: "in" }, { kind: "accept" }).ok);
  assert.ok(dataplane.setPolicy({ ...slot, direction: "out" }, { kind: "protect", spi: spiOf(keyId, here) }).ok);
}

function installInUserspace(dataplane: Dataplane, sa: SaSpec, { keyring }: KernelNode): void {
  const secret = keyring.derive(sa.key);
  assert.ok(secret !== null);
  const { direction, spi, source, destination } = sa;
  const request = { direction, spi, source, destination, mode: "transport" } as const;
  assert.ok(dataplane.installSa(request, secret.reveal()).ok);
  secret.wipe();
}

export const encapsulationCases: readonly KernelCase[] = [
  { name: "ESP in UDP: a fleet rotates and loses nothing", run: rotationsOverUdp },
  { name: "ESP in UDP: a holder of the socket that somebody ended is replaced", run: lostHolderComesBack },
  { name: "ESP in UDP: the socket survives a kill -9 of its agent, and cleanup ends it", run: socketOutlivesItsAgent },
  { name: "ESP in UDP: an address is added, and the one that stays is bound again at once", run: addressIsAdded },
  { name: "ESP in UDP: the process that holds the socket has nothing of the agent's environment", run: environmentIsBare },
  { name: "ESP in UDP: another user's process is not taken for the one that holds the socket", run: anotherUsersProcessIsNone },
  { name: "ESP in UDP: a port that another program has is a coded error", run: takenPortIsTold },
  { name: "ESP in UDP: the kernel and the userspace dataplane understand each other", run: () => userspaceUnderstandsKernel(3) },
];
