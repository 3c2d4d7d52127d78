/** What `spindle doctor` knows of a host before it judges anything. */
import type { AddressFamily, NodeAddresses } from "../../core/node.js";

export interface Facts {
  readonly platform: string;
  readonly kernel: string;
  /** CAP_NET_ADMIN; null where the system does not say. */
  readonly hasNetAdmin: boolean | null;
  /** An SA with our cipher was made and deleted. */
  readonly esp: Readonly<Record<AddressFamily, Attempt>>;
  readonly hasXfrmStat: boolean;
  /** Null when the kernel's tables cannot be read. */
  readonly tables: Tables | null;
  /** Names of running programs that are known to do IPsec. */
  readonly programs: readonly string[];
  readonly links: readonly Link[];
  /** Where `rp_filter` is strict. */
  readonly strictReversePath: readonly string[];
  /** From the agent's configuration, if it was given. */
  readonly node: NodeFacts | null;
  readonly peer: PeerFacts | null;
}

export type Attempt = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly message: string };

export interface Tables {
  readonly foreignSas: number;
  readonly foreignPolicies: number;
  /** SAs as Cilium makes them: reqid 1 and a mark. */
  readonly ciliumSas: number;
  /** Policies of others that cover traffic with the peer and come before ours. */
  readonly covering: readonly string[];
  readonly peerPackets: { readonly sent: number; readonly received: number } | null;
  /** The most used SA of ours, and how long its sequence numbers are. */
  readonly highest: { readonly spi: string; readonly sequence: number; readonly esn: boolean } | null;
}

export interface Link {
  readonly name: string;
  readonly mtu: number;
  /** `vxlan`, `geneve`, `bridge`, …; null for a plain device. */
  readonly kind: string | null;
  readonly isUp: boolean;
}

export interface NodeFacts {
  readonly addresses: NodeAddresses;
  /** Addresses of this host's devices, canonical. */
  readonly local: readonly string[];
  /** Another program has the UDP port of encapsulated ESP. */
  readonly isPortTaken: boolean;
}

export interface PeerFacts {
  readonly address: string;
  readonly udpPort: number | null;
  /** Null when nothing can be sent there: for want of a route, or because this host forbids it. */
  readonly path: PeerPath | null;
  readonly isForbidden: boolean;
}

export interface PeerPath {
  /** The address that packets to the peer leave from. */
  readonly source: string;
  readonly routeMtu: number;
  /** After a packet of full size; smaller where somebody on the way said so. */
  readonly pathMtu: number;
  /** To a UDP packet: `refused` came from the peer itself. */
  readonly answer: "none" | "refused" | "unreachable";
}
