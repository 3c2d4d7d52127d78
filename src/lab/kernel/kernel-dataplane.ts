/**
 * One node on the kernel's dataplane: its network namespace, and the hosts in it that send and
 * receive UDP. Its agent is a program inside. A reboot takes the namespace away and plugs in a new
 * one. The kernel does not say which SA a packet got: it is the one that the outbound policy named
 * at the moment of sending, read from the kernel just before.
 */
import { endHolder, findHolders } from "../../adapters/netlink/decapsulation.js";
import { openXfrmStat, type XfrmStat } from "../../adapters/netlink/xfrm-stat.js";
import { systemClock } from "../../adapters/system/clock.js";
import type { AddressFamily, IpsecMode } from "../../core/node.js";
import type { Endpoint } from "../../core/sa.js";
import type { XfrmCounterName, XfrmCounters } from "../../core/xfrm-counters.js";
import type { DataplaneSections, NodeDataplane } from "../fleet/node-dataplane.js";
import type { CountedDrops } from "../ledger/counted-drops.js";
import type { Ledger } from "../ledger/ledger.js";
import type { Outage } from "../ledger/losses.js";
import type { NetworkNamespace } from "../network/namespace.js";
import type { Encapsulation } from "../options.js";
import { socketAddress, type DatagramSocket, type SocketAddress } from "../network/sockets.js";
import { addressesOf, networksOf } from "../network/switch.js";
import { readPayload, writePayload } from "../traffic/payload.js";
import { dueTimes, type TrafficPeer, type TrafficPlan } from "../traffic/source.js";
import type { KernelNetwork } from "./kernel-network.js";
import { PolicyFollower, type Seal } from "./policy-follower.js";

export interface KernelDataplaneOptions {
  readonly node: number;
  readonly name: string;
  readonly family: AddressFamily;
  readonly encapsulation: Encapsulation;
  readonly ipsecMode: IpsecMode;
  readonly network: KernelNetwork;
  readonly ledger: Ledger;
  readonly drops: CountedDrops;
  readonly provesPaths: boolean;
  readonly newInstance: () => number;
  readonly opened: (receiver: number) => void;
  readonly outage: (outage: Outage) => void;
}

/** What lives as long as the namespace. */
interface Life {
  readonly instance: number;
  readonly namespace: NetworkNamespace;
  readonly socket: DatagramSocket;
  readonly policies: PolicyFollower;
  readonly stat: XfrmStat;
  readonly streams: Stream[];
  countedMs: number;
}

interface Stream extends TrafficPeer {
  readonly to: SocketAddress;
  /** By which the policy for it is found. */
  readonly selected: string;
  /** Null until the policy lets packets out encrypted. */
  dueMs: number | null;
  sequence: number;
  /** What seals its packets, and how many it has sealed. */
  seal: Seal | null;
  sealed: number;
}

/** The hosts of every node use it. */
export const trafficPort = 5_000;
const countEveryMs = 40;
/** EPERM: a policy blocks. */
const notPermitted = 1;

export class KernelDataplane implements NodeDataplane {
  readonly #options: KernelDataplaneOptions;
  /** The node's, and that of the host behind it, which in transport mode is the same. */
  readonly #address: string;
  readonly #host: string;
  #life: Life | null = null;
  #plan: Omit<TrafficPlan, "instance"> | null = null;

  constructor(options: KernelDataplaneOptions) {
    this.#options = options;
    const { node, family, ipsecMode } = options;
    this.#address = addressesOf(node)[family];
    this.#host = ipsecMode === "tunnel" ? networksOf(node)[family].host : this.#address;
  }

  get run(): number | null {
    return this.#life?.instance ?? null;
  }

  get sections(): Promise<DataplaneSections> {
    const { node, family, encapsulation, ipsecMode, provesPaths: provePaths } = this.#options;
    const addresses = { [family]: this.#address };
    const cidrs = ipsecMode === "tunnel" ? { cidrs: [networksOf(node)[family].cidr] } : {};
    return Promise.resolve({ node: { addresses, ...cidrs }, dataplane: { kind: "kernel", encapsulation, ipsecMode, provePaths } });
  }

  get endpoint(): Promise<Endpoint> {
    return Promise.resolve({ address: this.#host, udpPort: null });
  }

  start(): void {
    const { node, network, ledger, newInstance } = this.#options;
    const life = this.#begin(newInstance());
    this.#life = life;
    ledger.open({ node, instance: life.instance });
    this.#planStreams(life);
    network.add(this);
  }

  within<T>(run: () => T): T {
    return this.#life === null ? run() : this.#life.namespace.within(run);
  }

  send(plan: Omit<TrafficPlan, "instance">): void {
    this.#plan = plan;
    if (this.#life !== null) this.#planStreams(this.#life);
  }

  stopTraffic(): Promise<void> {
    this.#plan = null;
    if (this.#life !== null) {
      this.#life.streams.length = 0;
      this.#options.ledger.closeRun(this.#life.instance, systemClock.nowMs(), false);
    }
    return Promise.resolve();
  }

  counters(): Promise<XfrmCounters | null> {
    return Promise.resolve(this.#life?.stat.read() ?? null);
  }

  /** The hosts come back at once; the agent must be killed by whoever reboots. */
  reboot(): void {
    const old = this.#life;
    if (old === null) return;
    const { node, ledger, drops, outage } = this.#options;
    const fromMs = systemClock.nowMs();
    this.#end(old);
    ledger.closeRun(old.instance, fromMs, true);
    drops.forget(node);
    this.start();
    const nextInstance = this.run;
    outage({ node, instance: old.instance, fromMs, admittedMs: null, nextInstance });
  }

  stop(): Promise<void> {
    if (this.#life !== null) this.#end(this.#life);
    this.#life = null;
    return Promise.resolve();
  }

  /** What was read is told before what is sent, so nothing is ever told too early. */
  turn(nowMs: number): void {
    const life = this.#life;
    if (life === null) return;
    const { ledger } = this.#options;
    life.socket.receiveAll((content) => this.#receive(life, content));
    life.policies.catchUp();
    for (const stream of life.streams) this.#serve(life, stream, nowMs);
    if (nowMs >= life.countedMs + countEveryMs) this.#count(life, nowMs);
    ledger.toldUpTo(life.instance, nowMs);
  }

  #begin(instance: number): Life {
    const { node, name, family, network } = this.#options;
    const namespace = network.network.plug(node, name);
    return namespace.within(() => ({
      instance,
      namespace,
      socket: network.sockets.openDatagram(family, this.#host, trafficPort),
      policies: new PolicyFollower(network.libc),
      stat: openXfrmStat(),
      streams: [],
      countedMs: 0,
    }));
  }

  /**
   * The namespace goes with the network, or when the node is plugged in anew, and when nothing is in
   * it any more: an agent leaves the process that holds its UDP socket.
   */
  #end({ namespace, socket, policies, stat }: Life): void {
    for (const holder of namespace.within(findHolders)) endHolder(holder);
    for (const resource of [socket, policies, stat]) resource.close();
  }

  #planStreams({ streams }: Life): void {
    const peers = this.#plan?.peers ?? [];
    const { family, ipsecMode } = this.#options;
    streams.length = 0;
    for (const peer of peers) {
      const { address } = peer.endpoint;
      const to = socketAddress(family, address, trafficPort);
      const selected = ipsecMode === "tunnel" ? networksOf(peer.receiver)[family].first : address;
      streams.push({ ...peer, to, selected, dueMs: null, sequence: 0, seal: null, sealed: 0 });
    }
  }

  #serve(life: Life, stream: Stream, nowMs: number): void {
    const intervalMs = 1_000 / (this.#plan?.rate ?? 1);
    if (stream.dueMs !== null) {
      const { count, nextMs } = dueTimes(stream.dueMs, nowMs, intervalMs);
      for (let sent = 0; sent < count; sent += 1) this.#send(life, stream);
      stream.dueMs = nextMs;
    } else if (life.policies.sealTo(stream.selected) !== null) {
      stream.dueMs = nowMs + stream.phase * intervalMs;
      const { ledger, opened } = this.#options;
      const told = ledger.stream(life.instance, stream.receiver);
      if (told !== undefined) told.openedMs = nowMs;
      opened(stream.receiver);
    }
  }

  #send({ instance, policies, socket }: Life, stream: Stream): void {
    const { node, ledger } = this.#options;
    const { receiver, sequence } = stream;
    const sentMs = systemClock.nowMs();
    const payload = writePayload({ sender: node, receiver, instance, sequence, sentMs });
    const blocked = refusalOf(socket.send(payload, stream.to));
    stream.sequence += 1;
    const numbers = blocked === null ? countSealed(stream, policies) : { spi: 0, espSequence: 0 };
    ledger.sent(instance, { receiver, sequence, blocked, ...numbers, sentMs });
  }

  #receive({ instance }: Life, content: Buffer): void {
    const header = readPayload(content);
    if (header === null) return;
    const { receiver, sequence } = header;
    this.#options.ledger.received(instance, { instance: header.instance, receiver, sequence });
  }

  #count(life: Life, nowMs: number): void {
    life.countedMs = nowMs;
    this.#options.drops.read(this.#options.node, life.stat.read(), nowMs);
  }
}

/**
 * The kernel numbers an SA's packets for itself, all programs' together; the stream's own numbers
 * begin anew with each SA as well.
 */
function countSealed(stream: Stream, policies: PolicyFollower): { spi: number; espSequence: number } {
  const seal = policies.sealTo(stream.selected);
  if (seal !== stream.seal) [stream.seal, stream.sealed] = [seal, 0];
  stream.sealed += 1;
  return { spi: seal?.spi ?? 0, espSequence: stream.sealed };
}

/** Null for a packet that left. */
function refusalOf(errno: number): XfrmCounterName | null {
  if (errno === 0) return null;
  return errno === notPermitted ? "XfrmOutPolBlock" : "XfrmOutError";
}
