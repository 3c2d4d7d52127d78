/**
 * The hosts behind one node: sends packets to every peer at a fixed rate through the dataplane,
 * from the first moment its outbound policy lets packets to that peer out. From then on each packet
 * that is due is tried, blocked or not, and journalled. It never waits for anybody and knows
 * nothing of keys.
 */
import { systemClock } from "../../adapters/system/clock.js";
import type { Dataplane } from "../../adapters/userspace/dataplane.js";
import type { Endpoint } from "../../core/sa.js";
import type { JournalWriter } from "./journal-writer.js";
import { writePayload } from "./payload.js";

export interface TrafficPeer {
  /** Index of the node. */
  readonly receiver: number;
  readonly endpoint: Endpoint;
  /** Where in its interval this stream begins, in [0, 1): streams must not beat in time. */
  readonly phase: number;
}

export interface TrafficPlan {
  readonly sender: number;
  readonly instance: number;
  /** Packets per second to each peer. */
  readonly rate: number;
  readonly peers: readonly TrafficPeer[];
}

interface Stream extends TrafficPeer {
  /** Null until the policy lets packets out. */
  dueMs: number | null;
  sequence: number;
}

const tickMs = 4;
/**
 * A process that was held up catches up this much; what is older is never sent, and the run says
 * so.
 */
const catchUpMs = 1_000;

export class TrafficSource {
  readonly #plan: TrafficPlan;
  readonly #dataplane: Dataplane;
  readonly #journal: JournalWriter;
  readonly #streams: readonly Stream[];
  readonly #intervalMs: number;
  readonly #timer: NodeJS.Timeout;

  constructor(plan: TrafficPlan, dataplane: Dataplane, journal: JournalWriter) {
    this.#plan = plan;
    this.#dataplane = dataplane;
    this.#journal = journal;
    this.#intervalMs = 1_000 / plan.rate;
    this.#streams = plan.peers.map((peer) => ({ ...peer, dueMs: null, sequence: 0 }));
    this.#timer = setInterval(() => this.#tick(), Math.min(tickMs, this.#intervalMs));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (!this.#journal.isFollowed) return;
    const nowMs = systemClock.nowMs();
    for (const stream of this.#streams) {
      if (stream.dueMs === null) this.#open(stream, nowMs);
      else this.#sendDue(stream, stream.dueMs, nowMs);
    }
  }

  #open(stream: Stream, nowMs: number): void {
    const { endpoint, receiver, phase } = stream;
    const family = endpoint.address.includes(":") ? "ipv6" : "ipv4";
    const policy = this.#dataplane.findPolicy({ direction: "out", family, remote: endpoint });
    if (policy?.action.kind !== "protect") return;
    stream.dueMs = nowMs + phase * this.#intervalMs;
    this.#journal.event({ kind: "opened", receiver, atMs: nowMs });
  }

  #sendDue(stream: Stream, firstMs: number, nowMs: number): void {
    const { count, nextMs } = dueTimes(firstMs, nowMs, this.#intervalMs);
    for (let sent = 0; sent < count; sent += 1) this.#send(stream);
    stream.dueMs = nextMs;
  }

  #send(stream: Stream): void {
    const { receiver, endpoint, sequence } = stream;
    const { sender, instance } = this.#plan;
    const sentMs = systemClock.nowMs();
    stream.sequence += 1;
    const payload = writePayload({ sender, receiver, instance, sequence, sentMs });
    const outcome = this.#dataplane.send(endpoint, payload);
    const isSent = outcome.kind === "sent";
    this.#journal.sent({
      receiver,
      sequence,
      blocked: isSent ? null : outcome.counter,
      spi: isSent ? outcome.spi : 0,
      espSequence: isSent ? outcome.sequence % 2 ** 32 : 0,
      sentMs,
    });
  }
}

/** Packets that are due by now, and when the next one is. */
export function dueTimes(
  firstMs: number,
  nowMs: number,
  intervalMs: number,
): { readonly count: number; readonly nextMs: number } {
  const fromMs = Math.max(firstMs, nowMs - catchUpMs);
  const count = fromMs > nowMs ? 0 : Math.floor((nowMs - fromMs) / intervalMs) + 1;
  return { count, nextMs: fromMs + count * intervalMs };
}
