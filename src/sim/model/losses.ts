/**
 * What was lost, and the verdict on it: excused with a reason that S1 names, or a loss. A loss is a window of time in which
 * one flow loses whatever is sent: also one that was too short to meet a packet, as another time it will meet one.
 */
import type { IncarnationId, NodeName, RosterEntry } from "../../core/node.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import { plain, type Flow, type Plain } from "./flow.js";
import type { SimNode } from "./host.js";
import type { SimRegistry } from "./registry.js";
import type { SimSa } from "./sa-table.js";

/**
 * - peer-down: sent to a lifetime that had lost its state, by a sender that could not know yet
 * - departed: to or from a node that left, or its address, by a sender that could not know yet
 * - excluded: to or from a node that the fleet record excludes
 * - forced: with a key that one end had retired at its deadline
 * - tampered: someone else deleted the SA
 * - garbled: something on the path damages packets of this SA, and the sender had nothing else to send with
 */
export type Excuse = "peer-down" | "departed" | "excluded" | "forced" | "tampered" | "garbled";

export interface LossWindow {
  readonly from: NodeName;
  readonly to: NodeName;
  /** 0 for packets that a policy kept back, and for plain ones. */
  readonly keyId: number;
  readonly reason: XfrmCounterName;
  readonly excuse: Excuse | null;
  /** When the first and the last of it were or would have been sent. */
  readonly fromMs: number;
  toMs: number;
  /** Those that were sent within. */
  packets: number;
}

export function packetsOf(windows: readonly LossWindow[]): number {
  return windows.reduce((sum, { packets }) => sum + packets, 0);
}

/** When the first of them begins and the last one ends; null without any. */
export function spanOf(windows: readonly LossWindow[]): { readonly fromMs: number; readonly toMs: number } | null {
  if (windows.length === 0) return null;
  const fromMs = windows.reduce((least, window) => Math.min(least, window.fromMs), Infinity);
  const toMs = windows.reduce((most, window) => Math.max(most, window.toMs), -Infinity);
  return { fromMs, toMs };
}

/** Reads a dump, saves its intent and programs a block: a bound on how long that takes here. */
const reactionMs = 150;
/** The same after the record that counts a node again has reached both ends, each behind the slowest registry. */
const returnMs = 2 * reactionMs;

/** Says what excuses a loss at the present moment. */
export class LossJudge {
  readonly #time: VirtualTime;
  readonly #registry: SimRegistry;
  readonly #firstSeenMs = new Map<string, number>();
  /** When a lost packet of each node was last excused by its exclusion. */
  readonly #excludedMs = new Map<NodeName, number>();

  constructor(time: VirtualTime, registry: SimRegistry) {
    this.#time = time;
    this.#registry = registry;
  }

  /**
   * Packets that a policy keeps back are lost only when this pair, in these lifetimes, had been able to send before.
   * @returns undefined when they are not
   */
  ofKept(flow: Flow, reason: XfrmCounterName): Excuse | null | undefined {
    const from = this.#registry.entry(flow.from.name);
    const to = this.#registry.entry(flow.to.name);
    const { provenFor } = flow;
    const had = provenFor !== null && provenFor.from === from?.revision && provenFor.to === to?.revision;
    if (reason === "XfrmOutPolBlock" && !had) return undefined;
    const isDown =
      (from !== undefined && flow.from.lostIncarnations.has(from.incarnationId)) ||
      (to !== undefined && flow.to.lostIncarnations.has(to.incarnationId));
    return isDown ? "peer-down" : this.#fleetExcuse(flow, null);
  }

  /**
   * Packets that were sent with `sa`, and that the receiver drops. Plain ones are lost as those that were kept back are.
   * @returns undefined when they are not
   */
  ofDropped(flow: Flow, sa: SimSa | Plain): Excuse | null | undefined {
    const { from, to, local } = flow;
    if (from.departed || to.departed) return "departed";
    if (sa === plain) return this.ofKept(flow, "XfrmOutPolBlock");
    if (to.kernel.isGarbled(sa.spec.spi) && !flow.couldStay) return "garbled";
    if (to.kernel.isTampered({ direction: "in", spi: sa.spec.spi, remote: local })) return "tampered";
    const meant = sa.spec.key.to;
    const isUnaware = !this.#hadTime(from, meant.name, meant.incarnationId);
    if (meant.name !== to.name && isUnaware) return "departed";
    if (to.lostIncarnations.has(meant.incarnationId) && isUnaware) return "peer-down";
    return this.#fleetExcuse(flow, sa.spec.key.keyId);
  }

  /**
   * Do two nodes that exchange plain packets count as able to? Not before they know each other, but where nothing is installed
   * at all; nor who came when the fleet closes already, and is blocked until covered as at `require`.
   */
  isPlainPair({ isAgreed }: Flow, from: RosterEntry, to: RosterEntry): boolean {
    const { closingAtRevision, fleet } = this.#registry;
    if (closingAtRevision !== null && Math.max(from.revision, to.revision) > closingAtRevision) return false;
    return isAgreed || fleet?.levels?.level === "off";
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
  #hadTime(from: SimNode, name: NodeName, incarnationId: IncarnationId): boolean {
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
