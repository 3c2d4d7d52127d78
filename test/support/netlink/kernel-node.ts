/** A node with the kernel's dataplane in a namespace, and the operations between it and a peer. */
import type { KeyId } from "../../../src/core/key-id.js";
import { limits } from "../../../src/core/limits.js";
import type { IncarnationId, NodeAddresses, NodeName } from "../../../src/core/node.js";
import type {
  KeyEnd,
  KeyRef,
  Operation,
  PolicyAction,
  PolicySpec,
  SaSlot,
  SaSpec,
} from "../../../src/core/sa.js";
import { makeSpi, splitSpi, type IncarnationNumber, type NodeIndex, type Spi } from "../../../src/core/spi.js";
import { Keyring, makeCandidate } from "../../../src/adapters/crypto/keyring.js";
import { NetlinkKernel } from "../../../src/adapters/netlink/kernel-port.js";
import { defaultOwnership } from "../../../src/adapters/netlink/kernel/ownership.js";
import type { Guard } from "../../../src/adapters/netlink/kernel/guard.js";
import { here } from "../../../src/adapters/netlink/probe/sockets.js";
import { loadLibc } from "../../../src/adapters/netlink/socket/libc.js";
import type { Family } from "../../../src/adapters/netlink/codec/model.js";
import type { ApplyOutcome, KernelDump, Recognise } from "../../../src/ports/kernel.js";
import type { Log } from "../../../src/ports/log.js";
import type { Done } from "../../../src/ports/failure.js";
import type { Namespace } from "./namespace.js";

export interface KernelNode {
  readonly end: KeyEnd;
  readonly addresses: NodeAddresses & { readonly ipv4: string; readonly ipv6: string };
  readonly keyring: Keyring;
  readonly kernel: NetlinkKernel;
  /** Messages of the kernel port's log, unless it was given another. */
  readonly said: readonly string[];
}

export interface KernelNodeOptions {
  readonly log?: Log | null;
  readonly guard?: Guard | null;
  readonly isGuarded?: boolean;
  readonly besideCilium?: boolean;
  readonly probePort?: number;
  /** Of ESP in UDP; null for plain ESP. */
  readonly udpPort?: number | null;
  /** Tunnel mode: the networks behind the node. */
  readonly cidrs?: readonly string[];
}

/** @param namespace null for the one that the process is in */
export async function makeKernelNode(
  index: number,
  ends: Record<Family, string>,
  namespace: Namespace | null = null,
  {
    log = null,
    guard = null,
    isGuarded = true,
    udpPort = null,
    besideCilium = false,
    probePort = limits.probePortDefault,
    cidrs,
  }: KernelNodeOptions = {},
): Promise<KernelNode> {
  const libc = await loadLibc();
  const keyring = new Keyring();
  const addresses = { ...ends, udpPort, ...(cidrs === undefined ? {} : { cidrs }) };
  const local = { addresses, ownership: defaultOwnership, replayWindow: 1_024, probePort, guard };
  const said: string[] = [];
  const own: Log = { write: (_level, message) => void said.push(message) };
  const within = namespace?.within ?? here;
  const make = (): NetlinkKernel => {
    const kernel = new NetlinkKernel(libc, { local, keySource: keyring, log: log ?? own, besideCilium, isGuarded, within });
    kernel.holdSockets();
    return kernel;
  };
  return {
    end: {
      name: `node-${index}` as NodeName,
      index: index as NodeIndex,
      incarnationId: `${index}`.padStart(32, "0") as IncarnationId,
    },
    addresses,
    keyring,
    said,
    kernel: namespace === null ? make() : namespace.within(make),
  };
}

/** The fleet key of an id: the same on every node, others for another `seed`. */
export function giveKey({ keyring }: KernelNode, keyId: number, seed = 0): void {
  const bytes = Uint8Array.from({ length: 20 }, (_, i) => (keyId * 31 + i * 7 + seed) & 0xff);
  keyring.offer(makeCandidate(keyId as KeyId, { kind: "aead", algorithm: "rfc4106(gcm(aes))", bytes, icvBits: 128 }));
}

export function spiOf(keyId: number, { end }: KernelNode): Spi {
  return makeSpi({ keyId: keyId as KeyId, index: end.index, number: 1 as IncarnationNumber });
}

function keyRef(keyId: number, from: KernelNode, to: KernelNode, family: Family): KeyRef {
  return { keyId: keyId as KeyId, from: from.end, to: to.end, family, mode: "transport" };
}

/** The SA between two nodes, as seen from the end that `direction` names. */
export function saSpec(
  direction: "in" | "out",
  keyId: number,
  from: KernelNode,
  to: KernelNode,
  family: Family = "ipv4",
): SaSpec {
  return {
    direction,
    spi: spiOf(keyId, from),
    source: { address: from.addresses[family], udpPort: from.addresses.udpPort },
    destination: { address: to.addresses[family], udpPort: to.addresses.udpPort },
    key: keyRef(keyId, from, to, family),
  };
}

export const install = (sa: SaSpec): Operation => ({ kind: "install-sa", sa });

export function setPolicy(
  direction: "in" | "out",
  peer: KernelNode,
  action: PolicyAction,
  family: Family = "ipv4",
): Operation {
  const remote = { address: peer.addresses[family], udpPort: peer.addresses.udpPort };
  const policy: PolicySpec = { direction, peer: peer.end.name, family, remote, action };
  return { kind: "set-policy", policy };
}

/** Knows the SAs of two nodes by the sender in their SPI. */
export function recogniser(here: KernelNode, peer: KernelNode): Recognise {
  return ({ direction, spi, remote }: SaSlot) => {
    const { keyId, index } = splitSpi(spi);
    const [from, to] = direction === "in" ? [peer, here] : [here, peer];
    const family = remote.address.includes(":") ? "ipv6" : "ipv4";
    return index === from.end.index ? keyRef(keyId, from, to, family) : null;
  };
}

export function apply(
  { kernel }: KernelNode,
  stages: readonly (readonly Operation[])[],
  recognise: Recognise,
): Promise<ApplyOutcome> {
  return settled((done) => kernel.apply(stages, recognise, done));
}

export function dump({ kernel }: KernelNode, recognise: Recognise): Promise<KernelDump> {
  return settled((done) => kernel.dump(recognise, done));
}

function settled<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    start((result) =>
      result.ok ? resolve(result.value) : reject(new Error(`${result.error.code}: ${result.error.message}`)),
    ),
  );
}
