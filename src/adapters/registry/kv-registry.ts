/**
 * The registry port over any store of kv.ts: what the records mean, and who may write what when.
 * Adapters differ only in their store. Owns its watches and campaigns, which end when it is closed.
 */
import { setMaxListeners } from "node:events";
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
import type { Kv, KvLease } from "./kv.js";
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
}

export class KvRegistry implements RegistryPort {
  readonly #kv: Kv;
  readonly #options: KvRegistryOptions;
  readonly #stops = new Set<Stop>();
  readonly #closing = new AbortController();

  constructor(kv: Kv, options: KvRegistryOptions) {
    this.#kv = kv;
    this.#options = options;
    // As many roster writes as callers like may wait for another try.
    setMaxListeners(0, this.#closing.signal);
  }

  register(request: RegisterRequest, done: Done<RosterEntry>): void {
    this.#settle((kv) => admit(kv, request, this.#closing.signal), done);
  }

  remove(name: NodeName, done: Done<RosterRevision>): void {
    this.#settle((kv) => dismiss(kv, name, this.#closing.signal), done);
  }

  watchRoster(listener: (event: WatchEvent<RosterEntry>) => void): Stop {
    return this.#keep(() => watchList(this.#kv, rosterSource, this.#sink(listener)));
  }

  publishReport(report: Report, done: Done<null>): void {
    this.#settle((kv) => publishReport(kv, report), done);
  }

  watchReports(listener: (event: WatchEvent<Report>) => void): Stop {
    return this.#keep(() => watchList(this.#kv, reportSource, this.#sink(listener)));
  }

  writeFleet(record: FleetRecord, expectedVersion: number, done: Done<number>): void {
    this.#settle((kv) => writeFleet(kv, record, expectedVersion), done);
  }

  watchFleet(listener: (event: SingleEvent<FleetRecord>) => void): Stop {
    const source = { key: fleetKey, schema: fleetRecordSchema };
    return this.#keep(() => watchSingle(this.#kv, source, this.#sink(listener)));
  }

  putRequest(request: OperatorRequest, done: Done<null>): void {
    this.#settle((kv) => putRequest(kv, request), done);
  }

  clearRequest(id: string, done: Done<null>): void {
    this.#settle((kv) => clearRequest(kv, id), done);
  }

  watchRequest(listener: (event: SingleEvent<OperatorRequest>) => void): Stop {
    const source = { key: requestKey, schema: operatorRequestSchema };
    return this.#keep(() => watchSingle(this.#kv, source, this.#sink(listener)));
  }

  putRotation(record: RotationRecord, done: Done<null>): void {
    this.#settle((kv) => putRotation(kv, record), done);
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
    return this.#keep(() => campaign(this.#kv, candidate, leaseMs, leading));
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    for (const stop of [...this.#stops]) stop();
    this.#closing.abort();
    this.#options.closed();
  }

  #settle<T>(run: (kv: Kv) => Promise<T>, done: Done<T>): void {
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
