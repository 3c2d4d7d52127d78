/**
 * Two agents of the product in one process, each with the kernel's dataplane in a namespace of its
 * own, pairwise over an embedded registry, and datagrams from left to right all the while, of IPv4 and IPv6.
 *
 *   left 192.0.2.1 ───── veth ───── 192.0.2.2 right
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { makeCandidate } from "../../../src/adapters/crypto/keyring.js";
import { endHolder, findHolders } from "../../../src/adapters/netlink/decapsulation.js";
import { startResponder } from "../../../src/adapters/netlink/probe/responder.js";
import { connectEmbedded, startEmbedded } from "../../../src/adapters/registry/embedded/open.js";
import { openStateDirectory } from "../../../src/adapters/storage/state-directory.js";
import { systemClock } from "../../../src/adapters/system/clock.js";
import type { KeyId, KeyIdentity } from "../../../src/core/key-id.js";
import type { PolicyLevel } from "../../../src/core/policy-level.js";
import type { Guard } from "../../../src/adapters/netlink/kernel/guard.js";
import { isSettled } from "../../../src/core/fleet/levels.js";
import type { FleetRecord } from "../../../src/core/fleet/record.js";
import { limits } from "../../../src/core/limits.js";
import type { IncarnationId } from "../../../src/core/node.js";
import type { KernelPort } from "../../../src/ports/kernel.js";
import type { KeyFileReading } from "../../../src/ports/keystore.js";
import type { RegistryPort } from "../../../src/ports/registry.js";
import { ControllerLoop, type ControllerLoopOptions } from "../../../src/runtime/controller-loop.js";
import { controllerDefaults } from "../../../src/sim/defaults.js";
import { AgentLoop, type AgentLoopOptions, type AgentView } from "../../../src/runtime/agent-loop.js";
import { openWay, startStream, streamPort, type Stream, type Way } from "./datagram-stream.js";
import type { Family } from "../../../src/adapters/netlink/codec/model.js";
import { makeKernelNode, type KernelNode } from "./kernel-node.js";
import { awaitLink, ipBatch, makeNamespace, type Namespace } from "./namespace.js";
import { addresses } from "./samples.js";

export interface FleetNode {
  readonly node: KernelNode;
  readonly namespace: Namespace;
  readonly address: string;
  view(): AgentView;
  /** Messages of the log so far. */
  readonly said: readonly string[];
  /** Gives the node a key file with these keys. */
  offer(...keyIds: readonly number[]): void;
  /** Ends the agent and starts another one with the same state, at this level. */
  restart(level: PolicyLevel): Promise<void>;
  /** Probes are no longer answered by the agent. */
  stopAnswering(): void;
  close(): Promise<void>;
}

export interface KernelFleet {
  readonly left: FleetNode;
  readonly right: FleetNode;
  /** Waits until it holds; the guest's time-out ends a wait in vain. */
  until(what: string, holds: () => boolean): Promise<void>;
  /** Have datagrams of both families arrived that were sent from now on? */
  carries(): Promise<void>;
  /** Datagrams of both families from left to right, and on other ways, some 100 a second, from now on. */
  stream(others?: readonly Way[]): Stream;
  /** Barrier: asks for a level, as `spindle level` does, and waits until everybody has applied it. */
  goTo(level: PolicyLevel): Promise<void>;
}

export interface KernelFleetOptions {
  /** Default pairwise; barrier with a controller. */
  readonly coordination?: "barrier" | "pairwise";
  readonly resyncMs?: number;
  readonly level?: PolicyLevel;
  readonly guard?: Guard;
  /** Of ESP in UDP. */
  readonly udpPort?: number;
  readonly provesPaths?: boolean;
  /** Tunnel mode: what is behind each node. Datagrams are of the host of its first network of each family. */
  readonly behind?: readonly [readonly Network[], readonly Network[]];
  /** Around the kernel port of each agent. */
  readonly wrap?: (kernel: KernelPort) => KernelPort;
}

export interface Network {
  readonly cidr: string;
  /** An address in it, which the node has itself. */
  readonly host: string;
}

/** The fleet runs key 1 when `run` is called; it is gone afterwards. */
export async function withKernelFleet(
  options: KernelFleetOptions,
  run: (fleet: KernelFleet) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync("/run/spindle-fleet-");
  const namespaces = [makeNamespace("left"), makeNamespace("right")] as const;
  await connect(namespaces, options);
  const registry = await startEmbedded({ stateDir: join(folder, "controller") });
  const start = (i: 0 | 1): Promise<FleetNode> => {
    const client = connectEmbedded({ address: registry.address }).registry;
    return startNode(i, namespaces[i], join(folder, `agent-${i}`), client, options);
  };
  const nodes = [await start(0), await start(1)] as const;
  const [left, right] = nodes;
  const controller = new ControllerLoop(controllerOptions, { clock: systemClock, registry: registry.registry, log: { write: () => undefined } });
  if (options.coordination === "barrier") controller.start();
  const streams: Stream[] = [];
  const ways = (["ipv4", "ipv6"] as const).map((family) => wayBetween(family, namespaces, options));
  try {
    for (const node of nodes) node.offer(1);
    await until("both run key 1", () => nodes.every((node) => runsOnly(node, 1)));
    const begin = (others: readonly Way[] = []): Stream => {
      const begun = startStream([...ways, ...others]);
      streams.push(begun);
      return begun;
    };
    await run({ left, right, until, carries: () => carries(ways), stream: begin, goTo: (level) => goTo(registry.registry, level) });
  } finally {
    for (const { stop } of streams) stop();
    controller.stop();
    for (const { sender, receiver } of ways) for (const socket of [sender, receiver]) socket.close();
    for (const node of nodes) await node.close();
    for (const { within } of namespaces) for (const holder of within(findHolders)) endHolder(holder);
    await registry.close();
    for (const namespace of namespaces) namespace.close();
    rmSync(folder, { recursive: true });
  }
}

async function connect(namespaces: readonly [Namespace, Namespace], { behind }: KernelFleetOptions): Promise<void> {
  ipBatch(["link add left netns left type veth peer name right netns right"]);
  namespaces.forEach((namespace, i) => {
    const { name } = namespace;
    const networks = behind?.[i as 0 | 1] ?? [];
    ipBatch(
      [
        `address add ${addresses.ipv4[i]}/24 dev ${name}`,
        `address add ${addresses.ipv6[i]}/64 dev ${name} nodad`,
        `link set ${name} up`,
        "link set lo up",
        ...networks.map(({ cidr, host }) => `address add ${host}/${cidr.split("/")[1]} dev lo`),
      ],
      namespace,
    );
  });
  for (const namespace of namespaces) await awaitLink(namespace);
}

async function startNode(
  i: 0 | 1,
  namespace: Namespace,
  stateDir: string,
  registry: RegistryPort,
  options: KernelFleetOptions,
): Promise<FleetNode> {
  const { resyncMs = limits.resyncMs, level = "require", wrap = (kernel) => kernel, coordination = "pairwise" } = options;
  const ends = { ipv4: addresses.ipv4[i], ipv6: addresses.ipv6[i] };
  const said: string[] = [];
  const log = { write: (_level: string, message: string) => void said.push(message) };
  const node = await makeKernelNode(i + 1, ends, namespace, {
    log,
    guard: options.guard ?? null,
    isGuarded: level === "require",
    udpPort: options.udpPort ?? null,
    ...(options.behind === undefined ? {} : { cidrs: options.behind[i].map(({ cidr }) => cidr) }),
  });
  await node.kernel.check();
  const storage = await openStateDirectory(stateDir, log);
  let read: ((reading: KeyFileReading) => void) | null = null;
  const makeLoop = (policyLevel: PolicyLevel): AgentLoop =>
    new AgentLoop(
      { ...optionsOf(node), coordination, resyncMs, policyLevel, provesPaths: options.provesPaths === true },
      {
        clock: systemClock,
        kernel: wrap(node.kernel),
        keystore: {
          watch: (listener) => {
            read = listener;
            if (offered.length > 0) read({ kind: "valid", keys: offered });
            return () => (read = null);
          },
          forget: (key) => node.keyring.forget(key),
        },
        registry,
        storage,
        log,
        randomIncarnationId: () => randomHex() as IncarnationId,
        chance: Math.random,
      },
    );
  const { within } = namespace;
  const responder = startResponder({ addresses: node.addresses, port: limits.probePortDefault, log, within });
  let offered: readonly KeyIdentity[] = [];
  let loop = makeLoop(level);
  const start = async (): Promise<void> => {
    loop.start((message) => assert.fail(message));
    await until("the documents are loaded", () => loop.inspect() !== null);
  };
  await start();
  return {
    node,
    namespace,
    address: ends.ipv4,
    said,
    view: () => loop.inspect()!,
    offer: (...keyIds) => {
      offered = keyIds.map((keyId) => keyOf(node, keyId));
      read?.({ kind: "valid", keys: offered });
    },
    restart: async (next) => {
      loop.stop();
      loop = makeLoop(next);
      await start();
    },
    stopAnswering: () => responder.close(),
    close: async () => {
      loop.stop();
      responder.close();
      node.kernel.close();
      registry.close();
      await storage.close();
    },
  };
}

/** But for what a test chooses. */
function optionsOf({ end, addresses: own }: KernelNode): Omit<AgentLoopOptions, "resyncMs" | "coordination"> {
  return {
    name: end.name,
    addresses: own,
    ring: 255,
    jitter: { enabled: false, mode: "uniform", maxMs: 0, minNodes: 1 },
    drainMs: 100,
    retireDeadlineMs: 60_000,
    emergencyDeadlineMs: 10_000,
    reportIntervalMs: 100,
    massDeletionShare: 1,
    leaseMs: 10_000,
  };
}

const controllerOptions: ControllerLoopOptions = {
  ...controllerDefaults,
  name: "controller",
  drainMs: 200,
  silentMs: 60_000,
};

async function goTo(registry: RegistryPort, level: PolicyLevel): Promise<void> {
  let record: FleetRecord | null = null;
  const stop = registry.watchFleet((event) => {
    if (event.kind === "value") record = event.object.value;
  });
  const content = { id: randomHex(), kind: "level", reason: "test", by: "test", at: "", compromised: null, abort: null, level } as const;
  registry.putRequest({ schemaVersion: 1, ...content }, (result) => assert.ok(result.ok));
  await until(`everybody is at ${level}`, () => record?.levels?.level === level && isSettled(record.levels));
  stop();
}

function randomHex(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Buffer.from(bytes).toString("hex");
}

/** Offers the key's bytes to the keyring. */
function keyOf({ keyring }: KernelNode, keyId: number): KeyIdentity {
  const bytes = Uint8Array.from({ length: 20 }, (_, i) => (keyId * 31 + i * 7) & 0xff);
  const key = { kind: "aead", algorithm: "rfc4106(gcm(aes))", bytes, icvBits: 128 } as const;
  const candidate = makeCandidate(keyId as KeyId, key);
  keyring.offer(candidate);
  return candidate.identity;
}

export async function until(what: string, holds: () => boolean, limitMs = 60_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!holds()) {
    assert.ok(performance.now() < endMs, `not within ${limitMs} ms: ${what}`);
    await pause(10);
  }
}

/** It holds and sends with this key alone, by its own word, and nobody is blocked. */
export function runsOnly({ view }: FleetNode, keyId: number): boolean {
  const { state, world } = view();
  const report = world.publishedReport;
  const isAlone = report?.holds.length === 1 && report.holds[0]?.keyId === keyId;
  const isAtRest = state.toDo.size === 0 && state.incomplete.size === 0 && state.tally.peers > 0 && state.tally.blocked === 0;
  return isAlone && report.sendingOldest === keyId && isAtRest;
}

/** From left to right, by one family. */
function wayBetween(family: Family, [left, right]: readonly [Namespace, Namespace], { behind }: KernelFleetOptions): Way {
  const hostAt = (i: 0 | 1): string =>
    behind?.[i].find(({ cidr }) => cidr.includes(":") === (family === "ipv6"))?.host ?? addresses[family][i];
  return openWay({ namespace: left, address: hostAt(0) }, { namespace: right, address: hostAt(1) });
}

async function carries(ways: readonly Way[]): Promise<void> {
  for (const { sender, receiver, remote } of ways) {
    receiver.receiveAll();
    const mark = randomHex();
    await until(`a datagram arrives at ${remote}`, () => {
      sender.send(mark, remote, streamPort);
      return receiver.receiveAll().includes(mark);
    });
  }
}
