/**
 * A connection to the server that comes back by itself: connects, greets, and after a loss tries
 * again with backoff until closed. A server that answers nothing is a lost one.
 */
import type { Socket } from "node:net";
import { limits } from "../../../core/limits.js";
import type { ServiceAddress } from "../../../ports/service-address.js";
import { systemClock } from "../../system/clock.js";
import { backoffMs } from "../backoff.js";
import { portErrorOf } from "../settle.js";
import { encodeFrame, FrameReader, protocolError } from "./frames.js";
import { connectTo } from "./listen.js";
import {
  protocolVersion,
  serverMessageSchema,
  type ClientMessage,
  type ServerMessage,
} from "./protocol.js";

/** A closed link waits this long for the server to take what was sent. */
const lingerMs = 500;

export interface LinkEvents {
  /** The server may be asked. */
  readonly up: (storeId: string) => void;
  /** After `up`: what was asked and not answered is lost. */
  readonly down: (reason: string) => void;
  readonly message: (message: ServerMessage) => void;
}

export class Link {
  readonly #address: ServiceAddress;
  readonly #events: LinkEvents;
  #socket: Socket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #attempt = 0;
  #isUp = false;
  #isClosed = false;
  #receivedMs = 0;
  #lastFault = "not connected yet";

  constructor(address: ServiceAddress, events: LinkEvents) {
    this.#address = address;
    this.#events = events;
    this.#connect();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Why it is not up. */
  get lastFault(): string {
    return this.#lastFault;
  }

  /** Monotonic time at which the server was last heard. */
  get receivedMs(): number {
    return this.#receivedMs;
  }

  send(message: ClientMessage): void {
    this.#socket?.write(encodeFrame(JSON.stringify(message)));
  }

  /** Gives the present connection up and connects again. */
  drop(reason: string): void {
    this.#lastFault = reason;
    this.#socket?.destroy();
  }

  /** What was sent is still delivered, if the server takes it soon. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const socket = this.#socket;
    if (socket === null) return;
    if (this.#isUp) socket.destroySoon();
    else socket.destroy();
    setTimeout(() => socket.destroy(), lingerMs).unref();
  }

  #connect(): void {
    const socket = connectTo(this.#address);
    const reader = new FrameReader();
    this.#socket = socket;
    this.#timer = setTimeout(() => this.drop("no greeting"), limits.registryRequestMsMax);
    socket.on("connect", () => this.send({ kind: "hello", protocol: protocolVersion }));
    socket.on("data", (chunk: Buffer) => this.#receive(reader, chunk));
    socket.on("error", (cause) => {
      this.#lastFault = cause.message;
    });
    socket.on("end", () => {
      this.#lastFault = "the registry closed the connection";
    });
    socket.on("close", () => this.#lose());
  }

  #receive(reader: FrameReader, chunk: Buffer): void {
    this.#receivedMs = systemClock.nowMs();
    try {
      for (const message of reader.read(chunk)) this.#accept(parseMessage(message));
    } catch (cause) {
      this.drop(portErrorOf(cause).message);
    }
  }

  #accept(message: ServerMessage): void {
    if (this.#isClosed) return;
    if (message.kind === "welcome") return this.#welcome(message.storeId);
    if (message.kind === "goodbye") return this.drop(message.message);
    this.#events.message(message);
  }

  #welcome(storeId: string): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#isUp = true;
    this.#events.up(storeId);
  }

  #lose(): void {
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#socket = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (wasUp) this.#events.down(this.#lastFault);
    if (this.#isClosed) return;
    const { registryReconnectMsMin, registryReconnectMsMax } = limits;
    const waitMs = backoffMs(this.#attempt, registryReconnectMsMin, registryReconnectMsMax);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), Math.max(waitMs, registryReconnectMsMin));
  }
}

function parseMessage(message: unknown): ServerMessage {
  const result = serverMessageSchema.safeParse(message);
  if (result.success) return result.data;
  throw protocolError("an unknown message");
}
