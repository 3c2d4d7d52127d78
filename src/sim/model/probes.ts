/**
 * A probe in virtual time: out with the SA of its SPI whatever the policy selects, in at the peer, and back as the peer sends
 * to this node. It meets what any packet meets, and is counted where it is dropped.
 */
import { limits } from "../../core/limits.js";
import { probeUnanswered, type Probe, type ProbeOutcome } from "../../core/probe.js";
import type { Spi } from "../../core/spi.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import { plain, receive, routeVia, transitMs, type Flow, type Plain } from "./flow.js";
import type { SimKernel } from "./kernel.js";
import { carrierOf, saIn, type Remote, type SimSa } from "./sa-table.js";

/** Where probes go through: a kernel, its SAs, and who is told of each probe that was dropped for want of an SA. */
export interface ProbeScene {
  readonly time: VirtualTime;
  readonly kernel: SimKernel;
  readonly lost: (flow: Flow, sa: SimSa) => void;
}

/** Sends all at once; ends with the last answer, or when the time for answers is over. */
export function exchangeProbes(
  scene: ProbeScene,
  probes: readonly Probe[],
  done: (outcomes: readonly ProbeOutcome[]) => void,
): void {
  const { time } = scene;
  const sentMs = time.nowMs;
  const outcomes = probes.map((): ProbeOutcome => unanswered);
  let missing = probes.length;
  const end = (): void => {
    if (missing >= 0) done(outcomes);
    missing = -1;
  };
  for (const [i, { local, remote, spi }] of probes.entries()) {
    const { kernel } = scene;
    // In tunnel mode probes have a path of their own; their peer's record is that of the tunnel's ends.
    const near = kernel.find({ local: local.address, remote }) ?? kernel.find({ remote });
    sendProbe(scene, near, spi, () => {
      outcomes[i] = { kind: "answered", roundTripMs: time.nowMs - sentMs };
      missing -= 1;
      if (missing === 0) end();
    });
  }
  time.post(sentMs + limits.probeMsMax, end);
}

const unanswered: ProbeOutcome = { kind: "failed", code: probeUnanswered, message: "simulated: no answer" };

function sendProbe(scene: ProbeScene, near: Remote | undefined, spi: Spi, answered: () => void): void {
  const { time, kernel } = scene;
  const sa = near === undefined ? undefined : saIn(carrierOf(near), { direction: "out", spi });
  const flow = near?.flowTo ?? null;
  if (sa === undefined) return kernel.count("XfrmOutNoStates", 1);
  if (flow === null) return;
  time.post(time.nowMs + transitMs, () => {
    const reply = arrives(scene, flow, sa) ? replyTo(flow) : null;
    if (reply === null) return;
    time.post(time.nowMs + transitMs, () => {
      if (arrives(scene, reply.flow, reply.sa)) answered();
    });
  });
}

/** The peer answers with what its policy selects. */
function replyTo({ far, from, to }: Flow): { readonly flow: Flow; readonly sa: SimSa | Plain } | null {
  const flow = far.flowTo;
  if (flow?.from !== to || flow.to !== from) return null;
  const sa = routeVia(flow.near, flow.local, flow.isOpen);
  return typeof sa === "string" ? null : { flow, sa };
}

function arrives({ lost }: ProbeScene, flow: Flow, sa: SimSa | Plain): boolean {
  const verdict = receive(flow, sa);
  if (typeof verdict === "object" && sa !== plain) verdict.follows = sa;
  if (typeof verdict !== "string") return true;
  flow.to.kernel.count(verdict, 1);
  if (sa !== plain) lost(flow, sa);
  return false;
}
