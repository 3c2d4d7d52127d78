/**
 * One connection to the dataplane, seen from the agent: handshake, requests and their answers by
 * id. Invariant: each request ends exactly once, with its answer or with a PortError; a connection
 * that broke stays broken (control-client.ts makes the next one), so no request is ever answered by
 * another run of the dataplane.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { assert } from "../../core/assert.js";
import { limits } from "../../core/limits.js";
import type { DataplaneIdentity } from "../../ports/kernel.js";
import { PortError } from "../port-error.js";
import { FrameReader, noAttachment, writeFrame, type Frame } from "./control-framing.js";
import { parseReply, protocolVersion } from "./control-protocol.js";
import type {
  AppliedReply,
  ControlReply,
  ControlRequest,
  EndReply,
  PartReply,
  WireOperation,
} from "./control-protocol.js";
import { nonceBytes } from "./key-digest.js";

/** What a listing is of: named slots, or everything. */
export type ListRequest =
  | Omit<Extract<ControlRequest, { kind: "read" }>, "id">
  | Omit<Extract<ControlRequest, { kind: "dump" }>, "id">;

/** `digests` is valid only during the call: one digest for each SA of the part. */
export type PartListener = (part: PartReply, digests: Buffer) => void;

type Answer = Extract<ControlReply, { kind: "welcome" | "applied" | "end" }>;

interface Pending {
  readonly part: PartListener;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: PortError) => void;
  readonly timer: NodeJS.Timeout;
}

/** `hello` has no id of its own. */
const helloId = 0;

export class ControlConnection {
  /** Keys the digests of this connection. */
  readonly nonce: Buffer = randomBytes(nonceBytes);
  /** Fulfilled with the reason when the connection is gone. */
  readonly closed: Promise<PortError>;
  readonly #socket: Socket;
  readonly #changed: () => void;
  readonly #pending = new Map<number, Pending>();
  readonly #reader = new FrameReader((frame) => this.#take(frame));
  #tellClosed: (reason: PortError) => void = () => undefined;
  #broken: PortError | null = null;
  #identity: DataplaneIdentity | null = null;
  #lastId = helloId;

  private constructor(socket: Socket, changed: () => void) {
    this.#socket = socket;
    this.#changed = changed;
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve));
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (cause) => this.#break(unreachable(cause.message, cause)));
    socket.on("close", () => this.#break(unreachable("the dataplane closed the connection")));
  }

  /**
   * Connects and shakes hands. `changed` is called when another client changed the dataplane;
   * `signal` ends the connection at any time. @throws PortError `DATAPLANE_UNREACHABLE`,
   * `CONTROL_PROTOCOL`
   */
  static async open(
    socketPath: string,
    changed: () => void,
    signal: AbortSignal,
  ): Promise<ControlConnection> {
    const socket = connect({ path: socketPath });
    const abort = (): void => void socket.destroy(new Error("closing"));
    signal.addEventListener("abort", abort, { once: true });
    socket.once("close", () => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
    try {
      await once(socket, "connect");
    } catch (cause) {
      throw unreachable(cause instanceof Error ? cause.message : String(cause), cause);
    }
    const connection = new ControlConnection(socket, changed);
    const welcome = await connection.#ask(
      helloId,
      { kind: "hello", protocol: protocolVersion },
      connection.nonce,
    );
    if (welcome.kind !== "welcome") throw connection.#misplaced(welcome.kind);
    connection.#identity = welcome.identity;
    return connection;
  }

  get identity(): DataplaneIdentity {
    assert(this.#identity !== null, "an open connection has shaken hands");
    return this.#identity;
  }

  /** Runs operations; zeroes `keys` once they are sent. @throws PortError */
  async apply(operations: WireOperation[], keys: Buffer): Promise<AppliedReply> {
    const id = this.#newId();
    const answer = await this.#ask(id, { kind: "apply", id, operations }, keys, () => keys.fill(0));
    if (answer.kind !== "applied") throw this.#misplaced(answer.kind);
    return answer;
  }

  /** Lists slots or everything: calls `part` until all is listed. @throws PortError */
  async list(request: ListRequest, part: PartListener): Promise<EndReply> {
    const id = this.#newId();
    const answer = await this.#ask(id, { ...request, id }, noAttachment, () => undefined, part);
    if (answer.kind !== "end") throw this.#misplaced(answer.kind);
    return answer;
  }

  #newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #ask(
    id: number,
    request: ControlRequest,
    attachment: Buffer,
    written: () => void = () => undefined,
    part: PartListener = () => undefined,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== null) {
        written();
        return reject(this.#broken);
      }
      const late = unreachable(`no answer to ${request.kind} in ${limits.controlRequestMsMax} ms`);
      const timer = setTimeout(() => this.#break(late), limits.controlRequestMsMax);
      this.#pending.set(id, { part, resolve, reject, timer });
      writeFrame(this.#socket, request, attachment, written);
    });
  }

  #read(chunk: Buffer): void {
    if (this.#broken !== null) return;
    try {
      this.#reader.push(chunk);
    } catch (cause) {
      if (!(cause instanceof PortError)) throw cause;
      this.#break(cause);
    }
  }

  #take(frame: Frame): void {
    const reply = parseReply(frame.header);
    switch (reply.kind) {
      case "changed":
        return this.#changed();
      case "part":
        return this.#takePart(reply, frame.attachment);
      case "refused":
        return this.#takeRefusal(reply.id, new PortError(reply.code, reply.message, true));
      case "welcome":
        return this.#settle(helloId)?.resolve(reply);
      case "applied":
      case "end":
        return this.#settle(reply.id)?.resolve(reply);
    }
  }

  #takePart(part: PartReply, digests: Buffer): void {
    const pending = this.#pending.get(part.id);
    pending?.timer.refresh();
    pending?.part(part, digests);
  }

  /** Without an id the dataplane could not make out what was asked, and ends the connection. */
  #takeRefusal(id: number | null, refusal: PortError): void {
    if (id === null) this.#break(refusal);
    else this.#settle(id)?.reject(refusal);
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    clearTimeout(pending?.timer);
    this.#pending.delete(id);
    return pending;
  }

  #misplaced(kind: string): PortError {
    const error = new PortError(
      "CONTROL_PROTOCOL",
      `the dataplane answered with a misplaced "${kind}"`,
      true,
    );
    this.#break(error);
    return error;
  }

  #break(reason: PortError): void {
    if (this.#broken !== null) return;
    this.#broken = reason;
    this.#socket.destroy();
    this.#reader.wipe();
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(reason);
    this.#tellClosed(reason);
  }
}

/** The failure of every request while there is no working connection. */
export function unreachable(reason: string, cause?: unknown): PortError {
  const message = `the userspace dataplane cannot be reached: ${reason}`;
  return new PortError(
    "DATAPLANE_UNREACHABLE",
    message,
    true,
    cause === undefined ? undefined : { cause },
  );
}
