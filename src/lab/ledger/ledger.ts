/**
 * The lab's books: what every host sent, what every host received, and what every dataplane
 * dropped. Losses come from the numbers in the payload alone; drop records only explain them. It
 * measures and never decides what is excused.
 */
import { limits } from "../../core/limits.js";
import type { DroppedRecord, ReceivedRecord, SentRecord } from "../traffic/journal-format.js";
import { Stream, type OutstandingPacket } from "./stream.js";

/** One run of a node's dataplane. Instances are numbered through the whole lab. */
export interface DataplaneRun {
  readonly node: number;
  readonly instance: number;
}

export interface LostPacket {
  readonly stream: Stream;
  readonly packet: OutstandingPacket;
}

export interface LedgerTotals {
  readonly attempted: number;
  readonly delivered: number;
  /** Outstanding for longer than a packet takes. */
  readonly missing: number;
}

/**
 * Loopback takes microseconds and the journals 20 ms: what is outstanding that long will not come.
 */
const settledMs = 400;

export class Ledger {
  readonly #runs = new Map<number, DataplaneRun>();
  readonly #streams = new Map<number, Stream>();
  readonly #drops = new Map<string, DroppedRecord[]>();
  readonly #periodStartsMs: number[] = [];
  /** Up to when each node has told of what it received. */
  readonly #toldMs = new Map<number, number>();
  #dropCount = 0;

  /** From here on packets are counted in a new period; the first is period 1. */
  beginPeriod(atMs: number): void {
    this.#periodStartsMs.push(atMs);
  }

  open(run: DataplaneRun): void {
    this.#runs.set(run.instance, run);
  }

  /** The run has told of everything up to `atMs`. */
  toldUpTo(instance: number, atMs: number): void {
    const run = this.#runs.get(instance);
    if (run !== undefined) this.#toldMs.set(run.node, atMs);
  }

  sent(instance: number, record: SentRecord): void {
    this.stream(instance, record.receiver)?.sent(record);
  }

  received(receiverInstance: number, record: ReceivedRecord): void {
    this.stream(record.instance, record.receiver)?.received(record.sequence, receiverInstance);
  }

  dropped(instance: number, record: DroppedRecord): void {
    if (this.#dropCount >= limits.labPacketRecordsMax) return;
    this.#dropCount += 1;
    const key = dropKey(instance, record.spi, record.espSequence);
    const known = this.#drops.get(key);
    if (known === undefined) this.#drops.set(key, [record]);
    else known.push(record);
  }

  /** Drops of one packet, by header, in one run of a dataplane. */
  findDrops(instance: number, spi: number, espSequence: number): readonly DroppedRecord[] {
    return this.#drops.get(dropKey(instance, spi, espSequence)) ?? [];
  }

  /** Undefined for a run that this lab never started. */
  stream(instance: number, receiver: number): Stream | undefined {
    const key = instance * 0x1_0000 + receiver;
    const known = this.#streams.get(key);
    const run = this.#runs.get(instance);
    if (known !== undefined || run === undefined) return known;
    const fresh = new Stream({ sender: run.node, instance, receiver }, (atMs) =>
      this.periodOf(atMs),
    );
    this.#streams.set(key, fresh);
    return fresh;
  }

  get streams(): Iterable<Stream> {
    return this.#streams.values();
  }

  get runs(): Iterable<DataplaneRun> {
    return this.#runs.values();
  }

  /** 0 before the first period. */
  periodOf(atMs: number): number {
    let index = this.#periodStartsMs.length;
    while (index > 0 && atMs < this.#periodStartsMs[index - 1]!) index -= 1;
    return index;
  }

  /** The run has stopped: nothing more will be told of it. */
  closeRun(instance: number, atMs: number, died: boolean): void {
    const run = this.#runs.get(instance);
    if (run !== undefined) this.#toldMs.delete(run.node);
    for (const stream of this.#streams.values()) {
      if (stream.instance !== instance) continue;
      if (died) stream.closeAfterDeath(atMs);
      else stream.closedMs ??= atMs;
    }
  }

  totals(nowMs: number): LedgerTotals {
    let [attempted, delivered, missing] = [0, 0, 0];
    for (const stream of this.#streams.values()) {
      attempted += stream.attempted;
      delivered += stream.delivered;
      const judgedMs = this.#judgedMs(stream, nowMs);
      for (const { sentMs } of stream.outstanding.values()) if (sentMs < judgedMs) missing += 1;
    }
    return { attempted, delivered, missing };
  }

  /** Ordered pairs that delivered a packet which was sent after `sinceMs`. */
  pairsAlive(sinceMs: number): number {
    const pairs = new Set<string>();
    for (const { sender, receiver, lastDeliveredMs } of this.#streams.values()) {
      if (lastDeliveredMs > sinceMs) pairs.add(`${sender} ${receiver}`);
    }
    return pairs.size;
  }

  /** What is outstanding for longer than a packet takes. */
  lost(nowMs: number): readonly LostPacket[] {
    const lost: LostPacket[] = [];
    for (const stream of this.#streams.values()) {
      const judgedMs = this.#judgedMs(stream, nowMs);
      for (const packet of stream.outstanding.values()) {
        if (packet.sentMs < judgedMs) lost.push({ stream, packet });
      }
    }
    return lost;
  }

  /** Packets sent before this either arrived or are lost. Of a receiver that is down nothing more comes. */
  #judgedMs({ receiver }: Stream, nowMs: number): number {
    return Math.min(nowMs, this.#toldMs.get(receiver) ?? nowMs) - settledMs;
  }
}

function dropKey(instance: number, spi: number, espSequence: number): string {
  return `${instance} ${spi} ${espSequence}`;
}
