/**
 * The userspace dataplane of one node: real ESP (RFC 4303, 4106) in UDP (RFC 3948) on loopback,
 * with the kernel's databases and error counters. It stands in for XFRM in the lab, in a process of
 * its own, so that the agent may die while traffic runs. Always in `require`: nothing leaves or
 * enters unencrypted. It decides nothing about rotations.
 */
import { assert } from "../../core/assert.js";
import { limits } from "../../core/limits.js";
import { fail, type Result } from "../../core/result.js";
import type { Endpoint, PolicyAction, PolicySlot, PolicyView, SaSlot } from "../../core/sa.js";
import type { Spi } from "../../core/spi.js";
import type { XfrmCounterName, XfrmCounters } from "../../core/xfrm-counters.js";
import type { DataplaneIdentity } from "../../ports/kernel.js";
import { familyOf, isLoopback, refusePolicy, refuseSa } from "./admission.js";
import { makeIdentity } from "./dataplane-identity.js";
import { EspSocket, type BoundEndpoint } from "./esp-socket.js";
import { receiveDatagram } from "./inbound.js";
import { sealPayload, type Databases } from "./outbound.js";
import { PolicyDatabase } from "./policy-database.js";
import { readReceiveDrops } from "./receive-drops.js";
import type { Refusal } from "./refusal.js";
import { SaDatabase, type Sa, type SaRequest } from "./sa-database.js";

export interface Delivery {
  /** Where the packet came from, which is the SA's peer. */
  readonly remote: Endpoint;
  readonly payload: Buffer;
  readonly spi: Spi;
}

/**
 * A packet lost here. Inbound: `spi` and `sequence` (its 32 low bits) as read from the header, null
 * when it is too short to have them, and `remote` is the source. `XfrmOutError`: the system refused
 * a packet that `send` had reported as sent; `remote` is the destination.
 */
export interface Drop {
  readonly counter: XfrmCounterName;
  readonly spi: Spi | null;
  readonly sequence: number | null;
  readonly remote: Endpoint;
  readonly atMs: number;
}

export interface DataplaneOptions {
  /** In 127/8, or ::1; port 0 takes a free one. */
  readonly local: BoundEndpoint;
  /** Packets; default `limits.replayWindowDefault`. */
  readonly replayWindow?: number;
  /** Monotonic milliseconds, for `Drop.atMs`. */
  readonly nowMs: () => number;
  readonly onDeliver: (delivery: Delivery) => void;
  readonly onDrop: (drop: Drop) => void;
}

export type SendOutcome =
  | { readonly kind: "sent"; readonly spi: Spi; readonly sequence: number }
  | { readonly kind: "blocked"; readonly counter: XfrmCounterName };

/** Every counter this dataplane can move; they start at 0, as in /proc/net/xfrm_stat. */
const keptCounters = [
  "XfrmInError",
  "XfrmInBufferError",
  "XfrmInHdrError",
  "XfrmInNoStates",
  "XfrmInStateProtoError",
  "XfrmInStateSeqError",
  "XfrmInStateMismatch",
  "XfrmInNoPols",
  "XfrmInPolBlock",
  "XfrmOutError",
  "XfrmOutNoStates",
  "XfrmOutStateSeqError",
  "XfrmOutPolBlock",
] as const satisfies readonly XfrmCounterName[];

export class Dataplane {
  readonly identity: DataplaneIdentity = makeIdentity();
  readonly #options: DataplaneOptions;
  readonly #socket: EspSocket;
  readonly #databases: Databases;
  readonly #counts = new Map<XfrmCounterName, number>(keptCounters.map((name) => [name, 0]));

  private constructor(options: DataplaneOptions, socket: EspSocket, databases: Databases) {
    this.#options = options;
    this.#socket = socket;
    this.#databases = databases;
    socket.receive(
      (datagram, source) => this.#receive(datagram, source),
      () => this.#count("XfrmInError"),
    );
  }

  /** Binds the socket. @throws PortError `DATAPLANE_BIND_FAILED` */
  static async open(options: DataplaneOptions): Promise<Dataplane> {
    const family = familyOf(options.local.address);
    assert(
      family !== null && isLoopback(options.local.address),
      "a userspace dataplane stays on loopback",
    );
    const sas = new SaDatabase(options.replayWindow ?? limits.replayWindowDefault);
    const socket = await EspSocket.bind(options.local);
    return new Dataplane(options, socket, { family, sas, policies: new PolicyDatabase() });
  }

  /** The bound address and port. */
  get local(): BoundEndpoint {
    return this.#socket.local;
  }

  /**
   * Seals and sends `payload`, at most `limits.espPayloadBytesMax` bytes (more is `XfrmOutError`),
   * before it returns.
   */
  send(remote: Endpoint, payload: Buffer): SendOutcome {
    if (payload.length > limits.espPayloadBytesMax || remote.udpPort === null)
      return this.#block("XfrmOutError");
    const verdict = sealPayload(this.#databases, remote, payload);
    if (verdict.kind === "blocked") return this.#block(verdict.counter);
    const { spi, sequence, packet } = verdict;
    const target = { address: remote.address, udpPort: remote.udpPort };
    this.#socket.send(packet, target, () =>
      this.#drop("XfrmOutError", spi, packet.readUInt32BE(4), remote),
    );
    return { kind: "sent", spi, sequence };
  }

  /**
   * Copies the key. The equal SA is left as it is. Codes: `EEXIST`, `KEY_LENGTH_UNSUPPORTED`,
   * `DATAPLANE_UNSUPPORTED`, `DATAPLANE_NOT_LOCAL`, `DATAPLANE_FULL`.
   */
  installSa(request: SaRequest, keyBytes: Buffer): Result<"installed" | "unchanged", Refusal> {
    const refusal = refuseSa(this.local, request);
    return refusal === null ? this.#databases.sas.install(request, keyBytes) : fail(refusal);
  }

  /** Wipes the key. False when there is no such SA. */
  deleteSa(slot: SaSlot): boolean {
    return this.#databases.sas.remove(slot);
  }

  /**
   * Replaces at once: no packet sees anything in between. Codes: `DATAPLANE_UNSUPPORTED`,
   * `DATAPLANE_FULL`.
   */
  setPolicy(slot: PolicySlot, action: PolicyAction): Result<"set" | "unchanged", Refusal> {
    const refusal = refusePolicy(this.local, slot);
    return refusal === null ? this.#databases.policies.set(slot, action) : fail(refusal);
  }

  /** False when there is no such policy. */
  deletePolicy(slot: PolicySlot): boolean {
    return this.#databases.policies.remove(slot);
  }

  findSa(slot: SaSlot): Sa | undefined {
    return this.#databases.sas.find(slot);
  }

  findPolicy(slot: PolicySlot): PolicyView | undefined {
    return this.#databases.policies.find(slot);
  }

  listSas(): Sa[] {
    return this.#databases.sas.list();
  }

  listPolicies(): PolicyView[] {
    return this.#databases.policies.list();
  }

  /**
   * Packets lost here since the start. `XfrmInBufferError`: the socket's buffer was full, so no
   * `Drop` tells of it.
   */
  counters(): XfrmCounters {
    return { ...Object.fromEntries(this.#counts), XfrmInBufferError: readReceiveDrops(this.local) };
  }

  /** Closes the socket and wipes every key. A `send` after it is `XfrmOutPolBlock`. */
  close(): Promise<void> {
    this.#databases.policies.clear();
    this.#databases.sas.clear();
    return this.#socket.close();
  }

  #receive(datagram: Buffer, source: Endpoint): void {
    const verdict = receiveDatagram(this.#databases, datagram, source);
    if (verdict.kind === "ignored") return;
    if (verdict.kind === "dropped")
      return this.#drop(verdict.counter, verdict.spi, verdict.sequence, source);
    this.#options.onDeliver({ remote: source, payload: verdict.payload, spi: verdict.spi });
  }

  #block(counter: XfrmCounterName): SendOutcome {
    this.#count(counter);
    return { kind: "blocked", counter };
  }

  #drop(
    counter: XfrmCounterName,
    spi: Spi | null,
    sequence: number | null,
    remote: Endpoint,
  ): void {
    this.#count(counter);
    this.#options.onDrop({ counter, spi, sequence, remote, atMs: this.#options.nowMs() });
  }

  #count(counter: XfrmCounterName): void {
    this.#counts.set(counter, (this.#counts.get(counter) ?? 0) + 1);
  }
}
