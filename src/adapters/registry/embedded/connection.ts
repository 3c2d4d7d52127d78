/**
 * One client of the server: answers its requests from the engine, in the order in which they are
 * done.
 */
import type { Socket } from "node:net";
import { unreachable } from "../../../core/assert.js";
import { limits } from "../../../core/limits.js";
import type { PortError } from "../../port-error.js";
import type { KvItem, KvSnapshot } from "../kv.js";
import { portErrorOf } from "../settle.js";
import type { EmbeddedEngine } from "./engine.js";
import { FrameReader, protocolError } from "./frames.js";
import type { Gate } from "./gate.js";
import { Outbox } from "./outbox.js";
import {
  clientMessageSchema,
  protocolVersion,
  type ClientMessage,
  type ServerMessage,
} from "./protocol.js";
import { ServedWatches } from "./served-watches.js";

type Request = Exclude<ClientMessage, { readonly kind: "hello" | "watch" | "unwatch" }>;

export class Connection {
  readonly #socket: Socket;
  readonly #engine: EmbeddedEngine;
  readonly #listings: Gate;
  readonly #outbox: Outbox;
  readonly #watches: ServedWatches;
  readonly #reader = new FrameReader();
  #isGreeted = false;
  #underWay = 0;

  /** @param listings bounds how many listings the server holds while they are sent */
  constructor(socket: Socket, engine: EmbeddedEngine, listings: Gate) {
    this.#socket = socket;
    this.#engine = engine;
    this.#listings = listings;
    this.#outbox = new Outbox(socket, () => this.#watches.tellBehind());
    this.#watches = new ServedWatches(engine, this.#outbox);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => undefined); // `close` follows, and says all.
    socket.on("close", () => this.#watches.closeAll());
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    try {
      for (const message of this.#reader.read(chunk)) this.#accept(parseMessage(message));
    } catch (cause) {
      this.#leave(portErrorOf(cause));
    }
  }

  #accept(message: ClientMessage): void {
    if (message.kind === "hello") return this.#greet(message.protocol);
    if (!this.#isGreeted) throw protocolError("a message before the greeting");
    if (message.kind === "unwatch") return this.#watches.close(message.id);
    if (message.kind !== "watch") return void this.#answer(message);
    this.#watches.open(message.id, message.prefix, message.after);
  }

  #greet(protocol: number): void {
    if (protocol !== protocolVersion) throw protocolError(`version ${protocol} of it`);
    this.#isGreeted = true;
    this.#send({ kind: "welcome", protocol: protocolVersion, storeId: this.#engine.storeId });
  }

  /** The client cannot be understood: says so and ends. */
  #leave({ code, message }: PortError): void {
    this.#send({ kind: "goodbye", code, message });
    this.#socket.destroySoon();
  }

  async #answer(request: Request): Promise<void> {
    this.#underWay += 1;
    if (this.#underWay >= limits.registryPendingRequestsMax) this.#socket.pause();
    try {
      await this.#serve(request);
    } catch (cause) {
      const { code, message, retryable } = portErrorOf(cause);
      this.#send({ kind: "error", id: request.id, code, message, retryable });
    }
    this.#underWay -= 1;
    if (this.#underWay < limits.registryPendingRequestsMax) this.#socket.resume();
  }

  async #serve(request: Request): Promise<void> {
    const engine = this.#engine;
    const { id } = request;
    switch (request.kind) {
      case "get":
        return this.#sendSnapshot(id, await engine.get(request.keys));
      case "range":
        return this.#serveRange(id, request.prefix, request.limit);
      case "transaction":
        return this.#reply(id, await engine.transaction(request.compares, request.operations));
      case "renew-lease":
        await engine.renewLease(request.name, request.holder, request.leaseMs);
        return this.#reply(id, null);
      case "leases":
        return this.#reply(id, await engine.leases());
      case "lead":
        return this.#reply(id, await engine.lead(request.candidate, request.leaseMs));
      case "resign":
        await engine.resign(request.candidate);
        return this.#reply(id, null);
      case "statistics":
        return this.#reply(id, engine.statistics());
      case "ping":
        return this.#reply(id, { revision: this.#watches.toldRevision() });
      default:
        return unreachable(request);
    }
  }

  #serveRange(id: number, prefix: string, limit: number | null): Promise<void> {
    return this.#listings.run(async () => {
      if (this.#socket.destroyed) return;
      await this.#sendSnapshot(id, await this.#engine.range(prefix, limit ?? undefined));
    });
  }

  /** In parts, at the pace of the client. */
  async #sendSnapshot(id: number, { revision, items }: KvSnapshot): Promise<void> {
    for (const part of partsOf(items)) {
      this.#send({ kind: "part", id, items: part });
      await this.#outbox.room();
    }
    this.#reply(id, { revision });
  }

  #reply(id: number, value: unknown): void {
    this.#send({ kind: "answer", id, value });
  }

  #send(message: ServerMessage): void {
    this.#outbox.send(JSON.stringify(message));
  }
}

function parseMessage(message: unknown): ClientMessage {
  const result = clientMessageSchema.safeParse(message);
  if (result.success) return result.data;
  throw protocolError("an unknown message");
}

function* partsOf(items: readonly KvItem[]): Generator<KvItem[]> {
  let part: KvItem[] = [];
  let size = 0;
  for (const item of items) {
    if (size > 0 && size + item.value.length > limits.registryPartBytes) {
      yield part;
      part = [];
      size = 0;
    }
    part.push(item);
    size += item.value.length + item.key.length;
  }
  if (part.length > 0) yield part;
}
