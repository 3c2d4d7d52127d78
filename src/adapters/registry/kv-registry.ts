/**
 * The registry port over any store of kv.ts: what the records mean, and who may write what when.
 * Adapters differ only in their store. Owns its watches and campaigns, which end when it is closed.
 */
import { setMaxListeners } from "node:events";
import { assert } from "../../core/assert.js";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../core/fleet/record.js";
import {
  parseIncarnationId,
  parseNodeName,
  type IncarnationId,
  type NodeName,
  type RosterEntry,
  type RosterRevision,
} from "../../core/node.js";
import type { Report } from "../../core/report.js";
import type { Done, Stop } from "../../ports/failure.js";
import type {
  LeaseView,
  RegisterRequest,
  RegistryPort,
  SingleEvent,
  WatchEvent,
} from "../../ports/registry.js";
import { PortError } from "../port-error.js";
import { admit, dismiss } from "./admission.js";
import { campaign } from "./campaign.js";
import { fleetKey, requestKey } from "./keys.js";
import type { Kv, KvElection, KvLease, KvLeases, KvReader } from "./kv.js";
import { watchList } from "./list-watch.js";
import { reportSource, rosterSource } from "./list-sources.js";
import type { InvalidRecord } from "./records.js";
import { fleetRecordSchema, operatorRequestSchema } from "./schemas.js";
import { settle } from "./settle.js";
import { watchSingle } from "./single-watch.js";
import {
  clearRequest,
  listRotations,
  publishReport,
  putRequest,
  putRotation,
  writeFleet,
} from "./single-writes.js";

export interface KvRegistryOptions {
  /** Called for each stored record that is skipped because this version cannot read it. */
  readonly skipped: (record: InvalidRecord) => void;
  /** Called once, after everything that uses the store has been stopped. */
  readonly closed: () => void;
  /** What a leader also does, until its term ends. */
  readonly lead?: () => Stop;
}

/** What a registry does besides reading. A promise that fails does so with a `PortError`. */
export interface RegistryWrites {
  /** `signal` is aborted when the registry is closed. */
  register(request: RegisterRequest, signal: AbortSignal): Promise<RosterEntry>;
  remove(name: NodeName, signal: AbortSignal): Promise<RosterRevision>;
  publishReport(report: Report): Promise<null>;
  writeFleet(record: FleetRecord, expectedVersion: number): Promise<number>;
  putRequest(request: OperatorRequest): Promise<null>;
  clearRequest(id: string): Promise<null>;
  putRotation(record: RotationRecord): Promise<null>;
}

/** A store without transactions brings its own writes. */
export type RegistryStore = KvReader & KvLeases & KvElection;

export class KvRegistry implements RegistryPort {
  readonly #kv: RegistryStore;
  readonly #writes: RegistryWrites;
  readonly #options: KvRegistryOptions;
  readonly #stops = new Set<Stop>();
  readonly #closing = new AbortController();

  constructor(kv: Kv, options: KvRegistryOptions);
  constructor(store: RegistryStore, options: KvRegistryOptions, writes: RegistryWrites);
  constructor(store: RegistryStore | Kv, options: KvRegistryOptions, writes?: RegistryWrites) {
    assert(writes !== undefined || "transaction" in store, "somebody writes");
    this.#kv = store;
    this.#writes = writes ?? kvWrites(store as Kv);
    this.#options = options;
    // As many roster writes as callers like may wait for another try.
    setMaxListeners(0, this.#closing.signal);
  }

  register(request: RegisterRequest, done: Done<RosterEntry>): void {
    this.#settle(() => this.#writes.register(request, this.#closing.signal), done);
  }

  remove(name: NodeName, done: Done<RosterRevision>): void {
    this.#settle(() => this.#writes.remove(name, this.#closing.signal), done);
  }

  watchRoster(listener: (event: WatchEvent<RosterEntry>) => void): Stop {
    return this.#keep(() => watchList(this.#kv, rosterSource, this.#sink(listener)));
  }

  publishReport(report: Report, done: Done<null>): void {
    this.#settle(() => this.#writes.publishReport(report), done);
  }

  watchReports(listener: (event: WatchEvent<Report>) => void): Stop {
    return this.#keep(() => watchList(this.#kv, reportSource, this.#sink(listener)));
  }

  writeFleet(record: FleetRecord, expectedVersion: number, done: Done<number>): void {
    this.#settle(() => this.#writes.writeFleet(record, expectedVersion), done);
  }

  watchFleet(listener: (event: SingleEvent<FleetRecord>) => void): Stop {
    const source = { key: fleetKey, schema: fleetRecordSchema };
    return this.#keep(() => watchSingle(this.#kv, source, this.#sink(listener)));
  }

  putRequest(request: OperatorRequest, done: Done<null>): void {
    this.#settle(() => this.#writes.putRequest(request), done);
  }

  clearRequest(id: string, done: Done<null>): void {
    this.#settle(() => this.#writes.clearRequest(id), done);
  }

  watchRequest(listener: (event: SingleEvent<OperatorRequest>) => void): Stop {
    const source = { key: requestKey, schema: operatorRequestSchema };
    return this.#keep(() => watchSingle(this.#kv, source, this.#sink(listener)));
  }

  putRotation(record: RotationRecord, done: Done<null>): void {
    this.#settle(() => this.#writes.putRotation(record), done);
  }

  listRotations(done: Done<readonly RotationRecord[]>): void {
    this.#settle((kv) => listRotations(kv, this.#options.skipped), done);
  }

  renewLease(
    name: NodeName,
    incarnationId: IncarnationId,
    leaseMs: number,
    done: Done<null>,
  ): void {
    this.#settle(async (kv) => {
      await kv.renewLease(name, incarnationId, leaseMs);
      return null;
    }, done);
  }

  listLeases(done: Done<readonly LeaseView[]>): void {
    this.#settle(async (kv) => (await kv.leases()).flatMap(leaseViewOf), done);
  }

  campaign(candidate: string, leaseMs: number, leading: (isLeader: boolean) => void): Stop {
    const { lead } = this.#options;
    let stopLeading = (): void => undefined;
    const turn = (isLeader: boolean): void => {
      stopLeading();
      stopLeading = isLeader && lead !== undefined ? lead() : () => undefined;
    };
    return this.#keep(() => {
      const stop = campaign(this.#kv, candidate, leaseMs, (isLeader) => {
        turn(isLeader);
        leading(isLeader);
      });
      return () => {
        turn(false);
        stop();
      };
    });
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    for (const stop of [...this.#stops]) stop();
    this.#closing.abort();
    this.#options.closed();
  }

  #settle<T>(run: (kv: RegistryStore) => Promise<T>, done: Done<T>): void {
    settle(this.#closing.signal.aborted ? Promise.reject(closedError()) : run(this.#kv), done);
  }

  #sink<E>(listener: (event: E) => void): {
    readonly listener: (event: E) => void;
    readonly skipped: (record: InvalidRecord) => void;
  } {
    return { listener, skipped: this.#options.skipped };
  }

  #keep(start: () => Stop): Stop {
    if (this.#closing.signal.aborted) return () => undefined;
    const stop = start();
    const release = (): void => {
      this.#stops.delete(release);
      stop();
    };
    this.#stops.add(release);
    return release;
  }
}

/** By transactions, each all or nothing. */
function kvWrites(kv: Kv): RegistryWrites {
  return {
    register: (request, signal) => admit(kv, request, signal),
    remove: (name, signal) => dismiss(kv, name, signal),
    publishReport: (report) => publishReport(kv, report),
    writeFleet: (record, expectedVersion) => writeFleet(kv, record, expectedVersion),
    putRequest: (request) => putRequest(kv, request),
    clearRequest: (id) => clearRequest(kv, id),
    putRotation: (record) => putRotation(kv, record),
  };
}

function closedError(): PortError {
  return new PortError("REGISTRY_CLOSED", "the registry was closed", false);
}

/** Leases come from any client: one whose name makes no sense is left out. */
function leaseViewOf(lease: KvLease): readonly LeaseView[] {
  const name = parseNodeName(lease.name);
  const incarnationId = parseIncarnationId(lease.holder);
  if (!name.ok || !incarnationId.ok) return [];
  return [{ name: name.value, incarnationId: incarnationId.value, beat: lease.beat }];
}
