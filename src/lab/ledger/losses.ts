/**
 * Why each lost packet was lost, in the words of the operators' counters (core/xfrm-counters.ts).
 * What is excused is named `peer-down` and counted: packets to a node between the loss of its
 * dataplane's state and the moment at which the sender uses an SA of its new lifetime (S1). What
 * nothing explains is `unaccounted`.
 */
import { labelsOf } from "../../core/xfrm-counters.js";
import type { DroppedRecord } from "../traffic/journal-format.js";
import type { CountedDrops, SpareDrops } from "./counted-drops.js";
import type { DataplaneRun, Ledger, LostPacket } from "./ledger.js";
import type { Stream } from "./stream.js";

/** A node's dataplane died. */
export interface Outage {
  readonly node: number;
  /** The run that died. */
  readonly instance: number;
  /** What it had received by then is known. */
  readonly fromMs: number;
  /** When the roster had the node's new incarnation; null while it has none. */
  admittedMs: number | null;
  /** The run that follows it. */
  nextInstance: number | null;
}

export interface Loss {
  readonly stream: Stream;
  readonly sentMs: number;
  readonly sequence: number;
  /** 0 for a packet that never left. */
  readonly keyId: number;
  readonly reason: string;
  /** The node where it was lost, index from 0. */
  readonly at: number;
}

export const peerDown = "peer-down";
export const unaccounted = "unaccounted";
/** The receiving socket's buffer was full: the machine was too slow for the traffic. */
export const unread = labelOf("XfrmInBufferError");

/** How long a packet may have waited in the socket of a dataplane that died before it read it. */
const unreadMsMax = 1_000;

/** How long an agent may take to act on what it sees; plus the staging delay of a slow one. */
const reactionMs = 1_000;

/** How long after its admission a node may be kept waiting for packets; plus a slow node's staging. */
const coverageMs = 10_000;

export interface LossContext {
  readonly ledger: Ledger;
  readonly outages: readonly Outage[];
  /** Milliseconds that staging takes longer on a node. */
  readonly stagingDelayMs: (node: number) => number;
  /** Packets that found the receiver's socket buffer full, by node. */
  readonly bufferDrops: ReadonlyMap<number, number>;
  /** What kernels counted, which do not say which packet it was. */
  readonly counted: CountedDrops;
}

/** All packets that are lost as of `nowMs`, monotonic milliseconds. */
export function explainLosses(context: LossContext, nowMs: number): readonly Loss[] {
  const spare = { unread: new Map(context.bufferDrops), counted: context.counted.spend() };
  return context.ledger.lost(nowMs).map((lost) => {
    const { stream, packet } = lost;
    const { reason, at } = explain(context, lost, spare);
    const keyId = packet.sa?.keyId ?? 0;
    return { stream, sentMs: packet.sentMs, sequence: packet.sequence, keyId, reason, at };
  });
}

/** Counts that have not explained a packet yet. */
interface Spare {
  readonly unread: Map<number, number>;
  readonly counted: SpareDrops;
}

interface Explanation {
  readonly reason: string;
  readonly at: number;
}

function explain(context: LossContext, lost: LostPacket, spare: Spare): Explanation {
  const { stream, packet } = lost;
  if (isExcused(context, lost)) return { reason: peerDown, at: stream.receiver };
  if (packet.blocked !== null) return { reason: labelOf(packet.blocked), at: stream.sender };
  const drop = findDrop(context.ledger, lost);
  if (drop !== null) return drop;
  const unreadCount = spare.unread.get(stream.receiver) ?? 0;
  if (unreadCount === 0) return countedBy(lost, spare.counted);
  spare.unread.set(stream.receiver, unreadCount - 1);
  return { reason: unread, at: stream.receiver };
}

/** A packet that left was dropped by the receiver, or by the sender after the hosts had let it go. */
function countedBy({ stream, packet }: LostPacket, counted: SpareDrops): Explanation {
  const { receiver, sender } = stream;
  const inbound = counted.take(receiver, "inbound", packet.sentMs);
  if (inbound !== null) return { reason: labelOf(inbound), at: receiver };
  const outbound = counted.take(sender, "outbound", packet.sentMs);
  if (outbound !== null) return { reason: labelOf(outbound), at: sender };
  return { reason: unaccounted, at: receiver };
}

/** `inbound no_state`, as operators know it from `cilium_ipsec_xfrm_error`. */
export function labelOf(counter: string): string {
  return labelsOf(counter).join(" ");
}

/** The receiver's record of the packet, or the sender's own when its system refused it. */
function findDrop(ledger: Ledger, { stream, packet }: LostPacket): Explanation | null {
  for (const run of ledger.runs) {
    if (run.node !== stream.receiver && run.instance !== stream.instance) continue;
    const drop = nextDrop(ledger, run, packet);
    if (drop !== undefined) return { reason: labelOf(drop.counter), at: run.node };
  }
  return null;
}

/** One SPI counts from 1 again when a peer came back, so the time has to fit too. */
function nextDrop(
  ledger: Ledger,
  run: DataplaneRun,
  packet: LostPacket["packet"],
): DroppedRecord | undefined {
  const drops = ledger.findDrops(run.instance, packet.spi, packet.espSequence);
  return drops.find(({ atMs }) => atMs >= packet.sentMs);
}

function isExcused(context: LossContext, lost: LostPacket): boolean {
  return context.outages.some((outage) => {
    const { stream, packet } = lost;
    if (outage.node !== stream.receiver) return false;
    if (packet.sentMs < outage.fromMs) return wasUnread(context.ledger, outage, lost);
    return packet.sa === null
      ? isStillBlocked(context, outage, lost)
      : isOfOldLife(context, outage, lost);
  });
}

/** It left just before the end, and neither it nor anything after it was read. */
function wasUnread(ledger: Ledger, outage: Outage, { stream, packet }: LostPacket): boolean {
  const { instance, fromMs } = outage;
  if (packet.sa === null || packet.sentMs < fromMs - unreadMsMax) return false;
  const isDropped = ledger.findDrops(instance, packet.spi, packet.espSequence).length > 0;
  return !isDropped && packet.sequence > (stream.newestBy.get(instance) ?? -1);
}

/** Kept back, nothing has reached the node's new life yet, and it is not overdue. */
function isStillBlocked(
  context: LossContext,
  outage: Outage,
  { stream, packet }: LostPacket,
): boolean {
  const { admittedMs, nextInstance } = outage;
  if (admittedMs === null || nextInstance === null) return true;
  const delayMs = context.stagingDelayMs(stream.sender) + context.stagingDelayMs(stream.receiver);
  if (packet.sentMs >= admittedMs + coverageMs + delayMs) return false;
  return !stream.uses.some(
    (use) => use.firstMs <= packet.sentMs && isOpenedSince(use, nextInstance),
  );
}

/**
 * Sealed before the sender could know of the new life, with an SA that this life cannot open.
 */
function isOfOldLife(
  context: LossContext,
  outage: Outage,
  { stream, packet }: LostPacket,
): boolean {
  const { admittedMs, nextInstance } = outage;
  if (packet.sa === null) return false;
  if (admittedMs === null || nextInstance === null) return true;
  const knownMs = admittedMs + reactionMs + context.stagingDelayMs(stream.sender);
  return packet.sentMs < knownMs && !isOpenedSince(packet.sa, nextInstance);
}

/** Instances are numbered in the order in which they start. */
function isOpenedSince(use: { readonly openedBy: ReadonlySet<number> }, instance: number): boolean {
  return [...use.openedBy].some((opener) => opener >= instance);
}
