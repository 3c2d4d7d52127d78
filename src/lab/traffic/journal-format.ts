/**
 * What a dataplane tells the lab about its packets, in binary: 24 bytes for one sent, 12 for one
 * received, 20 for one dropped. Frames are length (4), kind (1), the time up to which all is told
 * (8), records. Invariant: records of a kind are told in the order in which they happened, each
 * once.
 */
import { assert } from "../../core/assert.js";
import { xfrmCounters, type XfrmCounterName } from "../../core/xfrm-counters.js";

/** One attempt to send. `blocked` is null for a packet that left. */
export interface SentRecord {
  readonly receiver: number;
  readonly sequence: number;
  readonly blocked: XfrmCounterName | null;
  readonly spi: number;
  readonly espSequence: number;
  readonly sentMs: number;
}

export interface ReceivedRecord {
  readonly instance: number;
  readonly receiver: number;
  readonly sequence: number;
}

/** A packet lost inside a dataplane. `remotePort` is the other end's UDP port. */
export interface DroppedRecord {
  readonly counter: XfrmCounterName;
  readonly remotePort: number;
  readonly spi: number;
  readonly espSequence: number;
  readonly atMs: number;
}

/** What happens rarely, as JSON. */
export type JournalEvent =
  /** Listening; the agent's configuration needs the port. */
  | { readonly kind: "ready"; readonly port: number }
  /** The first moment at which the outbound policy lets packets to the peer out. */
  | { readonly kind: "opened"; readonly receiver: number; readonly atMs: number }
  | { readonly kind: "stopped"; readonly atMs: number }
  | {
      readonly kind: "counters";
      readonly counters: Readonly<Partial<Record<XfrmCounterName, number>>>;
    };

export interface JournalListener {
  sent(record: SentRecord): void;
  received(record: ReceivedRecord): void;
  dropped(record: DroppedRecord): void;
  event(event: JournalEvent): void;
  /** Everything up to `atMs`, monotonic milliseconds, has been told. */
  toldUpTo(atMs: number): void;
}

export const frameKinds = { sent: 1, received: 2, dropped: 3, event: 4 } as const;
export const recordBytes = { sent: 24, received: 12, dropped: 20 } as const;
export const frameHeaderBytes = 13;
/** A frame holds what one turn of the flush timer collects; more is an error of the stream. */
const frameBytesMax = 16 * 1024 * 1024;

const counterNames = Object.keys(xfrmCounters) as readonly XfrmCounterName[];

export function writeSent(target: Buffer, at: number, record: SentRecord): void {
  target.writeUInt16BE(record.receiver, at);
  target.writeUInt16BE(record.blocked === null ? 0 : codeOf(record.blocked), at + 2);
  target.writeUInt32BE(record.sequence, at + 4);
  target.writeUInt32BE(record.spi, at + 8);
  target.writeUInt32BE(record.espSequence, at + 12);
  target.writeDoubleBE(record.sentMs, at + 16);
}

export function writeReceived(target: Buffer, at: number, record: ReceivedRecord): void {
  target.writeUInt32BE(record.instance, at);
  target.writeUInt32BE(record.receiver, at + 4);
  target.writeUInt32BE(record.sequence, at + 8);
}

export function writeDropped(target: Buffer, at: number, record: DroppedRecord): void {
  target.writeUInt16BE(codeOf(record.counter), at);
  target.writeUInt16BE(record.remotePort, at + 2);
  target.writeUInt32BE(record.spi, at + 4);
  target.writeUInt32BE(record.espSequence, at + 8);
  target.writeDoubleBE(record.atMs, at + 12);
}

/** Reads a stream of frames, however it is cut. */
export class JournalReader {
  readonly #listener: JournalListener;
  #rest: Buffer = Buffer.alloc(0);

  constructor(listener: JournalListener) {
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (rest.length >= frameHeaderBytes) {
      const bytes = rest.readUInt32BE(0);
      assert(bytes <= frameBytesMax, `a journal frame has ${bytes} bytes`);
      if (rest.length < frameHeaderBytes + bytes) break;
      const body = rest.subarray(frameHeaderBytes, frameHeaderBytes + bytes);
      this.#readFrame(rest.readUInt8(4), rest.readDoubleBE(5), body);
      rest = rest.subarray(frameHeaderBytes + bytes);
    }
    this.#rest = Buffer.from(rest);
  }

  #readFrame(kind: number, atMs: number, body: Buffer): void {
    if (kind === frameKinds.sent) this.#readSent(body);
    else if (kind === frameKinds.received) this.#readReceived(body);
    else if (kind === frameKinds.dropped) this.#readDropped(body);
    else this.#listener.event(JSON.parse(body.toString()) as JournalEvent);
    this.#listener.toldUpTo(atMs);
  }

  #readSent(body: Buffer): void {
    for (let at = 0; at < body.length; at += recordBytes.sent) {
      const code = body.readUInt16BE(at + 2);
      this.#listener.sent({
        receiver: body.readUInt16BE(at),
        blocked: code === 0 ? null : counterOf(code),
        sequence: body.readUInt32BE(at + 4),
        spi: body.readUInt32BE(at + 8),
        espSequence: body.readUInt32BE(at + 12),
        sentMs: body.readDoubleBE(at + 16),
      });
    }
  }

  #readReceived(body: Buffer): void {
    for (let at = 0; at < body.length; at += recordBytes.received) {
      this.#listener.received({
        instance: body.readUInt32BE(at),
        receiver: body.readUInt32BE(at + 4),
        sequence: body.readUInt32BE(at + 8),
      });
    }
  }

  #readDropped(body: Buffer): void {
    for (let at = 0; at < body.length; at += recordBytes.dropped) {
      this.#listener.dropped({
        counter: counterOf(body.readUInt16BE(at)),
        remotePort: body.readUInt16BE(at + 2),
        spi: body.readUInt32BE(at + 4),
        espSequence: body.readUInt32BE(at + 8),
        atMs: body.readDoubleBE(at + 12),
      });
    }
  }
}

/** 0 means that nothing blocked. */
function codeOf(counter: XfrmCounterName): number {
  return counterNames.indexOf(counter) + 1;
}

function counterOf(code: number): XfrmCounterName {
  const name = counterNames[code - 1];
  assert(name !== undefined, `journal code ${code} is a counter`);
  return name;
}
