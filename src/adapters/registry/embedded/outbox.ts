/**
 * What is sent to one client. Invariant: bounded. Who writes much waits for `room`; a watch asks
 * `isFull` first; and a client that takes nothing for `registryStallMsMax` is cut off.
 */
import type { Socket } from "node:net";
import { limits } from "../../../core/limits.js";
import { encodeFrame } from "./frames.js";

export class Outbox {
  readonly #socket: Socket;
  #stallTimer: NodeJS.Timeout | null = null;
  #takenBytes = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param drained is called whenever everything has been taken after some had to wait */
  constructor(socket: Socket, drained: () => void) {
    this.#socket = socket;
    socket.on("drain", () => {
      this.#stopStallTimer();
      this.#release();
      drained();
    });
    socket.on("close", () => {
      this.#stopStallTimer();
      this.#release();
    });
  }

  get isFull(): boolean {
    return this.#socket.writableLength > limits.registryBacklogBytesMax;
  }

  /** `text` is a message in JSON. */
  send(text: string): void {
    if (this.#socket.destroyed) return;
    if (!this.#socket.write(encodeFrame(text))) this.#stallTimer ??= this.#armStallTimer();
  }

  /** Resolves when the client has taken most of what was sent, or is gone. */
  async room(): Promise<void> {
    if (this.#socket.destroyed || !this.#socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #armStallTimer(): NodeJS.Timeout {
    this.#takenBytes = this.#taken();
    return setTimeout(() => {
      this.#stallTimer = null;
      if (this.#taken() === this.#takenBytes) this.#socket.destroy();
      else this.#stallTimer = this.#armStallTimer();
    }, limits.registryStallMsMax);
  }

  #stopStallTimer(): void {
    if (this.#stallTimer !== null) clearTimeout(this.#stallTimer);
    this.#stallTimer = null;
  }

  /** `bytesWritten` counts what is still in the buffer. */
  #taken(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }
}
