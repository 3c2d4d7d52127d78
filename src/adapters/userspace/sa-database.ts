/**
 * The security association database (RFC 4301, 4.4.2). Outbound SAs are found by peer and SPI,
 * inbound ones by SPI alone, because the destination is always this node; so an SPI is inbound
 * once, whoever the peer is, as in the kernel. Invariant: an SA's key never changes, and its bytes
 * are wiped when it leaves. Addresses are judged by admission.ts.
 */
import { timingSafeEqual } from "node:crypto";
import { assert } from "../../core/assert.js";
import { limits } from "../../core/limits.js";
import { fail, succeed, type Result } from "../../core/result.js";
import { endpointKey, saSlotKey } from "../../core/sa.js";
import type { Endpoint, SaSlot } from "../../core/sa.js";
import { formatSpi, type Spi } from "../../core/spi.js";
import { Secret } from "../crypto/secret.js";
import { isEspKeyLength } from "./esp.js";
import type { Refusal } from "./refusal.js";
import { isReplayWindowSize, ReplayWindow } from "./replay-window.js";

/** What is installed, besides the key bytes. */
export interface SaRequest {
  readonly direction: "in" | "out";
  readonly spi: Spi;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly mode: "transport" | "tunnel";
}

interface InstalledSa {
  readonly slot: SaSlot;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly key: Secret;
  /** Packets sealed or opened. */
  packets: number;
}

export interface OutboundSa extends InstalledSa {
  readonly direction: "out";
  /** Last sequence number used, 0 before the first packet. */
  sequence: number;
}

export interface InboundSa extends InstalledSa {
  readonly direction: "in";
  readonly window: ReplayWindow;
}

export type Sa = OutboundSa | InboundSa;

export class SaDatabase {
  readonly #replayWindow: number;
  readonly #bySlot = new Map<string, Sa>();
  readonly #inboundBySpi = new Map<number, InboundSa>();

  /** @param replayWindow of inbound SAs, in packets. */
  constructor(replayWindow: number) {
    assert(isReplayWindowSize(replayWindow), "the replay window is within the limits");
    this.#replayWindow = replayWindow;
  }

  get size(): number {
    return this.#bySlot.size;
  }

  /**
   * Installs an SA with a copy of `keyBytes`. The equal SA is left as it is, sequence number and
   * window included. Codes: `EEXIST`, `KEY_LENGTH_UNSUPPORTED`, `DATAPLANE_FULL`.
   */
  install(request: SaRequest, keyBytes: Buffer): Result<"installed" | "unchanged", Refusal> {
    const slot = slotOf(request);
    const holder = this.find(slot) ?? this.#holderOfSpi(request);
    if (holder !== undefined)
      return holds(holder, request, keyBytes) ? succeed("unchanged") : fail(taken(slot));
    if (!isEspKeyLength(keyBytes.length)) return fail(wrongLength(keyBytes.length));
    if (this.#bySlot.size >= limits.dataplaneSasMax) return fail(full);
    this.#add(slot, request, keyBytes);
    return succeed("installed");
  }

  /** Takes an SA out and wipes its key. False when there is none. */
  remove(slot: SaSlot): boolean {
    const sa = this.find(slot);
    if (sa === undefined) return false;
    this.#bySlot.delete(saSlotKey(slot));
    if (sa.direction === "in") this.#inboundBySpi.delete(slot.spi);
    sa.key.wipe();
    return true;
  }

  find(slot: SaSlot): Sa | undefined {
    return this.#bySlot.get(saSlotKey(slot));
  }

  outbound(spi: Spi, remote: Endpoint): OutboundSa | undefined {
    const sa = this.find({ direction: "out", spi, remote });
    return sa?.direction === "out" ? sa : undefined;
  }

  inbound(spi: number): InboundSa | undefined {
    return this.#inboundBySpi.get(spi);
  }

  list(): Sa[] {
    return [...this.#bySlot.values()];
  }

  /** Removes everything and wipes every key. */
  clear(): void {
    for (const sa of this.list()) this.remove(sa.slot);
  }

  #holderOfSpi(request: SaRequest): InboundSa | undefined {
    return request.direction === "in" ? this.#inboundBySpi.get(request.spi) : undefined;
  }

  #add(slot: SaSlot, request: SaRequest, keyBytes: Buffer): void {
    const key = new Secret(copyOf(keyBytes));
    const { source, destination } = request;
    const common = { slot, source, destination, key, packets: 0 };
    if (request.direction === "out") {
      this.#bySlot.set(saSlotKey(slot), { ...common, direction: "out", sequence: 0 });
      return;
    }
    const sa: InboundSa = {
      ...common,
      direction: "in",
      window: new ReplayWindow(this.#replayWindow),
    };
    this.#bySlot.set(saSlotKey(slot), sa);
    this.#inboundBySpi.set(slot.spi, sa);
  }
}

/** Highest sequence number sent or received. */
export function highestSequence(sa: Sa): number {
  return sa.direction === "out" ? sa.sequence : sa.window.highest;
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.udpPort === other.udpPort;
}

function slotOf(request: SaRequest): SaSlot {
  const remote = request.direction === "in" ? request.source : request.destination;
  return { direction: request.direction, spi: request.spi, remote };
}

function holds(sa: Sa, request: SaRequest, keyBytes: Buffer): boolean {
  const held = sa.key.reveal();
  return (
    sameEndpoint(sa.source, request.source) &&
    sameEndpoint(sa.destination, request.destination) &&
    held.length === keyBytes.length &&
    timingSafeEqual(held, keyBytes)
  );
}

/** Memory of its own, not of Node's shared pool, so that a wipe leaves nothing behind. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.alloc(bytes.length);
  bytes.copy(copy);
  return copy;
}

const full: Refusal = {
  code: "DATAPLANE_FULL",
  message: `the dataplane holds ${limits.dataplaneSasMax} security associations, its most`,
};

function taken(slot: SaSlot): Refusal {
  const place = `${slot.direction} ${formatSpi(slot.spi)} ${endpointKey(slot.remote)}`;
  return { code: "EEXIST", message: `another security association holds ${place}` };
}

function wrongLength(bytes: number): Refusal {
  const message = `rfc4106(gcm(aes)) keys have 20 or 36 bytes with their salt, not ${bytes}`;
  return { code: "KEY_LENGTH_UNSUPPORTED", message };
}
