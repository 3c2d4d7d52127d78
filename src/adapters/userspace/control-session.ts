/**
 * One client's connection, seen from the dataplane: reads its requests, changes and lists the
 * databases, answers. Invariant: nothing is answered before a `hello` brought the nonce for the
 * digests. A request that breaks the protocol ends the connection. Listings go out in parts with
 * turns of the event loop between them, so that packets keep moving.
 */
import { once } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { limits } from "../../core/limits.js";
import type { PolicyView } from "../../core/sa.js";
import { PortError } from "../port-error.js";
import { FrameReader, noAttachment, writeFrame, type Frame } from "./control-framing.js";
import { parseRequest, protocolVersion } from "./control-protocol.js";
import type { ControlReply, ControlRequest } from "./control-protocol.js";
import type { Dataplane } from "./dataplane.js";
import { digestKey, nonceBytes } from "./key-digest.js";
import { runOperations } from "./operation-runner.js";
import { highestSequence, type Sa } from "./sa-database.js";
import { inSlices } from "./slices.js";

type ApplyRequest = Extract<ControlRequest, { kind: "apply" }>;
type ReadRequest = Extract<ControlRequest, { kind: "read" }>;

export class ControlSession {
  readonly #socket: Socket;
  readonly #dataplane: Dataplane;
  readonly #changed: () => void;
  readonly #closing = new AbortController();
  readonly #reader = new FrameReader((frame) => this.#serve(frame));
  #nonce: Buffer | null = null;
  #listings = 0;

  /** @param changed called after a request that changed the databases. */
  constructor(socket: Socket, dataplane: Dataplane, changed: () => void) {
    this.#socket = socket;
    this.#dataplane = dataplane;
    this.#changed = changed;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    // The end of a client is no event here: its state lives on, and "close" follows.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#forget());
  }

  /** Tells the client that somebody else changed the databases. */
  tellChanged(): void {
    if (this.#nonce !== null) this.#write({ kind: "changed" });
  }

  end(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#socket.writableEnded) return;
    try {
      this.#reader.push(chunk);
    } catch (cause) {
      if (!(cause instanceof PortError)) throw cause;
      this.#write({ kind: "refused", id: null, code: cause.code, message: cause.message });
      this.#reader.wipe();
      this.#socket.destroySoon();
    }
  }

  #forget(): void {
    this.#closing.abort();
    this.#reader.wipe();
    this.#nonce = null;
  }

  #serve(frame: Frame): void {
    const request = parseRequest(frame.header);
    if (request.kind === "hello") return this.#greet(request.protocol, frame.attachment);
    const nonce = this.#nonce;
    if (nonce === null)
      throw new PortError("CONTROL_PROTOCOL", "a request came before hello", true);
    switch (request.kind) {
      case "apply":
        return this.#apply(request, frame.attachment);
      case "read":
        return this.#readSlots(request, nonce);
      case "dump":
        return void this.#dump(request.id, nonce);
    }
  }

  #greet(protocol: number, nonce: Buffer): void {
    if (protocol !== protocolVersion) {
      const message = `the dataplane speaks control protocol ${protocolVersion}, not ${protocol}`;
      throw new PortError("CONTROL_PROTOCOL", message, true);
    }
    if (nonce.length !== nonceBytes)
      throw new PortError("CONTROL_PROTOCOL", "a nonce has 32 bytes", true);
    this.#nonce = Buffer.from(nonce);
    this.#write({ kind: "welcome", protocol: protocolVersion, identity: this.#dataplane.identity });
  }

  #apply(request: ApplyRequest, keys: Buffer): void {
    const outcome = runOperations(this.#dataplane, request.operations, keys);
    this.#write({ kind: "applied", id: request.id, failed: outcome.failed });
    if (outcome.changed) this.#changed();
  }

  #readSlots(request: ReadRequest, nonce: Buffer): void {
    const sas = request.sas
      .map((slot) => this.#dataplane.findSa(slot))
      .filter((sa) => sa !== undefined);
    const policies = request.policies.map((slot) => this.#dataplane.findPolicy(slot));
    this.#writePart(
      request.id,
      nonce,
      sas,
      policies.filter((policy) => policy !== undefined),
    );
    this.#write({ kind: "end", id: request.id, counters: this.#dataplane.counters() });
  }

  async #dump(id: number, nonce: Buffer): Promise<void> {
    if (this.#listings >= limits.controlListingsMax) {
      const message = `${limits.controlListingsMax} listings are running, the most at once`;
      this.#write({ kind: "refused", id, code: "DATAPLANE_BUSY", message });
      return;
    }
    this.#listings += 1;
    try {
      await this.#list(id, nonce);
    } catch (cause) {
      if (!this.#closing.signal.aborted) throw cause;
    } finally {
      this.#listings -= 1;
    }
  }

  async #list(id: number, nonce: Buffer): Promise<void> {
    for (const sas of inSlices(this.#dataplane.listSas())) {
      // What was deleted since the listing began has no key any more, and no place in the listing.
      await this.#drained(
        this.#writePart(
          id,
          nonce,
          sas.filter((sa) => !sa.key.isWiped),
          [],
        ),
      );
    }
    for (const policies of inSlices(this.#dataplane.listPolicies())) {
      await this.#drained(this.#writePart(id, nonce, [], policies));
    }
    this.#write({ kind: "end", id, counters: this.#dataplane.counters() });
  }

  async #drained(hasRoom: boolean): Promise<void> {
    const { signal } = this.#closing;
    if (!hasRoom) await once(this.#socket, "drain", { signal });
    await nextTurn(undefined, { signal });
  }

  #writePart(
    id: number,
    nonce: Buffer,
    sas: readonly Sa[],
    policies: readonly PolicyView[],
  ): boolean {
    const digests = sas.map((sa) => digestKey(nonce, sa.slot, sa.key.reveal()));
    const views = sas.map((sa) => ({
      slot: sa.slot,
      packets: sa.packets,
      sequence: highestSequence(sa),
    }));
    return this.#write(
      { kind: "part", id, sas: views, policies: [...policies] },
      Buffer.concat(digests),
    );
  }

  /**
   * A client that does not read loses its connection rather than fill our memory; it lists again
   * when it is back.
   */
  #write(reply: ControlReply, attachment: Buffer = noAttachment): boolean {
    if (this.#socket.destroyed) return false;
    if (this.#socket.writableLength > limits.controlUnreadBytesMax) this.#socket.destroy();
    return !this.#socket.destroyed && writeFrame(this.#socket, reply, attachment);
  }
}
