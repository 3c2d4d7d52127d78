/**
 * The store over a socket. A request waits for the connection as long as it may take; one that was
 * sent when the connection broke fails, as its outcome is unknown. Watches resume where they were.
 */
import type { z } from "zod";
import { limits } from "../../../core/limits.js";
import type { Stop } from "../../../ports/failure.js";
import type { ServiceAddress } from "../../../ports/service-address.js";
import { systemClock } from "../../system/clock.js";
import type {
  Kv,
  KvCandidate,
  KvCompare,
  KvEvent,
  KvLease,
  KvOperation,
  KvOutcome,
  KvSnapshot,
} from "../kv.js";
import { orNull } from "../settle.js";
import { ClientWatches } from "./client-watches.js";
import { protocolError } from "./frames.js";
import { Link } from "./link.js";
import { formatAddress } from "./listen.js";
import {
  emptyAnswer,
  leadAnswer,
  leasesAnswer,
  outcomeAnswer,
  pingAnswer,
  snapshotAnswer,
  statisticsAnswer,
  type ServerMessage,
} from "./protocol.js";
import { Requests, type RequestBody } from "./requests.js";
import type { RegistryStatistics } from "./statistics.js";

export class EmbeddedClient implements Kv {
  readonly #link: Link;
  readonly #requests: Requests;
  readonly #watches: ClientWatches;
  readonly #pingTimer: NodeJS.Timeout;
  #nextId = 0;

  constructor(address: ServiceAddress) {
    const newId = (): number => (this.#nextId += 1);
    this.#link = new Link(address, {
      up: (storeId) => {
        this.#watches.up(storeId);
        this.#requests.up();
      },
      down: (reason) => {
        this.#requests.down(reason);
        this.#watches.down(reason);
      },
      message: (message) => this.#accept(message),
    });
    this.#requests = new Requests(this.#link, newId, formatAddress(address));
    this.#watches = new ClientWatches(this.#link, newId);
    this.#pingTimer = setInterval(() => void this.#ping(), limits.registryPingMs);
  }

  get(keys: readonly string[]): Promise<KvSnapshot> {
    return this.#snapshot({ kind: "get", keys: [...keys] });
  }

  range(prefix: string, limit?: number): Promise<KvSnapshot> {
    return this.#snapshot({ kind: "range", prefix, limit: limit ?? null });
  }

  transaction(
    compares: readonly KvCompare[],
    operations: readonly KvOperation[],
  ): Promise<KvOutcome> {
    return this.#ask(
      { kind: "transaction", compares: [...compares], operations: [...operations] },
      outcomeAnswer,
    );
  }

  watch(prefix: string, after: number, listener: (event: KvEvent) => void): Stop {
    return this.#watches.open(prefix, after, listener);
  }

  async renewLease(name: string, holder: string, leaseMs: number): Promise<void> {
    await this.#ask({ kind: "renew-lease", name, holder, leaseMs }, emptyAnswer);
  }

  leases(): Promise<readonly KvLease[]> {
    return this.#ask({ kind: "leases" }, leasesAnswer);
  }

  lead(candidate: KvCandidate, leaseMs: number): Promise<boolean> {
    return this.#ask({ kind: "lead", candidate, leaseMs }, leadAnswer);
  }

  async resign(candidate: KvCandidate): Promise<void> {
    await this.#ask({ kind: "resign", candidate }, emptyAnswer);
  }

  statistics(): Promise<RegistryStatistics> {
    return this.#ask({ kind: "statistics" }, statisticsAnswer);
  }

  /**
   * What was sent is still delivered, as a resignation; what was not answered fails with
   * REGISTRY_CLOSED.
   */
  close(): void {
    clearInterval(this.#pingTimer);
    this.#watches.close();
    this.#link.close();
    this.#requests.close();
  }

  async #ask<T>(body: RequestBody, schema: z.ZodType<T>): Promise<T> {
    const { value } = await this.#requests.ask(body, limits.registryRequestMsMax);
    return parseAnswer(value, schema);
  }

  async #snapshot(body: RequestBody): Promise<KvSnapshot> {
    const { value, items } = await this.#requests.ask(body, limits.registryListingMsMax);
    return { revision: parseAnswer(value, snapshotAnswer).revision, items };
  }

  #accept(message: ServerMessage): void {
    if (!this.#watches.accept(message)) this.#requests.accept(message);
  }

  /** Finds a server that is silent, and keeps the watches of quiet prefixes from growing old. */
  async #ping(): Promise<void> {
    if (!this.#link.isUp) return;
    const sentMs = systemClock.nowMs();
    const answer = await orNull(this.#ask({ kind: "ping" }, pingAnswer));
    if (answer !== null) return this.#watches.advance(answer.revision);
    // This process may have slept: what arrived meanwhile is read before the server is given up.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#link.isUp && this.#link.receivedMs < sentMs) this.#link.drop("no answer");
  }
}

function parseAnswer<T>(value: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw protocolError("an unknown answer");
}
