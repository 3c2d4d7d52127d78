/**
 * One bulk TCP stream between two nodes at a set rate: what an application notices of a rotation.
 * TCP sends again what is lost, so a loss shows as a pause, and a broken path as bytes that never come.
 */
import { createServer, Socket, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../adapters/system/clock.js";
import type { AddressFamily } from "../../core/node.js";
import type { Endpoint } from "../../core/sa.js";
import type { NodeDataplane } from "../fleet/node-dataplane.js";
import type { Sockets } from "../network/sockets.js";

export interface BulkReport {
  readonly from: string;
  readonly to: string;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** The longest time in which nothing came. */
  readonly longestPauseMs: number;
  /** Why it ended before it was told to, null when it did not. */
  readonly broken: string | null;
}

export interface BulkEnd {
  readonly name: string;
  readonly dataplane: NodeDataplane;
}

const port = 5_001;
const bytesPerSecond = 256 * 1024;
const tickMs = 50;
/** Beyond this much that TCP has not taken, the stream waits. */
const backlogBytesMax = 1024 * 1024;
const drainMsMax = 3_000;

export class BulkStream {
  readonly #names: { readonly from: string; readonly to: string };
  readonly #server: Server;
  readonly #stream: Socket;
  readonly #timer: NodeJS.Timeout;
  #accepted: Socket | null = null;
  #sent = 0;
  #received = 0;
  #lastMs = systemClock.nowMs();
  #longestPauseMs = 0;
  #broken: string | null = null;

  private constructor(names: { from: string; to: string }, listening: number, connected: number) {
    this.#names = names;
    this.#server = createServer((accepted) => this.#accept(accepted)).listen({ fd: listening });
    this.#stream = new Socket({ fd: connected, readable: true, writable: true });
    this.#stream.on("error", (cause) => this.#break(cause.message));
    const chunk = Buffer.alloc((bytesPerSecond * tickMs) / 1_000);
    this.#timer = setInterval(() => this.#send(chunk), tickMs);
  }

  /** Between nodes that can reach each other. @throws LabError */
  static open(
    sockets: Sockets,
    family: AddressFamily,
    from: BulkEnd,
    to: BulkEnd,
    [here, there]: readonly [Endpoint, Endpoint],
  ): BulkStream {
    const listening = to.dataplane.within(() => sockets.listenStream(family, there.address, port));
    const connected = from.dataplane.within(() => sockets.connectStream(family, here.address, there.address, port));
    return new BulkStream({ from: from.name, to: to.name }, listening, connected);
  }

  /** Sends no more, waits for what is on its way, and says how it went. */
  async finish(): Promise<BulkReport> {
    clearInterval(this.#timer);
    const untilMs = systemClock.nowMs() + drainMsMax;
    while (this.#received < this.#sent && systemClock.nowMs() < untilMs) await sleep(tickMs);
    const report = {
      ...this.#names,
      bytesSent: this.#sent,
      bytesReceived: this.#received,
      longestPauseMs: Math.round(this.#longestPauseMs),
      broken: this.#broken,
    };
    this.close();
    return report;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stream.destroy();
    this.#accepted?.destroy();
    this.#server.close();
  }

  #accept(accepted: Socket): void {
    this.#accepted = accepted;
    accepted.on("data", (content: Buffer) => this.#receive(content.length));
    accepted.on("error", (cause) => this.#break(cause.message));
  }

  #send(chunk: Buffer): void {
    if (this.#broken !== null || this.#stream.writableLength > backlogBytesMax) return;
    this.#stream.write(chunk);
    this.#sent += chunk.length;
  }

  #receive(bytes: number): void {
    const nowMs = systemClock.nowMs();
    if (this.#received > 0) this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#received += bytes;
  }

  #break(why: string): void {
    this.#broken ??= why;
  }
}
