/**
 * Collects what happened to packets and writes it every few milliseconds. What was told is out of
 * this process: a kill -9 takes at most the records of one interval with it. What happened in one
 * interval is one write, so `toldUpTo` is true for every kind of record.
 */
import type { Writable } from "node:stream";
import { systemClock } from "../../adapters/system/clock.js";
import {
  frameHeaderBytes,
  frameKinds,
  recordBytes,
  writeDropped,
  writeReceived,
  writeSent,
  type DroppedRecord,
  type JournalEvent,
  type ReceivedRecord,
  type SentRecord,
} from "./journal-format.js";

export const flushIntervalMs = 20;
/** Beyond this much unread text the lab is too slow to follow, and traffic waits. */
const backlogBytesMax = 16 * 1024 * 1024;
const recordsAtFirst = 64;

export class JournalWriter {
  readonly #stream: Writable;
  readonly #sent = new RecordBuffer(recordBytes.sent);
  readonly #received = new RecordBuffer(recordBytes.received);
  readonly #dropped = new RecordBuffer(recordBytes.dropped);
  readonly #timer: NodeJS.Timeout;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#timer = setInterval(() => this.flush(), flushIntervalMs);
  }

  /** False while the reader is so far behind that nothing more should happen. */
  get isFollowed(): boolean {
    return this.#stream.writableLength < backlogBytesMax;
  }

  sent(record: SentRecord): void {
    const at = this.#sent.claim();
    writeSent(this.#sent.bytes, at, record);
  }

  received(record: ReceivedRecord): void {
    const at = this.#received.claim();
    writeReceived(this.#received.bytes, at, record);
  }

  dropped(record: DroppedRecord): void {
    const at = this.#dropped.claim();
    writeDropped(this.#dropped.bytes, at, record);
  }

  /** Written at once, after all that happened before it. */
  event(event: JournalEvent): void {
    this.flush();
    const body = Buffer.from(JSON.stringify(event));
    this.#stream.write(Buffer.concat([frameHeader(frameKinds.event, body.length), body]));
  }

  flush(): void {
    const parts: Buffer[] = [];
    for (const kind of ["received", "dropped", "sent"] as const) {
      const records = this.#bufferOf(kind);
      if (records.length === 0) continue;
      const body = records.take();
      parts.push(frameHeader(frameKinds[kind], body.length), body);
    }
    // Silence would not tell a host that got nothing from one that is slow to say what it got.
    if (parts.length === 0) parts.push(frameHeader(frameKinds.received, 0));
    this.#stream.write(Buffer.concat(parts));
  }

  close(): void {
    clearInterval(this.#timer);
    this.flush();
  }

  #bufferOf(kind: "sent" | "received" | "dropped"): RecordBuffer {
    if (kind === "sent") return this.#sent;
    return kind === "received" ? this.#received : this.#dropped;
  }
}

function frameHeader(kind: number, bodyBytes: number): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32BE(bodyBytes, 0);
  header.writeUInt8(kind, 4);
  header.writeDoubleBE(systemClock.nowMs(), 5);
  return header;
}

/** Records of one size, one after another; grows with the load and is then reused. */
class RecordBuffer {
  readonly #recordBytes: number;
  bytes: Buffer;
  length = 0;

  constructor(size: number) {
    this.#recordBytes = size;
    this.bytes = Buffer.allocUnsafe(size * recordsAtFirst);
  }

  /** Where the next record goes. Call it before `bytes` is read: growing replaces them. */
  claim(): number {
    const at = this.length;
    this.length += this.#recordBytes;
    if (this.length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(this.bytes.length * 2);
      this.bytes.copy(larger, 0, 0, at);
      this.bytes = larger;
    }
    return at;
  }

  /** A copy of all records; the buffer is empty afterwards. */
  take(): Buffer {
    const copy = Buffer.from(this.bytes.subarray(0, this.length));
    this.length = 0;
    return copy;
  }
}
