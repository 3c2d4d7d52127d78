/** One host of a simulated fleet: what outlives its agent's process, and its clock. */
import type { IncarnationId, NodeAddresses, NodeName } from "../../core/node.js";
import type { DurableState } from "../../core/rotation/durable.js";
import { families, networksBetween } from "../../core/rotation/path.js";
import type { Endpoint } from "../../core/sa.js";
import type { Clock } from "../../ports/clock.js";
import type { KeyFileReading } from "../../ports/keystore.js";
import type { AgentLoop } from "../../runtime/agent-loop.js";
import type { SimDisk } from "./disk.js";
import type { SimKernel } from "./kernel.js";
import type { Link, Stream } from "./registry.js";
import type { Place } from "./sa-table.js";
import type { VirtualTime } from "../engine/virtual-time.js";

/** One run of the agent's program. */
export interface SimAgent {
  readonly loop: AgentLoop;
  readonly link: Link;
  alive: boolean;
}

export interface SimNode {
  readonly name: NodeName;
  addresses: NodeAddresses;
  /** Its addresses as ends of paths: the same objects as long as it has these addresses. */
  ends: NodeEnds;
  readonly kernel: SimKernel;
  readonly disk: SimDisk;
  keys: KeyFileReading;
  readonly keyWatchers: Set<(reading: KeyFileReading) => void>;
  agent: SimAgent | null;
  isPartitioned: boolean;
  readonly held: Set<Stream>;
  departed: boolean;
  /** The zero of its monotonic clock. */
  bootedAtMs: number;
  /** Its milliseconds per millisecond of virtual time. */
  readonly clockRate: number;
  /** Incarnations of which a reboot or someone else took kernel state. */
  readonly lostIncarnations: Set<IncarnationId>;
  /** Key ids that its agent retired at a deadline. */
  readonly forcedKeyIds: Set<number>;
}

/** The incarnation on its disk, null before the first. */
export function storedIncarnation(node: SimNode): IncarnationId | null {
  const text = node.disk.read("state.json");
  return text === null ? null : ((JSON.parse(text) as DurableState).incarnation?.id ?? null);
}

export interface NodeEnds {
  readonly ipv4: Endpoint | null;
  readonly ipv6: Endpoint | null;
}

/** The addresses of a path between two nodes, and where each end's kernel has what its packets meet. */
export interface Route {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly near: Place;
  readonly far: Place;
}

/** One route for each address family that both have and, in tunnel mode, for each pair of networks. */
export function routesBetween(from: SimNode, to: SimNode): readonly Route[] {
  return families.flatMap((family) => {
    const local = from.ends[family];
    const remote = to.ends[family];
    if (local === null || remote === null) return [];
    return networksBetween(from, to, family).map((networks) => {
      if (networks === null) return { local, remote, near: { remote }, far: { remote: local } };
      const near = { local: networks.local, remote: { address: networks.remote, udpPort: null } };
      const far = { local: networks.remote, remote: { address: networks.local, udpPort: null } };
      return { local, remote, near, far };
    });
  });
}

/** @param text IPv4 and IPv6 addresses and, for tunnel mode, networks, separated by commas */
export function parseAddresses(text: string): NodeAddresses {
  const parts = text.split(",");
  const addresses = parts.filter((part) => !part.includes("/"));
  const cidrs = parts.filter((part) => part.includes("/"));
  return {
    ipv4: addresses.find((address) => !address.includes(":")) ?? null,
    ipv6: addresses.find((address) => address.includes(":")) ?? null,
    udpPort: null,
    ...(cidrs.length === 0 ? {} : { cidrs }),
  };
}

export function endsOf({ ipv4, ipv6 }: NodeAddresses): NodeEnds {
  const endOf = (address: string | null): Endpoint | null => (address === null ? null : { address, udpPort: null });
  return { ipv4: endOf(ipv4), ipv6: endOf(ipv6) };
}

export function clockOf(node: SimNode, time: VirtualTime, isAlive: () => boolean): Clock {
  const clock = time.clock(node.bootedAtMs, node.clockRate);
  const ifAlive = (run: () => void) => (): void => {
    if (isAlive()) run();
  };
  return {
    ...clock,
    setTimer: (atMs, run) => clock.setTimer(atMs, ifAlive(run)),
    defer: (run) => clock.defer(ifAlive(run)),
  };
}
