/** What `spindle doctor` knows of a host before it judges anything. */
import type { AddressFamily, NodeAddresses } from "../../core/node.js";
import type { LinkFacts } from "../../adapters/netlink/route/attached-codec.js";
import type { Ruleset } from "./ruleset.js";

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
  /** False in a container with process ids of its own. */
  readonly seesAllPrograms: boolean;
  /** Null where the kernel does not say. */
  readonly isClockSynchronised: boolean | null;
  readonly links: readonly Link[];
  readonly attached: AttachedPrograms;
  readonly firewall: Firewall;
  /** Where `rp_filter` is strict; null where that cannot be read. */
  readonly strictReversePath: readonly string[] | null;
  /** Packets that it dropped in this network namespace; null where the kernel does not count them. */
  readonly reversePathDrops: number | null;
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

/** What sees packets before XFRM, or after it; null where it cannot be listed. */
export interface AttachedPrograms {
  /** XDP programs, and filters of traffic control. */
  readonly listed: readonly AttachedProgram[] | null;
  /** Programs attached by TCX, which netlink does not list: device, and how many. */
  readonly tcx: readonly { readonly device: string; readonly count: number }[] | null;
}

export interface AttachedProgram {
  readonly device: string;
  readonly kind: "xdp" | "tc";
  /** The number of an XDP program; kind and name of a filter. */
  readonly name: string;
  /** The device carries it out itself. */
  readonly isInHardware: boolean;
}

/** Rules of nftables, `iptables-nft` included. */
export type Firewall =
  | { readonly kind: "unread"; readonly why: string }
  | {
      readonly kind: "read";
      readonly ruleset: Ruleset;
      /** Tables of iptables' older kind, which nftables does not show. */
      readonly legacyTables: readonly string[];
    };

/** A device of the network namespace. */
export type Link = Pick<LinkFacts, "name" | "mtu" | "kind" | "isUp">;

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
  readonly probe: AgentProbe;
}

/** Of the agent of this host, under the key that packets to the peer go with. */
export type AgentProbe =
  | { readonly kind: "answered"; readonly keyId: number; readonly roundTripMs: number }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "unknown"; readonly why: string };

export interface PeerPath {
  /** The address that packets to the peer leave from. */
  readonly source: string;
  readonly routeMtu: number;
  /** After a packet of full size; smaller where somebody on the way said so. */
  readonly pathMtu: number;
  /** To a UDP packet: `refused` came from the peer itself. */
  readonly answer: "none" | "refused" | "unreachable";
}
