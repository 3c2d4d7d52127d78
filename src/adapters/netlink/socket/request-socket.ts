/**
 * Requests to the kernel's XFRM, in order, one at a time. The kernel works through a batch inside
 * the send call and goes on past a message that it refuses; only the last of a batch is
 * acknowledged, and what was refused is told by sequence number. Between batches, and while a dump
 * is read, the event loop gets its turn.
 */
import { limits } from "../../../core/limits.js";
import { MessageBatch } from "../codec/batch.js";
import { netlinkFlag, netlinkType } from "../codec/constants.js";
import { readKernelError, type KernelError } from "../codec/kernel-error.js";
import { Answers } from "./answers.js";
import { errno, NetlinkDescriptor } from "./descriptor.js";
import { dumpUnstable, kernelFailure, socketClosed, systemFailure } from "./failures.js";
import { loadLibc } from "./libc.js";
import { nextTurn, pause } from "./turns.js";

/** A message that the kernel refused, by its place among those sent. */
export interface Refused {
  readonly index: number;
  readonly error: KernelError;
}

export type Answer<T> = { readonly found: T } | { readonly error: KernelError };

/** Appends exactly one message. */
export type AppendMessage<T> = (batch: MessageBatch, item: T) => void;

/** What the socket needs of a descriptor, so that tests can lose and cut messages. */
export type RequestDescriptor = Pick<
  NetlinkDescriptor,
  "send" | "receive" | "wipeReceived" | "close" | "portId" | "isOpen"
>;

/** @param protocol that of XFRM when absent */
export async function openRequestSocket(protocol?: number): Promise<RequestSocket> {
  return new RequestSocket(new NetlinkDescriptor(await loadLibc(), protocol));
}

export class RequestSocket {
  readonly #descriptor: RequestDescriptor;
  readonly #portId: number;
  readonly #answers: Answers;
  readonly #batch = new MessageBatch();
  #sequence = 1;
  #last: Promise<unknown> = Promise.resolve();
  #hasLeftovers = false;

  constructor(descriptor: RequestDescriptor) {
    this.#descriptor = descriptor;
    this.#portId = descriptor.portId();
    this.#answers = new Answers(descriptor, this.#portId);
  }

  /** The kernel's address of this socket: what it changes is announced with it. */
  get portId(): number {
    return this.#portId;
  }

  /**
   * Sends one message for each item, in order, and wipes every buffer that held them.
   * @returns what the kernel refused, in the order sent
   * @throws PortError when it is not known what the kernel did with some of them: read back
   */
  send<T>(items: readonly T[], append: AppendMessage<T>): Promise<readonly Refused[]> {
    return this.#inTurn(async () => {
      const refused: Refused[] = [];
      for (let start = 0; start < items.length; start += limits.netlinkBatchMessagesMax) {
        if (start > 0) await nextTurn();
        await this.#sendBatch(items, start, append, refused);
      }
      return refused;
    });
  }

  /**
   * Reads a table from its beginning to its end. When it changed meanwhile, `restart` is called and
   * it is read again.
   */
  dump(
    append: (batch: MessageBatch) => void,
    visit: (payload: Uint8Array) => void,
    restart: () => void,
  ): Promise<void> {
    return this.#inTurn(async () => {
      for (let attempt = 1; attempt <= limits.netlinkDumpAttemptsMax; attempt += 1) {
        if (await this.#dumpOnce(append, visit)) return;
        restart();
        await nextTurn();
      }
      throw dumpUnstable();
    });
  }

  /**
   * Asks for single SAs or policies.
   * @returns for each item what `read` made of the answer, or the kernel's error
   */
  getMany<T, R>(
    items: readonly T[],
    append: AppendMessage<T>,
    read: (payload: Uint8Array) => R,
  ): Promise<readonly Answer<R>[]> {
    return this.#inTurn(async () => {
      const answers: Answer<R>[] = [];
      for (let start = 0; start < items.length; start += limits.netlinkBatchMessagesMax) {
        if (start > 0) await nextTurn();
        answers.push(...(await this.#getBatch(items, start, append, read)));
      }
      return answers;
    });
  }

  /** What is under way fails. */
  close(): void {
    this.#batch.wipe();
    this.#descriptor.close();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      if (!this.#descriptor.isOpen) throw socketClosed();
      if (this.#hasLeftovers) this.#answers.drain();
      this.#hasLeftovers = false;
      try {
        return await run();
      } catch (cause) {
        this.#hasLeftovers = true;
        throw cause;
      } finally {
        this.#batch.wipe();
        this.#descriptor.wipeReceived();
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #sendBatch<T>(
    items: readonly T[],
    start: number,
    append: AppendMessage<T>,
    refused: Refused[],
  ): Promise<void> {
    const count = this.#fill(items, start, append);
    const first = await this.#transmit(netlinkFlag.acknowledge);
    const note = (place: number, error: KernelError | null): boolean => {
      if (error !== null) refused.push({ index: start + place, error });
      return place === count - 1;
    };
    while (!this.#receiveErrors(first, count, note));
  }

  /** @returns how many messages the batch has then */
  #fill<T>(items: readonly T[], start: number, append: AppendMessage<T>): number {
    const end = Math.min(items.length, start + limits.netlinkBatchMessagesMax);
    for (let index = start; index < end; index += 1) append(this.#batch, items[index]!);
    return end - start;
  }

  /** Sends the batch and wipes it. @returns the sequence number of its first message */
  async #transmit(lastFlags: number): Promise<number> {
    const first = this.#sequence;
    const batch = this.#batch;
    this.#sequence = (first + batch.count) >>> 0;
    batch.number(first, lastFlags, this.#portId);
    for (let attempt = 1; ; attempt += 1) {
      const number = this.#descriptor.send(batch.content());
      if (number === 0) break;
      if (!isPassing(number) || attempt === limits.netlinkSendAttemptsMax)
        throw systemFailure(number);
      await pause(limits.netlinkSendRetryMs);
    }
    batch.wipe();
    return first;
  }

  /** @returns whether `note` saw the last of the batch answered */
  #receiveErrors(
    first: number,
    count: number,
    note: (place: number, error: KernelError | null) => boolean,
  ): boolean {
    let isDone = false;
    this.#answers.receiveAnswers((message) => {
      const place = (message.sequence - first) >>> 0;
      if (message.type !== netlinkType.error || place >= count) return;
      isDone = note(place, readKernelError(message)) || isDone;
    });
    return isDone;
  }

  async #getBatch<T, R>(
    items: readonly T[],
    start: number,
    append: AppendMessage<T>,
    read: (payload: Uint8Array) => R,
  ): Promise<readonly Answer<R>[]> {
    const count = this.#fill(items, start, append);
    const first = await this.#transmit(0);
    const answers = new Map<number, Answer<R>>();
    while (answers.size < count) {
      this.#answers.receiveAnswers((message) => {
        const place = (message.sequence - first) >>> 0;
        if (place >= count || message.type === netlinkType.done) return;
        const error = message.type === netlinkType.error ? readKernelError(message) : null;
        answers.set(place, error === null ? { found: read(message.payload) } : { error });
      });
    }
    return Array.from({ length: count }, (_, place) => answers.get(place)!);
  }

  /** @returns false when the table changed while it was read, or a message of it was cut */
  async #dumpOnce(
    append: (batch: MessageBatch) => void,
    visit: (payload: Uint8Array) => void,
  ): Promise<boolean> {
    append(this.#batch);
    const sequence = await this.#transmit(0);
    const reading: DumpReading = { isDone: false, isSpoilt: false };
    let turnEndsMs = performance.now() + limits.netlinkTurnMsMax;
    while (!reading.isDone) {
      if (performance.now() >= turnEndsMs) {
        await nextTurn();
        if (!this.#descriptor.isOpen) throw socketClosed();
        turnEndsMs = performance.now() + limits.netlinkTurnMsMax;
      }
      this.#receiveDumpPart(sequence, reading, visit);
    }
    return !reading.isSpoilt;
  }

  #receiveDumpPart(
    sequence: number,
    reading: DumpReading,
    visit: (payload: Uint8Array) => void,
  ): void {
    const received = this.#answers.receive((message) => {
      if (message.sequence !== sequence) return;
      if ((message.flags & netlinkFlag.dumpInterrupted) !== 0) reading.isSpoilt = true;
      if (message.type !== netlinkType.done && message.type !== netlinkType.error) {
        visit(message.payload);
        return;
      }
      reading.isDone = true;
      const error = readKernelError(message);
      if (error !== null) throw kernelFailure(error);
    });
    if (received === "cut") reading.isSpoilt = true;
  }
}

interface DumpReading {
  isDone: boolean;
  isSpoilt: boolean;
}

function isPassing(number: number): boolean {
  return number === errno.again || number === errno.noMemory || number === errno.noBuffers;
}
