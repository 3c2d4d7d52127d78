/**
 * Traffic between the pairs of a simulated fleet, and the record of what was lost of it. A flow is looked at when a kernel
 * that it passes has changed, and as long as it loses; it is settled before its counts are read, and before what it meets
 * is replaced by what it meets from then on. It changes nothing but packet counters.
 */
import type { NodeName } from "../../core/node.js";
import type { PolicyLevel } from "../../core/policy-level.js";
import type { Prng } from "../../core/prng.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import { agreesOnPlain, isTakenAsBefore, packetsWithin, plain, receive, routeVia, settle, transitMs, type Flow, type Plain } from "./flow.js";
import { routesBetween, type Route, type SimNode } from "./host.js";
import { LossJudge, type Excuse, type LossWindow } from "./losses.js";
import type { SimRegistry } from "./registry.js";
import type { Remote, SimSa } from "./sa-table.js";

/** Where the packets are. */
export interface TrafficScene {
  /** Of `Flow`. */
  readonly isOpen: boolean;
  /** Of the nodes' configuration; the fleet's record goes before it. */
  readonly policyLevel: PolicyLevel;
  readonly time: VirtualTime;
  readonly registry: SimRegistry;
  node(name: NodeName): SimNode;
  live(): readonly NodeName[];
  peersOf(name: NodeName): readonly NodeName[];
}

export interface PacketCount {
  readonly sent: number;
  /** Sent, and had no time to arrive. */
  readonly onTheWay: number;
  readonly delivered: number;
  /** Kept back by a policy, lost or not. */
  readonly blocked: number;
}

/**
 * Most pairs are busy, some nearly silent: a drain must not live on the packets it happens to see. In between, packets
 * go as ever and can be lost, but leave no trace in the SAs' counters.
 */
const everyChoices = [1, 1, 7, 101, 1_009];

/** How often a flow that loses is looked at: what excuses it may change. */
const lookMsMax = 5;

export class Traffic {
  readonly #scene: TrafficScene;
  readonly #time: VirtualTime;
  readonly #registry: SimRegistry;
  readonly #judge: LossJudge;
  readonly #intervalMs: number;
  readonly #prng: Prng;
  #flows: readonly Flow[] = [];
  readonly #losing = new Set<Flow>();
  readonly #lost: LossWindow[] = [];
  /** Packets lost by the excuse or, without one, the counter. */
  readonly #lostBy = new Map<Excuse | XfrmCounterName, number>();
  #isRerouteDue = false;
  #isLookDue = false;
  #sent = 0;
  #delivered = 0;
  #blocked = 0;

  constructor(scene: TrafficScene, intervalMs: number, prng: Prng) {
    this.#scene = scene;
    this.#time = scene.time;
    this.#registry = scene.registry;
    this.#judge = new LossJudge(scene.time, scene.registry);
    this.#intervalMs = intervalMs;
    this.#prng = prng;
  }

  /** Windows of loss so far, in the order in which they were found. */
  get lost(): readonly LossWindow[] {
    this.#settleLosing();
    return this.#lost;
  }

  /** Packets lost so far, by the excuse or, without one, the counter. */
  get lostBy(): ReadonlyMap<Excuse | XfrmCounterName, number> {
    this.#settleLosing();
    return this.#lostBy;
  }

  /** All packets so far. Costs what there are flows. */
  count(): PacketCount {
    const { nowMs } = this.#time;
    let onTheWay = 0;
    for (const flow of this.#flows) {
      this.#settle(flow);
      const sends = flow.out !== null && typeof flow.out !== "string";
      if (sends) onTheWay += packetsWithin(nowMs - transitMs, nowMs, flow.phaseMs, this.#intervalMs);
    }
    return { sent: this.#sent, onTheWay, delivered: this.#delivered, blocked: this.#blocked };
  }

  /** Does each pair send? Costs what there are flows. */
  get isWhole(): boolean {
    return this.#flows.every(({ out }) => out !== null && typeof out !== "string");
  }

  /** To be called whenever a node came, went or got another address. */
  reroute(): void {
    if (this.#isRerouteDue) return;
    this.#isRerouteDue = true;
    this.#time.post(this.#time.nowMs, () => this.#makeFlows());
  }

  /** What is lost from here on is a new window. */
  cutWindows(): void {
    for (const flow of [...this.#losing]) {
      this.#settle(flow);
      flow.kept = null;
      flow.dropped = null;
      this.#judgeFlow(flow);
    }
  }

  /** A probe was dropped for want of an SA: a loss like that of any other packet. */
  loseProbe(flow: Flow, sa: SimSa): void {
    const { spi, key } = sa.spec;
    if (flow.to.kernel.isGarbled(spi)) return;
    const excuse = this.#judge.ofDropped(flow, sa) ?? null;
    const fromMs = this.#time.nowMs - transitMs;
    const reason = "XfrmInNoStates";
    this.#lost.push({ from: flow.from.name, to: flow.to.name, keyId: key.keyId, reason, excuse, fromMs, toMs: fromMs, packets: 1 });
  }

  settle(remotes: Iterable<Remote>): void {
    for (const { flowTo, flowFrom } of remotes) {
      if (flowTo !== null) this.#settle(flowTo);
      if (flowFrom !== null) this.#settle(flowFrom);
    }
  }

  changed(remotes: Iterable<Remote>): void {
    const turned: Flow[] = [];
    for (const { flowTo, flowFrom } of remotes) {
      if (flowTo !== null && this.#turn(flowTo)) turned.push(flowTo);
      if (flowTo !== null) this.#agree(flowTo);
      if (flowFrom !== null) this.#agree(flowFrom);
      if (flowFrom !== null && !isTakenAsBefore(flowFrom)) {
        this.#settle(flowFrom);
        this.#judgeDropped(flowFrom);
      }
    }
    this.#landLater(turned);
  }

  #agree(flow: Flow): void {
    const isAgreed = agreesOnPlain(flow);
    if (isAgreed === flow.isAgreed) return;
    this.#settle(flow);
    flow.isAgreed = isAgreed;
  }

  /** @returns does it send otherwise than before? */
  #turn(flow: Flow): boolean {
    const out = routeVia(flow.near, flow.local, flow.isOpen);
    if (out === flow.out) return false;
    this.#settle(flow);
    if (isSa(out)) flow.couldStay = this.#couldStay(flow);
    flow.out = out;
    this.#judgeKept(flow);
    return true;
  }

  #couldStay({ out }: Flow): boolean {
    const level = this.#registry.fleet?.levels?.level ?? this.#scene.policyLevel;
    return out === plain ? level === "prefer" : isSa(out) && !this.#registry.hadEmergency;
  }

  /** What was sent before these flows turned is still on its way. */
  #landLater(flows: readonly Flow[]): void {
    if (flows.length === 0) return;
    const sent = flows.map(({ out }) => (typeof out === "string" ? null : out));
    this.#time.post(this.#time.nowMs + transitMs, () => {
      for (const [i, flow] of flows.entries()) this.#land(flow, sent[i] ?? null);
    });
  }

  #land(flow: Flow, arriving: SimSa | Plain | null): void {
    this.#settle(flow);
    if (flow.arriving !== arriving) flow.verdict = null;
    flow.arriving = arriving;
    this.#judgeDropped(flow);
  }

  #settle(flow: Flow): void {
    const { nowMs } = this.#time;
    if (flow.settledMs === nowMs) return;
    const { sent, arrived } = settle(flow, nowMs, this.#intervalMs);
    const { out, verdict } = flow;
    if (typeof out === "string") {
      this.#blocked += sent;
      flow.from.kernel.count(out, sent);
      if (flow.kept !== null) this.#stretch(flow.kept, nowMs, sent);
    } else {
      this.#sent += sent;
    }
    if (typeof verdict === "string") {
      flow.to.kernel.count(verdict, arrived);
      if (flow.dropped !== null) this.#stretch(flow.dropped, nowMs - transitMs, arrived);
    } else if (verdict !== null) {
      this.#delivered += arrived;
      if (!flow.isProven) this.#prove(flow, verdict);
    }
  }

  #stretch(window: LossWindow, toMs: number, packets: number): void {
    const isFirst = window.toMs === window.fromMs && toMs > window.fromMs;
    window.toMs = Math.max(window.toMs, toMs);
    window.packets += packets;
    if (isFirst) this.#lost.push(window);
    const why = window.excuse ?? window.reason;
    this.#lostBy.set(why, (this.#lostBy.get(why) ?? 0) + packets);
  }

  #prove(flow: Flow, verdict: SimSa | Plain): void {
    const from = this.#registry.entry(flow.from.name);
    const to = this.#registry.entry(flow.to.name);
    if (verdict === plain) {
      if (from === undefined || to === undefined || !this.#judge.isPlainPair(flow, from, to)) return;
      flow.isProven = true;
      flow.provenFor = { from: from.revision, to: to.revision };
      return;
    }
    flow.isProven = true;
    const { key } = verdict.spec;
    const isPresent = from?.incarnationId === key.from.incarnationId && to?.incarnationId === key.to.incarnationId;
    if (isPresent) flow.provenFor = { from: from.revision, to: to.revision };
  }

  #judgeFlow(flow: Flow): void {
    this.#judgeKept(flow);
    this.#judgeDropped(flow);
  }

  #judgeKept(flow: Flow): void {
    const { out } = flow;
    const excuse = typeof out === "string" ? this.#judge.ofKept(flow, out) : undefined;
    if (typeof out !== "string" || excuse === undefined) flow.kept = null;
    else flow.kept = this.#windowOf(flow, flow.kept, out, 0, excuse, this.#time.nowMs);
    this.#mark(flow);
  }

  #judgeDropped(flow: Flow): void {
    const { arriving } = flow;
    const before = flow.verdict;
    const verdict = arriving === null ? null : receive(flow, arriving);
    flow.verdict = verdict;
    if (verdict !== before) flow.isProven = false;
    const isLost = arriving !== null && typeof verdict === "string";
    const excuse = isLost ? this.#judge.ofDropped(flow, arriving) : undefined;
    if (!isLost || excuse === undefined) flow.dropped = null;
    else {
      const sentMs = this.#time.nowMs - transitMs;
      const keyId = arriving === plain ? 0 : arriving.spec.key.keyId;
      flow.dropped = this.#windowOf(flow, flow.dropped, verdict, keyId, excuse, sentMs);
    }
    this.#mark(flow);
  }

  /** The window that is open, if it is of the same kind. */
  #windowOf(
    flow: Flow,
    open: LossWindow | null,
    reason: XfrmCounterName,
    keyId: number,
    excuse: Excuse | null,
    fromMs: number,
  ): LossWindow {
    if (open?.reason === reason && open.keyId === keyId && open.excuse === excuse) return open;
    return { from: flow.from.name, to: flow.to.name, keyId, reason, excuse, fromMs, toMs: fromMs, packets: 0 };
  }

  #mark(flow: Flow): void {
    if (flow.kept === null && flow.dropped === null) {
      if (this.#losing.size > 0) this.#losing.delete(flow);
      return;
    }
    this.#losing.add(flow);
    if (this.#isLookDue) return;
    this.#isLookDue = true;
    this.#time.post(this.#time.nowMs + Math.min(this.#intervalMs, lookMsMax), () => this.#lookAtLosing());
  }

  #lookAtLosing(): void {
    this.#isLookDue = false;
    for (const flow of [...this.#losing]) {
      this.#settle(flow);
      this.#judgeFlow(flow);
    }
  }

  #settleLosing(): void {
    for (const flow of this.#losing) this.#settle(flow);
  }

  /** Flows whose ends are as before go on. */
  #makeFlows(): void {
    this.#isRerouteDue = false;
    const scene = this.#scene;
    const before = new Set(this.#flows);
    this.#flows = scene.live().flatMap((name) => {
      const from = scene.node(name);
      from.kernel.paths = this;
      const peers = scene.peersOf(name).map((peer) => scene.node(peer));
      return peers.flatMap((to) => routesBetween(from, to).map((route) => this.#flowOf(from, to, route, before)));
    });
    for (const flow of before) this.#end(flow);
  }

  /** Takes the flow that it goes on with from those that were before. */
  #flowOf(from: SimNode, to: SimNode, route: Route, before: Set<Flow>): Flow {
    const { local, remote } = route;
    const near = from.kernel.recordOf(route.near);
    const far = to.kernel.recordOf(route.far);
    const old = near.flowTo?.to === to ? near.flowTo : null;
    if (old?.far === far && old.local === local && old.remote === remote && before.delete(old)) return old;
    if (near.flowTo !== null && before.delete(near.flowTo)) this.#end(near.flowTo);
    if (route.near.local !== undefined) {
      from.kernel.carry(near, remote);
      to.kernel.carry(far, local);
    }
    return this.#begin(from, to, { local, remote }, near, far, old?.provenFor ?? null);
  }

  #begin(from: SimNode, to: SimNode, { local, remote }: Pick<Route, "local" | "remote">, near: Remote, far: Remote, provenFor: Flow["provenFor"]): Flow {
    const flow: Flow = {
      from,
      to,
      local,
      remote,
      near,
      far,
      isOpen: this.#scene.isOpen,
      phaseMs: this.#prng.share() * this.#intervalMs,
      everyPackets: everyChoices[this.#prng.below(everyChoices.length)] ?? 1,
      out: null,
      arriving: null,
      verdict: null,
      settledMs: this.#time.nowMs,
      isAgreed: false,
      isProven: false,
      provenFor,
      couldStay: false,
      kept: null,
      dropped: null,
    };
    flow.isAgreed = agreesOnPlain(flow);
    near.flowTo = flow;
    far.flowFrom = flow;
    if (this.#turn(flow)) this.#landLater([flow]);
    return flow;
  }

  /** Sends no more; what is on its way arrives. */
  #end(flow: Flow): void {
    this.#settle(flow);
    const { near, far } = flow;
    if (near.flowTo === flow) near.flowTo = null;
    if (far.flowFrom === flow) far.flowFrom = null;
    flow.out = null;
    flow.kept = null;
    this.#landLater([flow]);
    this.#mark(flow);
    flow.from.kernel.tidy(near);
    flow.to.kernel.tidy(far);
  }
}

function isSa(out: Flow["out"]): boolean {
  return out !== null && typeof out === "object";
}
