/**
 * The registry of a fleet as an operator's command sees it: watches that keep a snapshot current,
 * and the few writes of an operator as promises. Owns its connection. Leases and rotation records
 * have no watch, and are read again on demand.
 */
import { PortError } from "../../adapters/port-error.js";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../core/fleet/record.js";
import type { FleetSnapshot } from "../../core/fleet/summary.js";
import type { NodeName, RosterEntry, RosterRevision } from "../../core/node.js";
import { emptyRoster } from "../../core/roster.js";
import type { Report } from "../../core/report.js";
import type { Done, Stop } from "../../ports/failure.js";
import type { LeaseView, RegistryPort, SingleEvent, WatchEvent } from "../../ports/registry.js";
import type { FleetPlace } from "./place.js";

/** The parts that a snapshot needs before it is whole. */
type Part = "roster" | "reports" | "fleet" | "request" | "leases" | "rotations";

export class FleetWatch {
  readonly place: FleetPlace;
  readonly #registry: RegistryPort;
  readonly #stops: Stop[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #missing = new Set<Part>([
    "roster",
    "reports",
    "fleet",
    "request",
    "leases",
    "rotations",
  ]);
  readonly #entries = new Map<NodeName, RosterEntry>();
  readonly #reports = new Map<NodeName, Report>();
  /** The entries in the order of their names; null after a change. */
  #sorted: ReadonlyMap<NodeName, RosterEntry> | null = null;
  #revision = 0;
  #fleet: FleetRecord | null = null;
  #request: OperatorRequest | null = null;
  #leases: ReadonlyMap<NodeName, LeaseView> | null = null;
  #rotations: readonly RotationRecord[] = [];
  #away: string | null = null;

  /** @param registry is closed with the watch */
  constructor(place: FleetPlace, registry: RegistryPort) {
    this.place = place;
    this.#registry = registry;
    this.#stops.push(registry.watchRoster((event) => this.#seeRoster(event)));
    this.#stops.push(registry.watchReports((event) => this.#seeReports(event)));
    this.#stops.push(registry.watchFleet((event) => this.#seeFleet(event)));
    this.#stops.push(registry.watchRequest((event) => this.#seeRequest(event)));
    this.refresh();
  }

  /** Every part was read at least once. */
  get isWhole(): boolean {
    return this.#missing.size === 0;
  }

  /** Why the registry is away, null while it answers. */
  get away(): string | null {
    return this.#away;
  }

  get rotations(): readonly RotationRecord[] {
    return this.#rotations;
  }

  get request(): OperatorRequest | null {
    return this.#request;
  }

  get fleet(): FleetRecord | null {
    return this.#fleet;
  }

  snapshot(): FleetSnapshot {
    this.#sorted ??= new Map([...this.#entries].sort(([one], [other]) => compareNames(one, other)));
    const nowWallMs = Date.now();
    return {
      coordination: this.place.coordination,
      ring: this.place.ring,
      roster: {
        ...emptyRoster,
        complete: true,
        revision: this.#revision as RosterRevision,
        entries: this.#sorted,
      },
      reports: this.#reports,
      fleet: this.#fleet,
      rotation: this.#rotations[0] ?? null,
      request: this.#request,
      leases: this.#leases,
      ageMs: (at) => ageOf(at, nowWallMs),
    };
  }

  /** Called after each change of what a snapshot shows. */
  onChange(listener: () => void): Stop {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Reads leases and rotation records again. */
  refresh(): void {
    this.#registry.listLeases((result) => {
      if (!result.ok) return;
      this.#leases = new Map(result.value.map((lease) => [lease.name, lease] as const));
      this.#saw("leases");
    });
    this.#registry.listRotations((result) => {
      if (!result.ok) return;
      this.#rotations = result.value;
      this.#saw("rotations");
    });
  }

  /** @throws PortError REGISTRY_CONFLICT while another request waits */
  putRequest(request: OperatorRequest): Promise<null> {
    return toPromise((done) => this.#registry.putRequest(request, done));
  }

  clearRequest(id: string): Promise<null> {
    return toPromise((done) => this.#registry.clearRequest(id, done));
  }

  /** Returns the roster revision of the removal. */
  remove(name: NodeName): Promise<RosterRevision> {
    return toPromise((done) => this.#registry.remove(name, done));
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.#listeners.clear();
    this.#registry.close();
  }

  #seeRoster(event: WatchEvent<RosterEntry>): void {
    if (event.kind === "disconnected") return this.#lose(event.reason);
    follow(this.#entries, event, (entry) => entry.name);
    this.#revision = event.revision;
    this.#sorted = null;
    this.#saw("roster");
  }

  #seeReports(event: WatchEvent<Report>): void {
    if (event.kind === "disconnected") return this.#lose(event.reason);
    follow(this.#reports, event, (report) => report.node);
    this.#saw("reports");
  }

  /** The record of a rotation changes with its phases. */
  #seeFleet(event: SingleEvent<FleetRecord>): void {
    if (event.kind === "disconnected") return this.#lose(event.reason);
    this.#fleet = event.object.value;
    this.#saw("fleet");
    this.refresh();
  }

  #seeRequest(event: SingleEvent<OperatorRequest>): void {
    if (event.kind === "disconnected") return this.#lose(event.reason);
    this.#request = event.object.value;
    this.#saw("request");
  }

  #saw(part: Part): void {
    this.#missing.delete(part);
    this.#away = null;
    this.#tell();
  }

  #lose(reason: string): void {
    this.#away = reason;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

type Change<T> = Exclude<WatchEvent<T>, { readonly kind: "disconnected" }>;

function follow<T>(items: Map<NodeName, T>, event: Change<T>, nameOf: (item: T) => NodeName): void {
  if (event.kind === "listing") items.clear();
  if (event.kind === "listing") for (const item of event.items) items.set(nameOf(item), item);
  if (event.kind === "put") items.set(nameOf(event.item), event.item);
  if (event.kind === "removed") items.delete(event.name as NodeName);
}

/** `node-2` comes before `node-10`. */
const compareNames = new Intl.Collator("en", { numeric: true }).compare;

function ageOf(at: string, nowWallMs: number): number | null {
  const wallMs = Date.parse(at);
  return Number.isNaN(wallMs) ? null : Math.max(0, nowWallMs - wallMs);
}

function toPromise<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((result) => {
      if (result.ok) return resolve(result.value);
      const { code, message, retryable } = result.error;
      reject(new PortError(code, message, retryable));
    });
  });
}
