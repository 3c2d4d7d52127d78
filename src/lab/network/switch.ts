/**
 * Nodes on one Ethernet: a namespace for each, joined by a bridge in a namespace of its own.
 *
 *   node-1            node-2            node-3
 *   eth0 198.18.0.1   eth0 198.18.0.2   eth0 198.18.0.3     (RFC 2544: for tests, never routed)
 *   lo   198.19.1.1   lo   198.19.2.1   lo   198.19.3.1     behind the nodes, for tunnel mode
 *    │ port-1          │ port-2          │ port-3
 *    └───────────── bridge ─────────────┘
 *
 * A node can be plugged in again: a host that was rebooted has a new namespace and its old address.
 */
import type { AddressFamily } from "../../core/node.js";
import { openNamespaces, type MakeNamespace, type NetworkNamespace } from "./namespace.js";

export interface NodeNetwork {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** The interface of every node. */
export const nodeInterface = "eth0";

export class Switch {
  readonly #make: MakeNamespace;
  readonly #hub: NetworkNamespace;
  readonly #nodes = new Map<number, NetworkNamespace>();

  private constructor(make: MakeNamespace) {
    this.#make = make;
    this.#hub = make("bridge");
  }

  /** @throws LabError LAB_NETWORK_UNAVAILABLE */
  static async open(): Promise<Switch> {
    const network = new Switch(await openNamespaces());
    try {
      network.#hub.ip(["link add bridge type bridge", "link set bridge up"]);
    } catch (cause) {
      network.close();
      throw cause;
    }
    return network;
  }

  /** Makes the node's namespace, anew if it had one, and plugs it in. @param node index from 0 */
  plug(node: number, name: string): NetworkNamespace {
    this.unplug(node);
    const namespace = this.#make(name);
    this.#nodes.set(node, namespace);
    const port = portOf(node);
    this.#hub.ip([
      `link add ${port} type veth peer name ${nodeInterface} address ${hardwareAddressOf(node)} netns ${namespace.path}`,
      `link set ${port} master bridge up`,
    ]);
    const { ipv4, ipv6 } = addressesOf(node);
    const behind = networksOf(node);
    namespace.ip([
      "link set lo up",
      `link set ${nodeInterface} up`,
      `address add ${ipv4}/16 dev ${nodeInterface}`,
      `address add ${ipv6}/64 dev ${nodeInterface} nodad`,
      `address add ${behind.ipv4.host}/24 dev lo`,
      `address add ${behind.ipv6.host}/64 dev lo nodad`,
    ]);
    return namespace;
  }

  /** Takes the node's cable away at once, also from programs that are still inside. */
  unplug(node: number): void {
    const namespace = this.#nodes.get(node);
    if (namespace === undefined) return;
    this.#nodes.delete(node);
    this.#hub.ip([`link delete ${portOf(node)}`]);
    namespace.close();
  }

  close(): void {
    for (const namespace of this.#nodes.values()) namespace.close();
    this.#nodes.clear();
    this.#hub.close();
  }
}

/** @param node index from 0 */
export function addressesOf(node: number): NodeNetwork {
  const number = node + 1;
  return { ipv4: `198.18.${number >> 8}.${number & 0xff}`, ipv6: `fd00:5350::${number.toString(16)}` };
}

/** What is behind a node, for tunnel mode: a host with an address in a network of its own. */
export interface NodeNetworks {
  readonly cidr: string;
  /** The first address of the network, and the host's. */
  readonly first: string;
  readonly host: string;
}

/** @param node index from 0 */
export function networksOf(node: number): Readonly<Record<AddressFamily, NodeNetworks>> {
  const number = node + 1;
  const [ipv4, ipv6] = [`198.19.${number}`, `fd00:5351:0:${number.toString(16)}::`];
  return {
    ipv4: { cidr: `${ipv4}.0/24`, first: `${ipv4}.0`, host: `${ipv4}.1` },
    ipv6: { cidr: `${ipv6}/64`, first: ipv6, host: `${ipv6}1` },
  };
}

/** The same after a reboot, as a host's is: its neighbours remember it. */
function hardwareAddressOf(node: number): string {
  const number = node + 1;
  const bytes = [0x02, 0, 0, 0, number >> 8, number & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function portOf(node: number): string {
  return `port-${node + 1}`;
}
