/**
 * The lab's traffic, in the namespace of the server: a ping of every flow each 10 ms, and a paced stream over TCP. What it saw goes
 * out as lines, with times of the machine's one monotonic clock.
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { systemClock } from "../../adapters/system/clock.js";
import { streamBytes } from "./stream-bytes.js";

export interface PingSettings {
  readonly source: string;
  /** Each is a flow of its own, which the kernel puts on one of the pairs. */
  readonly destinations: readonly string[];
  readonly port: number;
}

export type PingLine =
  /**
   * Since the line before it. Gaps are between two answers of a flow; `longestGapMs` leaves out the time by which the pings in between were
   * sent late, which the machine held up and not the link. `longestRawGapMs` has it in.
   */
  | {
      readonly kind: "tick";
      readonly atMs: number;
      readonly sent: number;
      readonly answered: number;
      readonly longestGapMs: number;
      readonly longestRawGapMs: number;
      readonly streamBytes: number;
      readonly streamStallMs: number;
    }
  | { readonly kind: "lost"; readonly flow: number; readonly sentMs: number }
  | { readonly kind: "stream-failed"; readonly atMs: number; readonly why: string };

export const pingEveryMs = 10;
/** An answer that takes longer counts as lost. */
export const lostAfterMs = 1_000;
const tickMs = 100;
const chunkBytes = 4_096;

export async function runPings(settings: PingSettings, signal: AbortSignal): Promise<void> {
  const write = (line: PingLine): void => {
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
  const flows = settings.destinations.map((destination, flow) => new Flow(settings, destination, flow, write));
  const stream = new Stream(settings, write);
  const rhythm = new Rhythm();
  const timer = setInterval(() => {
    const nowMs = systemClock.nowMs();
    if (rhythm.isDue(nowMs)) for (const flow of flows) flow.send(nowMs, rhythm.lateMs);
    stream.send();
  }, pingEveryMs / 2);
  const ticker = setInterval(() => {
    const nowMs = systemClock.nowMs();
    const counts = flows.map((flow) => flow.take(nowMs, rhythm.lateMs));
    write({
      kind: "tick",
      atMs: nowMs,
      sent: sum(counts.map(({ sent }) => sent)),
      answered: sum(counts.map(({ answered }) => answered)),
      longestGapMs: Math.max(...counts.map(({ longestGapMs }) => longestGapMs)),
      longestRawGapMs: Math.max(...counts.map(({ longestRawGapMs }) => longestRawGapMs)),
      ...stream.take(nowMs),
    });
  }, tickMs);
  if (!signal.aborted) await new Promise((done) => signal.addEventListener("abort", done, { once: true }));
  clearInterval(timer);
  clearInterval(ticker);
  process.exit();
}

/** Keeps the rhythm: after a stall what was due is not made up for, so that no burst hides it. */
class Rhythm {
  /** By how much all sends so far were late. */
  lateMs = 0;
  #lastMs = 0;

  isDue(nowMs: number): boolean {
    const sinceMs = nowMs - this.#lastMs;
    if (sinceMs < pingEveryMs) return false;
    if (this.#lastMs > 0) this.lateMs += sinceMs - pingEveryMs;
    this.#lastMs = nowMs;
    return true;
  }
}

interface Sent {
  readonly sentMs: number;
  readonly lateMs: number;
}

class Flow {
  readonly #socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  readonly #waiting = new Map<number, Sent>();
  readonly #settings: PingSettings;
  readonly #destination: string;
  readonly #flow: number;
  readonly #write: (line: PingLine) => void;
  #next = 0;
  #sent = 0;
  #answered = 0;
  #last: { readonly atMs: number; readonly lateMs: number } | null = null;
  #longestGapMs = 0;
  #longestRawGapMs = 0;

  constructor(settings: PingSettings, destination: string, flow: number, write: (line: PingLine) => void) {
    this.#settings = settings;
    this.#destination = destination;
    this.#flow = flow;
    this.#write = write;
    this.#socket.bind(0, settings.source);
    this.#socket.on("error", () => undefined);
    this.#socket.on("message", (packet) => this.#take(packet.readUInt32BE(0)));
  }

  /** A ping that the kernel refuses is one that gets no answer. */
  send(nowMs: number, lateMs: number): void {
    const packet = Buffer.alloc(64);
    packet.writeUInt32BE(this.#next);
    this.#waiting.set(this.#next, { sentMs: nowMs, lateMs });
    this.#next += 1;
    this.#sent += 1;
    this.#socket.send(packet, this.#settings.port, this.#destination, () => undefined);
  }

  take(nowMs: number, lateMs: number): FlowCounts {
    for (const [number, { sentMs }] of this.#waiting) {
      if (nowMs - sentMs < lostAfterMs) break;
      this.#waiting.delete(number);
      this.#write({ kind: "lost", flow: this.#flow, sentMs });
    }
    // A gap that goes on shows, too.
    this.#seeGap(nowMs, lateMs);
    const counts = {
      sent: this.#sent,
      answered: this.#answered,
      longestGapMs: this.#longestGapMs,
      longestRawGapMs: this.#longestRawGapMs,
    };
    this.#sent = this.#answered = this.#longestGapMs = this.#longestRawGapMs = 0;
    return counts;
  }

  #take(number: number): void {
    const ping = this.#waiting.get(number);
    if (ping === undefined) return;
    this.#waiting.delete(number);
    this.#answered += 1;
    const nowMs = systemClock.nowMs();
    this.#seeGap(nowMs, ping.lateMs);
    this.#last = { atMs: nowMs, lateMs: ping.lateMs };
  }

  #seeGap(nowMs: number, lateMs: number): void {
    if (this.#last === null) return;
    const rawMs = nowMs - this.#last.atMs;
    this.#longestRawGapMs = Math.max(this.#longestRawGapMs, rawMs);
    this.#longestGapMs = Math.max(this.#longestGapMs, rawMs - Math.max(0, lateMs - this.#last.lateMs));
  }
}

interface FlowCounts {
  readonly sent: number;
  readonly answered: number;
  readonly longestGapMs: number;
  readonly longestRawGapMs: number;
}

/** Sends a chunk each few milliseconds and is told how many bytes arrived; a stall is a time without such news. */
class Stream {
  readonly #socket;
  readonly #write: (line: PingLine) => void;
  #sent = 0;
  #told = 0;
  #toldMs = 0;
  #bytes = 0;
  #stallMs = 0;
  #hasFailed = false;

  constructor({ source, destinations, port }: PingSettings, write: (line: PingLine) => void) {
    this.#write = write;
    this.#socket = connect({ host: destinations[0]!, port, localAddress: source, noDelay: true });
    this.#socket.on("connect", () => (this.#toldMs = systemClock.nowMs()));
    this.#socket.on("data", (chunk) => this.#take(chunk.toString()));
    this.#socket.on("error", (cause) => this.#fail(cause.message));
    this.#socket.on("close", () => this.#fail("the other end closed it: it got a wrong byte, or ended"));
  }

  send(): void {
    if (this.#toldMs === 0 || this.#hasFailed || this.#socket.writableLength > 16 * chunkBytes) return;
    this.#socket.write(streamBytes(this.#sent, chunkBytes));
    this.#sent += chunkBytes;
  }

  take(nowMs: number): { streamBytes: number; streamStallMs: number } {
    const openMs = this.#toldMs === 0 || this.#told === this.#sent ? 0 : nowMs - this.#toldMs;
    const counts = { streamBytes: this.#bytes, streamStallMs: Math.max(this.#stallMs, openMs) };
    this.#bytes = this.#stallMs = 0;
    return counts;
  }

  #take(text: string): void {
    const last = Number(text.trimEnd().split("\n").at(-1));
    const nowMs = systemClock.nowMs();
    this.#stallMs = Math.max(this.#stallMs, nowMs - this.#toldMs);
    this.#toldMs = nowMs;
    // A line may be cut in two: the number is then smaller, and the next one is right again.
    this.#bytes += Math.max(0, last - this.#told);
    this.#told = Math.max(this.#told, last);
  }

  #fail(why: string): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#write({ kind: "stream-failed", atMs: systemClock.nowMs(), why });
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
