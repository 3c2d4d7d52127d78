/**
 * The packets of one stream: one run of a dataplane to one receiver. A packet is outstanding from
 * its record until the receiver tells of it; what stays outstanding is lost. Delivered packets are
 * only counted, so memory grows with what is lost and in flight. Records may come in any order
 * between sender and receiver.
 */
import { splitSpi, type Spi } from "../../core/spi.js";
import type { SentRecord } from "../traffic/journal-format.js";

/**
 * The packets that were sealed with one outbound SA. It is seen to be replaced when its sequence
 * numbers begin again, or the SPI changes.
 */
export interface SaUse {
  readonly keyId: number;
  readonly firstMs: number;
  sent: number;
  delivered: number;
  /** Runs of the receiver's dataplane that could open it. */
  readonly openedBy: Set<number>;
}

export interface OutstandingPacket extends SentRecord {
  /** Null for a packet that never left. */
  readonly sa: SaUse | null;
}

/** When it was sent, by periods of the run: 0 is before the first rotation. */
export interface PeriodCounts {
  attempted: number;
  delivered: number;
}

export class Stream {
  readonly sender: number;
  readonly instance: number;
  readonly receiver: number;
  openedMs: number | null = null;
  /** When its dataplane stopped sending, on command or by dying. */
  closedMs: number | null = null;
  attempted = 0;
  delivered = 0;
  duplicates = 0;
  /** When the newest of the delivered packets was sent. */
  lastDeliveredMs = 0;
  /** The newest sequence number that each run of the receiver's dataplane delivered. */
  readonly newestBy = new Map<number, number>();
  readonly uses: SaUse[] = [];
  readonly outstanding = new Map<number, OutstandingPacket>();
  readonly periods: PeriodCounts[] = [];
  readonly #periodOf: (atMs: number) => number;
  /** Told by the receiver before the sender: sequence number to the receiver's run. */
  readonly #early = new Map<number, number>();
  /** Records told by the sender: sequence numbers have no holes. */
  #told = 0;
  #diedMs: number | null = null;
  #lastEspSequence = 0;
  #lastSpi = 0;

  constructor(
    place: { readonly sender: number; readonly instance: number; readonly receiver: number },
    periodOf: (atMs: number) => number,
  ) {
    this.sender = place.sender;
    this.instance = place.instance;
    this.receiver = place.receiver;
    this.#periodOf = periodOf;
  }

  sent(record: SentRecord): void {
    this.attempted += 1;
    this.#told += 1;
    this.#period(record.sentMs).attempted += 1;
    const sa = record.blocked === null ? this.#useOf(record) : null;
    if (sa !== null) sa.sent += 1;
    const packet = { ...record, sa };
    const openedBy = this.#early.get(record.sequence);
    if (openedBy === undefined) {
      this.outstanding.set(record.sequence, packet);
      return;
    }
    this.#early.delete(record.sequence);
    this.#deliver(packet, openedBy);
  }

  /** @param receiverInstance the run of the receiver's dataplane */
  received(sequence: number, receiverInstance: number): void {
    const packet = this.outstanding.get(sequence);
    if (packet !== undefined) {
      this.outstanding.delete(sequence);
      this.#deliver(packet, receiverInstance);
    } else if (sequence < this.#told || this.#early.has(sequence)) {
      this.duplicates += 1;
    } else {
      this.#early.set(sequence, receiverInstance);
      if (this.#diedMs !== null) this.#countUntold(1, this.#diedMs);
    }
  }

  /** The sender died before it told of its last packets. What arrived was sent. */
  closeAfterDeath(atMs: number): void {
    this.closedMs ??= atMs;
    this.#diedMs = atMs;
    this.#countUntold(this.#early.size, atMs);
  }

  #countUntold(packets: number, atMs: number): void {
    const period = this.#period(atMs);
    this.attempted += packets;
    this.delivered += packets;
    period.attempted += packets;
    period.delivered += packets;
  }

  #deliver(packet: OutstandingPacket, receiverInstance: number): void {
    this.delivered += 1;
    this.lastDeliveredMs = Math.max(this.lastDeliveredMs, packet.sentMs);
    const newest = this.newestBy.get(receiverInstance) ?? -1;
    this.newestBy.set(receiverInstance, Math.max(newest, packet.sequence));
    this.#period(packet.sentMs).delivered += 1;
    if (packet.sa === null) return;
    packet.sa.delivered += 1;
    packet.sa.openedBy.add(receiverInstance);
  }

  #useOf(record: SentRecord): SaUse {
    const current = this.uses.at(-1);
    const goesOn = record.spi === this.#lastSpi && record.espSequence > this.#lastEspSequence;
    this.#lastSpi = record.spi;
    this.#lastEspSequence = record.espSequence;
    if (current !== undefined && goesOn) return current;
    const { keyId } = splitSpi(record.spi as Spi);
    const openedBy = new Set<number>();
    const fresh: SaUse = { keyId, firstMs: record.sentMs, sent: 0, delivered: 0, openedBy };
    this.uses.push(fresh);
    return fresh;
  }

  #period(atMs: number): PeriodCounts {
    const index = this.#periodOf(atMs);
    while (this.periods.length <= index) this.periods.push({ attempted: 0, delivered: 0 });
    return this.periods[index]!;
  }
}
