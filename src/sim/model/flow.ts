/**
 * The packets from one node to one address of another, without an event for each: one leaves every so often, and how many
 * did so within a time is arithmetic. What they meet changes only when one of two kernels does: then what left and came so
 * far is counted with what they met until then.
 */
import type { RosterRevision } from "../../core/node.js";
import { outerOf, sameKeyRef, type Endpoint, type PolicySpec } from "../../core/sa.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import type { SimNode } from "./host.js";
import type { LossWindow } from "./losses.js";
import { carrierOf, saIn, type Remote, type SimSa } from "./sa-table.js";

/** Of a packet that nothing encrypts. */
export const plain = Symbol("plain");
export type Plain = typeof plain;

export interface Flow {
  readonly from: SimNode;
  readonly to: SimNode;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** What the sender's kernel holds for the receiver's address or network, and the other way round. */
  readonly near: Remote;
  readonly far: Remote;
  /** A packet leaves whenever this much more than a whole number of intervals has passed. */
  readonly phaseMs: number;
  /** What no policy matches goes plain: nothing guards the nodes' networks. */
  readonly isOpen: boolean;
  /** Every how many packets the SAs that they pass count one. */
  readonly everyPackets: number;
  /** What encrypts now, or the counter of what keeps packets back; null when the flow has ended. */
  out: SimSa | Plain | XfrmCounterName | null;
  /** What encrypted the packets that arrive now; null while none arrive. */
  arriving: SimSa | Plain | null;
  /** What decrypts them, or the counter of what drops them. */
  verdict: SimSa | Plain | XfrmCounterName | null;
  /** All packets before this time are counted. */
  settledMs: number;
  /** Both ends know each other, and agree on plain packets. */
  isAgreed: boolean;
  /** Whether packets got through since `verdict` is what it is. */
  isProven: boolean;
  /** The roster revisions of both ends when packets last got through in the lifetimes that the roster shows. */
  provenFor: { readonly from: RosterRevision; readonly to: RosterRevision } | null;
  /** The sender had another SA to stay on, or plain packets at `prefer`, when it took up `out`, and no reason to leave that in a hurry. */
  couldStay: boolean;
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
 * source address does not match.
 */
export function routeVia(near: Remote | undefined, local: Endpoint, isOpen: boolean): SimSa | Plain | XfrmCounterName {
  const action = near?.policyOut?.action;
  if (action?.kind === "pass" || (action === undefined && isOpen)) return plain;
  if (near === undefined || action?.kind !== "protect") return "XfrmOutPolBlock";
  const carrier = carrierOf(near);
  if (action.outer !== undefined && action.outer !== carrier.address) return "XfrmOutNoStates";
  for (const sa of carrier.sas) {
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
export function decryptBy({ far, to }: Pick<Flow, "far" | "to">, sent: SimSa): SimSa | XfrmCounterName {
  const sa = saIn(carrierOf(far), { direction: "in", spi: sent.spec.spi });
  if (sa === undefined) return "XfrmInNoStates";
  if (to.kernel.isGarbled(sent.spec.spi)) return "XfrmInStateProtoError";
  if (!sameKeyRef(sa.spec.key, sent.spec.key)) return "XfrmInStateProtoError";
  if (sa.follows !== null && sa.follows !== sent) return "XfrmInStateProtoError";
  if (far.policyIn === null) return "XfrmInNoPols";
  return takes(far.policyIn, sent) ? sa : "XfrmInTmplMismatch";
}

/** In tunnel mode a policy names the address that packets of its networks must have come from. */
function takes({ action }: PolicySpec, { spec }: SimSa): boolean {
  const outer = outerOf(action);
  return outer === undefined || outer === spec.source.address;
}

/** The inbound half for what came plain. A policy that wants it encrypted has a template that it does not match. */
export function takePlain(far: Remote | undefined, isOpen: boolean): Plain | XfrmCounterName {
  const action = far?.policyIn?.action;
  if (action === undefined) return isOpen ? plain : "XfrmInPolBlock";
  if (action.kind === "accept-any") return plain;
  return action.kind === "accept" ? "XfrmInTmplMismatch" : "XfrmInPolBlock";
}

export function agreesOnPlain({ near, far }: Flow): boolean {
  return near.policyOut?.action.kind === "pass" && far.policyIn?.action.kind === "accept-any";
}

/** What takes a packet of this kind, or the counter of what drops it. */
export function receive(flow: Pick<Flow, "far" | "to" | "isOpen">, sent: SimSa | Plain): SimSa | Plain | XfrmCounterName {
  return sent === plain ? takePlain(flow.far, flow.isOpen) : decryptBy(flow, sent);
}

/** A change of the receiver's kernel that leaves the SA and the policy alone changes nothing for packets that got through. */
export function isTakenAsBefore({ arriving, verdict, far, to, isOpen }: Flow): boolean {
  if (arriving === null) return true;
  if (arriving === plain) return verdict === takePlain(far, isOpen);
  if (to.kernel.isGarbled(arriving.spec.spi)) return false;
  if (typeof verdict !== "object" || verdict === null || far.policyIn === null) return false;
  return takes(far.policyIn, arriving) && saIn(carrierOf(far), verdict.spec) === verdict;
}

/** Counts the packets up to `nowMs`, with what the flow says that they meet. */
export function settle(flow: Flow, nowMs: number, intervalMs: number): Settled {
  const { settledMs, phaseMs, everyPackets } = flow;
  const [sinceMs, untilMs] = [settledMs - transitMs, nowMs - transitMs];
  const sent = flow.out === null ? 0 : packetsWithin(settledMs, nowMs, phaseMs, intervalMs);
  const arrived = flow.arriving === null ? 0 : packetsWithin(sinceMs, untilMs, phaseMs, intervalMs);
  const countedMs = intervalMs * everyPackets;
  const { out, verdict } = flow;
  if (out !== null && typeof out === "object") out.packets += packetsWithin(settledMs, nowMs, phaseMs, countedMs);
  if (verdict !== null && typeof verdict === "object" && arrived > 0) {
    verdict.packets += packetsWithin(sinceMs, untilMs, phaseMs, countedMs);
    if (flow.arriving !== plain) verdict.follows = flow.arriving;
  }
  flow.settledMs = nowMs;
  return { sent, arrived };
}

/** Packets that left, or would have but for a policy, and packets that came to the receiver. */
export interface Settled {
  readonly sent: number;
  readonly arrived: number;
}
