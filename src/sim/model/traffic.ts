/**
 * Traffic between the pairs of a simulated fleet, and the verdict on every packet that did not arrive: excused with a
 * reason that S1 names, or a loss. A packet that a policy keeps back counts only when this pair, in these lifetimes,
 * had been able to send before. It changes nothing but packet counters.
 */
import type { NodeName } from "../../core/node.js";
import type { Prng } from "../../core/prng.js";
import { saSlotOf } from "../../core/sa.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import type { SimSa } from "./kernel.js";
import { routesBetween, type Route, type SimNode } from "./host.js";
import type { SimRegistry } from "./registry.js";
import type { VirtualTime } from "../engine/virtual-time.js";

/**
 * - peer-down: sent to a lifetime that had lost its state, by a sender that could not know yet
 * - departed: to or from a node that left, or its address, by a sender that could not know yet
 * - excluded: to or from a node that the fleet record excludes
 * - forced: with a key that one end had retired at its deadline
 * - tampered: someone else deleted the SA
 */
export type Excuse = "peer-down" | "departed" | "excluded" | "forced" | "tampered";

export interface LostPacket {
  readonly from: NodeName;
  readonly to: NodeName;
  readonly sentAtMs: number;
  /** 0 for a packet that a policy kept back. */
  readonly keyId: number;
  readonly reason: XfrmCounterName;
  readonly excuse: Excuse | null;
}

/** One pair and address family, with what its last packet met: valid while neither kernel has changed. */
interface Flow {
  readonly from: SimNode;
  readonly to: SimNode;
  readonly route: Route;
  /** Every how many intervals a packet is counted by the SAs that it passes. */
  readonly everyTicks: number;
  outVersion: number;
  out: SimSa | XfrmCounterName;
  inVersion: number;
  inFor: SimSa | null;
  in: SimSa | XfrmCounterName;
}

interface Packet {
  readonly flow: Flow;
  readonly sa: SimSa;
  readonly isCounted: boolean;
}

/**
 * Most pairs are busy, some nearly silent: a drain must not live on the packets it happens to see. In between, packets
 * go as ever and can be lost, but leave no trace in the SAs' counters.
 */
const tickChoices = [1, 1, 7, 101, 1_009];

export const transitMs = 1;

/** Reads a dump, saves its intent and programs a block: a bound on how long that takes here. */
const reactionMs = 150;
/** The same after the record that counts a node again has reached both ends, each behind the slowest registry. */
const returnMs = 2 * reactionMs;

/** Where the packets are. */
export interface TrafficScene {
  readonly time: VirtualTime;
  readonly registry: SimRegistry;
  node(name: NodeName): SimNode;
  live(): readonly NodeName[];
  peersOf(name: NodeName): readonly NodeName[];
}

export class Traffic {
  readonly #scene: TrafficScene;
  readonly #time: VirtualTime;
  readonly #registry: SimRegistry;
  readonly #intervalMs: number;
  readonly #prng: Prng;
  #tick = 0;
  #flows: readonly Flow[] = [];
  #isRouted = false;
  /** Paths that have delivered a packet, by the roster revisions of their ends. */
  readonly #established = new Set<string>();
  readonly #firstSeenMs = new Map<string, number>();
  /** When a lost packet of each node was last excused by its exclusion. */
  readonly #excludedMs = new Map<NodeName, number>();
  readonly lost: LostPacket[] = [];
  sent = 0;
  delivered = 0;
  /** Kept back by a policy, lost or not. */
  blocked = 0;

  constructor(scene: TrafficScene, intervalMs: number, prng: Prng) {
    this.#scene = scene;
    this.#time = scene.time;
    this.#registry = scene.registry;
    this.#intervalMs = intervalMs;
    this.#prng = prng;
    this.#send();
  }

  /** To be called whenever a node came, went or got another address. */
  reroute(): void {
    this.#isRouted = false;
  }

  #makeFlows(): void {
    this.#isRouted = true;
    const scene = this.#scene;
    this.#flows = scene.live().flatMap((name) => {
      const from = scene.node(name);
      const peers = scene.peersOf(name).map((peer) => scene.node(peer));
      return peers.flatMap((to) => routesBetween(from, to).map((route) => this.#flow(from, to, route)));
    });
  }

  #flow(from: SimNode, to: SimNode, route: Route): Flow {
    const everyTicks = tickChoices[this.#prng.below(tickChoices.length)] ?? 1;
    const unknown = { outVersion: -1, out: "XfrmOutPolBlock", inVersion: -1, inFor: null, in: "XfrmInNoStates" } as const;
    return { from, to, route, everyTicks, ...unknown };
  }

  /** One packet per pair and interval. */
  #send(): void {
    const sent: Packet[] = [];
    this.#tick += 1;
    if (!this.#isRouted) this.#makeFlows();
    for (const flow of this.#flows) {
      const sa = this.#routeOf(flow);
      if (typeof sa === "string") this.#keepBack(flow, sa);
      else {
        const isCounted = this.#tick % flow.everyTicks === 0;
        if (isCounted) sa.packets += 1;
        sent.push({ flow, sa, isCounted });
      }
    }
    this.sent += sent.length;
    const sentAtMs = this.#time.nowMs;
    this.#time.at(sentAtMs + transitMs, () => {
      for (const packet of sent) this.#receive(packet, sentAtMs);
    });
    this.#time.at(sentAtMs + this.#intervalMs, () => this.#send());
  }

  #routeOf(flow: Flow): Flow["out"] {
    const { kernel } = flow.from;
    if (flow.outVersion !== kernel.version) {
      flow.out = kernel.route(flow.route);
      flow.outVersion = kernel.version;
    }
    return flow.out;
  }

  #receive({ flow, sa, isCounted }: Packet, sentAtMs: number): void {
    const { kernel } = flow.to;
    if (flow.inVersion !== kernel.version || flow.inFor !== sa) {
      flow.in = kernel.accept(sa, flow.route.local);
      flow.inVersion = kernel.version;
      flow.inFor = sa;
      if (typeof flow.in !== "string") {
        flow.in.follows = sa;
        this.#establish(flow, sa);
      }
    }
    if (typeof flow.in === "string") {
      kernel.count(flow.in);
      this.#lose(flow, flow.in, sa, sentAtMs, this.#excuseOf(flow, sa));
      return;
    }
    if (isCounted) flow.in.packets += 1;
    this.delivered += 1;
  }

  #establish(flow: Flow, sa: SimSa): void {
    const from = this.#registry.entry(flow.from.name);
    const to = this.#registry.entry(flow.to.name);
    const isPresent =
      from?.incarnationId === sa.spec.key.from.incarnationId && to?.incarnationId === sa.spec.key.to.incarnationId;
    if (isPresent) this.#established.add(`${from.revision} ${to.revision} ${flow.route.remote.address}`);
  }

  #keepBack(flow: Flow, reason: XfrmCounterName): void {
    flow.from.kernel.count(reason);
    this.blocked += 1;
    const from = this.#registry.entry(flow.from.name);
    const to = this.#registry.entry(flow.to.name);
    const had = this.#established.has(`${from?.revision ?? 0} ${to?.revision ?? 0} ${flow.route.remote.address}`);
    if (reason === "XfrmOutPolBlock" && !had) return;
    const isDown =
      flow.from.lostIncarnations.has(from?.incarnationId ?? noIncarnation) ||
      flow.to.lostIncarnations.has(to?.incarnationId ?? noIncarnation);
    this.#lose(flow, reason, null, this.#time.nowMs, isDown ? "peer-down" : this.#fleetExcuse(flow, null));
  }

  #lose(flow: Flow, reason: XfrmCounterName, sa: SimSa | null, sentAtMs: number, excuse: Excuse | null): void {
    const keyId = sa?.spec.key.keyId ?? 0;
    this.lost.push({ from: flow.from.name, to: flow.to.name, sentAtMs, keyId, reason, excuse });
  }

  #excuseOf(flow: Flow, sa: SimSa): Excuse | null {
    const { from, to, route } = flow;
    if (from.departed || to.departed) return "departed";
    if (to.kernel.isTampered({ ...saSlotOf(sa.spec), direction: "in", remote: route.local })) return "tampered";
    const meant = sa.spec.key.to;
    const isUnaware = !this.#hadTime(from, meant.name, meant.incarnationId);
    if (meant.name !== to.name && isUnaware) return "departed";
    if (to.lostIncarnations.has(meant.incarnationId) && isUnaware) return "peer-down";
    return this.#fleetExcuse(flow, sa.spec.key.keyId);
  }

  #fleetExcuse({ from, to }: Flow, keyId: number | null): Excuse | null {
    const isForced = (node: SimNode): boolean =>
      keyId === null ? node.forcedKeyIds.size > 0 : node.forcedKeyIds.has(keyId);
    if (isForced(from) || isForced(to)) return "forced";
    return this.#isExcluded(from.name) || this.#isExcluded(to.name) ? "excluded" : null;
  }

  /** Excluded by the record, or until a moment ago: both ends must hear of its return and act on it. */
  #isExcluded(name: NodeName): boolean {
    const { nowMs } = this.#time;
    const excluded = this.#registry.fleet?.excluded ?? [];
    if (excluded.some((one) => one.name === name)) this.#excludedMs.set(name, nowMs);
    const lastMs = this.#excludedMs.get(name);
    return lastMs !== undefined && nowMs - lastMs <= returnMs;
  }

  /** Has `from` seen, long enough to act on it, that this lifetime of `name` is over? Not while its kernel fails it or its disk is slow. */
  #hadTime(from: SimNode, name: NodeName, incarnationId: string): boolean {
    const world = from.agent?.loop.inspect()?.world;
    const key = `${from.name} ${name} ${incarnationId}`;
    if (world?.roster.complete !== true || world.heldBack.has(name) || from.disk.isBusy) {
      this.#firstSeenMs.delete(key);
      return false;
    }
    if (world.roster.entries.get(name)?.incarnationId === incarnationId) return false;
    const sinceMs = this.#firstSeenMs.get(key) ?? this.#time.nowMs;
    this.#firstSeenMs.set(key, sinceMs);
    return this.#time.nowMs - sinceMs >= reactionMs;
  }
}

const noIncarnation = "" as never;
