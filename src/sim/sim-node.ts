/** One host of a simulated fleet: what outlives its agent's process, and the ports that the process gets. */
import type { IncarnationId, NodeAddresses, NodeName } from "../core/node.js";
import { succeed } from "../core/result.js";
import type { DurableState } from "../core/rotation/durable.js";
import type { Endpoint } from "../core/sa.js";
import type { KeyFileReading, KeystorePort } from "../ports/keystore.js";
import type { StoragePort } from "../ports/storage.js";
import type { AgentLoop } from "../runtime/agent-loop.js";
import type { SimKernel } from "./sim-kernel.js";
import type { Link, Stream } from "./sim-registry.js";
import type { VirtualTime } from "./virtual-time.js";

/** One run of the agent's program. */
export interface SimProcess {
  readonly loop: AgentLoop;
  readonly link: Link;
  alive: boolean;
}

export interface SimNode {
  readonly name: NodeName;
  addresses: NodeAddresses;
  readonly kernel: SimKernel;
  readonly disk: Map<string, string>;
  keys: KeyFileReading;
  readonly keyWatchers: Set<(reading: KeyFileReading) => void>;
  agent: SimProcess | null;
  isPartitioned: boolean;
  readonly held: Set<Stream>;
  departed: boolean;
  /** The zero of its monotonic clock. */
  bootedAtMs: number;
  /** Incarnations of which a reboot or someone else took kernel state. */
  readonly lostIncarnations: Set<IncarnationId>;
  /** Key ids that its agent retired at a deadline. */
  readonly forcedKeyIds: Set<number>;
}

/** The incarnation on its disk, null before the first. */
export function storedIncarnation(node: SimNode): IncarnationId | null {
  const text = node.disk.get("state.json");
  return text === undefined ? null : ((JSON.parse(text) as DurableState).incarnation?.id ?? null);
}

export function endpointOf(node: SimNode): Endpoint {
  return { address: node.addresses.ipv4 ?? "", udpPort: node.addresses.udpPort };
}

export function keystoreOf(node: SimNode, time: VirtualTime, isAlive: () => boolean): KeystorePort {
  return {
    watch: (read) => {
      node.keyWatchers.add(read);
      time.at(time.nowMs, () => isAlive() && read(node.keys));
      return () => node.keyWatchers.delete(read);
    },
    forget: () => undefined,
  };
}

/** Saves are atomic and take `saveMs`; a process that dies meanwhile leaves the document before. */
export function storageOf(
  node: SimNode,
  time: VirtualTime,
  isAlive: () => boolean,
  saveMs: () => number,
): StoragePort {
  return {
    load: (name, done) => time.at(time.nowMs, () => isAlive() && done(succeed(node.disk.get(name) ?? null))),
    save: (name, text, done) => {
      time.at(time.nowMs + saveMs(), () => {
        if (!isAlive()) return;
        node.disk.set(name, text);
        done(succeed(null));
      });
    },
  };
}
