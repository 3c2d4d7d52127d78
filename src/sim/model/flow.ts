/**
 * The packets from one node to one address of another, without an event for each: one leaves every so often, and how many
 * did so within a time is arithmetic. What they meet changes only when one of two kernels does: then what left and came so
 * far is counted with what they met until then.
 */
import type { RosterRevision } from "../../core/node.js";
import { sameKeyRef, type Endpoint } from "../../core/sa.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import type { SimNode } from "./host.js";
import type { LossWindow } from "./losses.js";
import { saIn, type Remote, type SimSa } from "./sa-table.js";

export interface Flow {
  readonly from: SimNode;
  readonly to: SimNode;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** What the sender's kernel holds for the receiver's address, and the other way round. */
  readonly near: Remote;
  readonly far: Remote;
  /** A packet leaves whenever this much more than a whole number of intervals has passed. */
  readonly phaseMs: number;
  /** Every how many packets the SAs that they pass count one. */
  readonly everyPackets: number;
  /** What encrypts now, or the counter of what keeps packets back; null when the flow has ended. */
  out: SimSa | XfrmCounterName | null;
  /** What encrypted the packets that arrive now; null while none arrive. */
  arriving: SimSa | null;
  /** What decrypts them, or the counter of what drops them. */
  verdict: SimSa | XfrmCounterName | null;
  /** All packets before this time are counted. */
  settledMs: number;
  /** Whether packets got through since `verdict` is what it is. */
  isProven: boolean;
  /** The roster revisions of both ends when packets last got through in the lifetimes that the roster shows. */
  provenFor: { readonly from: RosterRevision; readonly to: RosterRevision } | null;
  /** Open windows of loss, at the sender and at the receiver. */
  kept: LossWindow | null;
  dropped: LossWindow | null;
}

/** How long every packet is on its way. */
export const transitMs = 1;

/** How many packets leave from `fromMs` on and before `toMs`. */
export function packetsWithin(fromMs: number, toMs: number, phaseMs: number, intervalMs: number): number {
  return Math.ceil((toMs - phaseMs) / intervalMs) - Math.ceil((fromMs - phaseMs) / intervalMs);
}

/**
 * The outbound half of the packet path: the SA that encrypts, or the counter of what keeps the packet back. An SA of another
 * source address does not match; what no policy matches is blocked. Plain packets are not modelled: where a policy lets them
 * pass, they count as blocked.
 */
export function routeVia(near: Remote | undefined, local: Endpoint): SimSa | XfrmCounterName {
  const action = near?.policyOut?.action;
  if (near === undefined || action?.kind !== "protect") return "XfrmOutPolBlock";
  for (const sa of near.sas) {
    if (sa.spec.spi !== action.spi || sa.spec.direction !== "out") continue;
    return sa.spec.source.address === local.address ? sa : "XfrmOutPolBlock";
  }
  return "XfrmOutNoStates";
}

/**
 * The inbound half: the SA that decrypts a packet of `sent`, or the counter of what drops it. A sender that began the same
 * SA anew counts from 1, far behind the window: with ESN its packets fail authentication (RFC 4303, A2.2), and a counter of
 * weeks is not caught up with (cilium #39720).
 */
export function decryptBy(far: Remote | undefined, sent: SimSa): SimSa | XfrmCounterName {
  const sa = far === undefined ? undefined : saIn(far, { direction: "in", spi: sent.spec.spi });
  if (far === undefined || sa === undefined) return "XfrmInNoStates";
  if (!sameKeyRef(sa.spec.key, sent.spec.key)) return "XfrmInStateProtoError";
  if (sa.follows !== null && sa.follows !== sent) return "XfrmInStateProtoError";
  return far.policyIn === null ? "XfrmInNoPols" : sa;
}

/** A change of the receiver's kernel that leaves the SA and the policy alone changes nothing for packets that got through. */
export function isDecryptedAsBefore({ arriving, verdict, far }: Flow): boolean {
  if (arriving === null) return true;
  return verdict !== null && typeof verdict !== "string" && far.policyIn !== null && saIn(far, verdict.spec) === verdict;
}

/** Counts the packets up to `nowMs`, with what the flow says that they meet. */
export function settle(flow: Flow, nowMs: number, intervalMs: number): Settled {
  const { settledMs, phaseMs, everyPackets } = flow;
  const [sinceMs, untilMs] = [settledMs - transitMs, nowMs - transitMs];
  const sent = flow.out === null ? 0 : packetsWithin(settledMs, nowMs, phaseMs, intervalMs);
  const arrived = flow.arriving === null ? 0 : packetsWithin(sinceMs, untilMs, phaseMs, intervalMs);
  const countedMs = intervalMs * everyPackets;
  const { out, verdict } = flow;
  if (out !== null && typeof out !== "string") out.packets += packetsWithin(settledMs, nowMs, phaseMs, countedMs);
  if (verdict !== null && typeof verdict !== "string" && arrived > 0) {
    verdict.packets += packetsWithin(sinceMs, untilMs, phaseMs, countedMs);
    verdict.follows = flow.arriving;
  }
  flow.settledMs = nowMs;
  return { sent, arrived };
}

/** Packets that left, or would have but for a policy, and packets that came to the receiver. */
export interface Settled {
  readonly sent: number;
  readonly arrived: number;
}
