/**
 * The registry in virtual time: commits in order, watchers that lag each at their own pace, partitions, compare-and-set.
 * It keeps what a real registry keeps through a crash of its clients; it does not itself crash. In a fleet with a mesh it
 * sends a node its peers' records alone, and now and then how far the roster has come.
 */
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../core/fleet/record.js";
import { limits } from "../../core/limits.js";
import { sameAddresses, type NodeName, type RosterEntry, type RosterRevision } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import { fail, succeed } from "../../core/result.js";
import type { IncarnationNumber, NodeIndex } from "../../core/spi.js";
import type { Done, Stop } from "../../ports/failure.js";
import type { LeaseView, RegisterRequest, RegistryPort, SingleEvent, WatchEvent } from "../../ports/registry.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import { Audience } from "./audience.js";
import type { Mesh } from "./mesh.js";
import { replaceAll, type RegistryCopy } from "./registry-copy.js";
import { hand, type Watcher } from "./watcher.js";

export type Stream = "roster" | "reports" | "fleet" | "request";

/** The connection of one process. */
export interface Link {
  /** The node that it belongs to, null for a controller. */
  readonly owner: NodeName | null;
  readonly isAlive: () => boolean;
  /** Cut off: requests fail and events are lost. */
  isPartitioned: boolean;
  /** Events of these streams wait, in order: a slow watcher. */
  readonly held: Set<Stream>;
}

/** How often a node that does not see all of the roster is told how far it has come. */
const progressMs = 100;

export class SimRegistry {
  readonly #time: VirtualTime;
  /** Draws how long one message takes. */
  readonly #delayMs: () => number;
  readonly #entries = new Map<NodeName, RosterEntry>();
  readonly #reports = new Map<NodeName, Report>();
  readonly #leases = new Map<NodeName, LeaseView & { readonly untilMs: number }>();
  readonly #rotations = new Map<number, RotationRecord>();
  readonly #audiences: {
    readonly roster: Audience<Watcher<WatchEvent<RosterEntry>>>;
    readonly reports: Audience<Watcher<WatchEvent<Report>>>;
    readonly fleet: Audience<Watcher<SingleEvent<FleetRecord>>>;
    readonly request: Audience<Watcher<SingleEvent<OperatorRequest>>>;
  };
  readonly #watchersOf = new Map<Link, Set<Watcher>>();
  /** The name of the entry that changed last, which nobody sees who was not told of it. */
  #changedLast = "" as NodeName;
  #isProgressDue = false;
  #revision = 0;
  #rosterRevision = 0;
  #nextIndex = 1;
  #fleet: { version: number; value: FleetRecord | null } = { version: 0, value: null };
  #request: OperatorRequest | null = null;
  /** Its revision when the record first said that no pair begins to be plain any more; null while one may. */
  closingAtRevision: number | null = null;
  #leader: { candidate: string; untilMs: number } | null = null;
  readonly writes = { roster: 0, report: 0, fleet: 0, lease: 0, rotation: 0 };
  watchEvents = 0;
  /** A key was ever declared compromised. From then on agents may leave one in a hurry. */
  hadEmergency = false;

  constructor(time: VirtualTime, delayMs: () => number, mesh: Mesh | null = null) {
    this.#time = time;
    this.#delayMs = delayMs;
    this.#audiences = {
      roster: new Audience(mesh),
      reports: new Audience(mesh),
      fleet: new Audience(null),
      request: new Audience(null),
    };
  }

  get fleet(): FleetRecord | null {
    return this.#fleet.value;
  }

  /** The one that waits for its answer, or for being cleared. */
  get request(): OperatorRequest | null {
    return this.#request;
  }

  get rotations(): readonly RotationRecord[] {
    return [...this.#rotations.values()];
  }

  entry(name: NodeName): RosterEntry | undefined {
    return this.#entries.get(name);
  }

  report(name: NodeName): Report | undefined {
    return this.#reports.get(name);
  }

  setRequest(request: OperatorRequest | null): void {
    this.#request = request;
    this.hadEmergency ||= (request?.compromised ?? null) !== null;
    this.#deliverAll(this.#audiences.request.everyone(), this.#requestEvent());
  }

  /** Cuts a process off. One that notices hears `disconnected`; one that does not goes on with what it last saw. */
  cut(link: Link, isNoticed: boolean): void {
    if (isNoticed) for (const watcher of this.#watchersOf.get(link) ?? []) watcher.lose();
    link.isPartitioned = true;
  }

  /** Ends a partition: the process gets listings, as a reconnecting client does. */
  heal(link: Link): void {
    if (!link.isPartitioned) return;
    link.isPartitioned = false;
    for (const watcher of this.#watchersOf.get(link) ?? []) watcher.relist();
  }

  /** Delivers what waited, in order; or the whole present value, when some of it is no longer there. */
  release(link: Link, stream: Stream): void {
    link.held.delete(stream);
    for (const watcher of this.#watchersOf.get(link) ?? []) {
      if (watcher.stream !== stream) continue;
      for (const run of watcher.waiting.splice(0)) run();
      if (watcher.hasGap) watcher.relist();
      watcher.hasGap = false;
    }
  }

  /** Forgets its history: who has not got all of it by now has a gap. */
  compact(): void {
    for (const watchers of this.#watchersOf.values()) {
      for (const watcher of watchers) {
        watcher.hasGap ||= watcher.waiting.length > 0;
        watcher.waiting.length = 0;
      }
    }
  }

  /** What it holds now, as a backup has it. */
  copy(): RegistryCopy {
    const [entries, reports, rotations] = [new Map(this.#entries), new Map(this.#reports), new Map(this.#rotations)];
    const [revision, rosterRevision, nextIndex, fleet] = [this.#revision, this.#rosterRevision, this.#nextIndex, this.#fleet];
    return { entries, reports, rotations, revision, rosterRevision, nextIndex, fleet };
  }

  /**
   * Loses all but a copy, or all; everybody connects anew.
   * @param beyond by how much revisions and indices go on beyond those of the copy, as `spindle registry restore` makes them
   */
  fallBack(copy: RegistryCopy | null, beyond = 0): void {
    replaceAll(this.#entries, copy?.entries);
    replaceAll(this.#reports, copy?.reports);
    replaceAll(this.#rotations, copy?.rotations);
    this.#revision = (copy?.revision ?? 0) + beyond;
    this.#rosterRevision = beyond > 0 ? this.#revision : (copy?.rosterRevision ?? 0);
    this.#nextIndex = (copy?.nextIndex ?? 1) + beyond;
    const { version, value } = copy?.fleet ?? { version: 0, value: null };
    this.#fleet = { version: beyond > 0 ? this.#revision : version, value };
    for (const watchers of this.#watchersOf.values()) for (const watcher of watchers) watcher.relist();
  }

  /** The port of one process, which may die or be partitioned. */
  port(link: Link): RegistryPort {
    const request = <T>(done: Done<T>, run: () => ReturnType<typeof succeed<T>> | ReturnType<typeof conflict>): void => {
      this.#time.post(this.#time.nowMs + this.#delayMs(), () => {
        const result = link.isPartitioned ? unreachable() : run();
        this.#time.post(this.#time.nowMs + this.#delayMs(), () => {
          if (link.isAlive()) done(link.isPartitioned ? unreachable() : result);
        });
      });
    };
    return {
      register: (wanted, done) => request(done, () => succeed(this.#register(wanted))),
      remove: (name, done) => request(done, () => succeed(this.remove(name))),
      publishReport: (report, done) => request(done, () => succeed(this.#publish(report))),
      writeFleet: (record, version, done) => request(done, () => this.#writeFleet(record, version)),
      putRequest: (value, done) => request(done, () => (this.setRequest(value), succeed(null))),
      clearRequest: (id, done) => request(done, () => (this.#clear(id), succeed(null))),
      putRotation: (record, done) => request(done, () => (this.#putRotation(record), succeed(null))),
      listRotations: (done) =>
        request(done, () => succeed([...this.#rotations.values()].sort((one, other) => other.rotation - one.rotation))),
      renewLease: (name, incarnationId, leaseMs, done) =>
        request(done, () => {
          const beat = (this.#leases.get(name)?.beat ?? 0) + 1;
          this.writes.lease += 1;
          this.#leases.set(name, { name, incarnationId, beat, untilMs: this.#time.nowMs + leaseMs });
          return succeed(null);
        }),
      listLeases: (done) => request(done, () => succeed(this.#liveLeases())),
      campaign: (candidate, leaseMs, leading) => this.#campaign(candidate, leaseMs, leading, link),
      watchRoster: (listener) =>
        this.#watch("roster", this.#audiences.roster, listener, (watcher) => this.#rosterListing(watcher), link),
      watchReports: (listener) =>
        this.#watch("reports", this.#audiences.reports, listener, (watcher) => this.#reportListing(watcher), link),
      watchFleet: (listener) => this.#watch("fleet", this.#audiences.fleet, listener, () => this.#fleetEvent(), link),
      watchRequest: (listener) => this.#watch("request", this.#audiences.request, listener, () => this.#requestEvent(), link),
      close: () => undefined,
    };
  }

  remove(name: NodeName): RosterRevision {
    if (!this.#entries.delete(name)) return this.#rosterRevision as RosterRevision;
    this.#rosterRevision = this.#revision += 1;
    this.writes.roster += 1;
    const event = { kind: "removed", revision: this.#rosterRevision, name } as const;
    this.#tellRoster(name, event);
    if (this.#reports.delete(name)) {
      this.#deliverAll(this.#audiences.reports.seeing(name), event);
    }
    return this.#rosterRevision as RosterRevision;
  }

  #register(wanted: RegisterRequest): RosterEntry {
    const before = this.#entries.get(wanted.name);
    const isSameLife = before?.incarnationId === wanted.incarnationId;
    if (before !== undefined && isSameLife && sameAddresses(before.addresses, wanted.addresses)) return before;
    this.#rosterRevision = this.#revision += 1;
    this.writes.roster += 1;
    const number = before === undefined ? 0 : (before.incarnationNumber + (isSameLife ? 0 : 1)) % (limits.incarnationNumberMax + 1);
    const { name, incarnationId, addresses } = wanted;
    const entry: RosterEntry = {
      name,
      incarnationId,
      addresses,
      index: before?.index ?? (this.#nextIndex++ as NodeIndex),
      incarnationNumber: number as IncarnationNumber,
      revision: this.#rosterRevision as RosterRevision,
    };
    this.#entries.set(entry.name, entry);
    const event = { kind: "put", revision: this.#rosterRevision, item: entry } as const;
    this.#tellRoster(entry.name, event);
    return entry;
  }

  #tellRoster(name: NodeName, event: WatchEvent<RosterEntry>): void {
    const seeing = Array.from(this.#audiences.roster.seeing(name));
    for (const watcher of seeing) watcher.toldRevision = this.#rosterRevision;
    this.#deliverAll(seeing, event);
    this.#changedLast = name;
    if (this.#isProgressDue || !this.#audiences.roster.isDivided) return;
    this.#isProgressDue = true;
    this.#time.post(this.#time.nowMs + progressMs, () => this.#tellProgress());
  }

  /** To who does not see what changed: somebody unknown to it is not there. */
  #tellProgress(): void {
    this.#isProgressDue = false;
    const event = { kind: "removed", revision: this.#rosterRevision, name: this.#changedLast } as const;
    const behind = Array.from(this.#audiences.roster.partial()).filter(({ toldRevision }) => toldRevision < this.#rosterRevision);
    for (const watcher of behind) watcher.toldRevision = this.#rosterRevision;
    this.#deliverAll(behind, event);
  }

  #publish(report: Report): null {
    if (!this.#entries.has(report.node)) return null;
    this.#revision += 1;
    this.writes.report += 1;
    this.#reports.set(report.node, report);
    const event = { kind: "put", revision: this.#revision, item: report } as const;
    this.#deliverAll(this.#audiences.reports.seeing(report.node), event);
    return null;
  }

  #writeFleet(record: FleetRecord, version: number): ReturnType<typeof succeed<number>> | ReturnType<typeof conflict> {
    if (version !== this.#fleet.version) return conflict();
    this.#revision += 1;
    this.writes.fleet += 1;
    this.#fleet = { version: this.#revision, value: record };
    this.closingAtRevision = mayBeginPlain(record) ? null : (this.closingAtRevision ?? this.#revision);
    const event = this.#fleetEvent();
    this.#deliverAll(this.#audiences.fleet.everyone(), event);
    return succeed(this.#revision);
  }

  #putRotation(record: RotationRecord): void {
    this.writes.rotation += 1;
    this.#rotations.set(record.rotation, record);
  }

  #clear(id: string): void {
    if (this.#request?.id === id) this.setRequest(null);
  }

  #liveLeases(): readonly LeaseView[] {
    return [...this.#leases.values()].filter((lease) => lease.untilMs > this.#time.nowMs);
  }

  #campaign(candidate: string, leaseMs: number, leading: (isLeader: boolean) => void, link: Link): Stop {
    let stopped = false;
    const round = (): void => {
      if (stopped || !link.isAlive()) return;
      const now = this.#time.nowMs;
      const isFree = this.#leader === null || this.#leader.untilMs <= now || this.#leader.candidate === candidate;
      if (!link.isPartitioned && isFree) this.#leader = { candidate, untilMs: now + leaseMs };
      leading(this.#leader?.candidate === candidate && this.#leader.untilMs > now);
      this.#time.post(now + leaseMs / 3, round);
    };
    this.#time.post(this.#time.nowMs + this.#delayMs(), round);
    return () => {
      stopped = true;
      if (link.isAlive() && this.#leader?.candidate === candidate) this.#leader = null;
    };
  }

  #rosterListing(watcher: Watcher<WatchEvent<RosterEntry>>): WatchEvent<RosterEntry> {
    watcher.toldRevision = this.#rosterRevision;
    const items = this.#audiences.roster.visible(watcher, this.#entries);
    return { kind: "listing", revision: this.#rosterRevision, items };
  }

  #reportListing(watcher: Watcher<WatchEvent<Report>>): WatchEvent<Report> {
    return { kind: "listing", revision: this.#revision, items: this.#audiences.reports.visible(watcher, this.#reports) };
  }

  #fleetEvent(): SingleEvent<FleetRecord> {
    return { kind: "value", object: { ...this.#fleet } };
  }

  #requestEvent(): SingleEvent<OperatorRequest> {
    return { kind: "value", object: { version: this.#revision, value: this.#request } };
  }

  #watch<E extends { readonly kind: string }>(
    stream: Stream,
    audience: Audience<Watcher<E>>,
    listener: (event: E) => void,
    current: (watcher: Watcher<E>) => E,
    link: Link,
  ): Stop {
    const watcher: Watcher<E> = {
      stream,
      link,
      owner: link.owner,
      waiting: [],
      lastAtMs: 0,
      hasGap: false,
      toldRevision: 0,
      send: listener,
      relist: () => this.#deliver(watcher, current(watcher)),
      lose: () => this.#deliver(watcher, { kind: "disconnected", reason: "partition" } as unknown as E),
    };
    const leave = audience.add(watcher);
    const ofLink = this.#watchersOf.get(link) ?? new Set<Watcher>();
    this.#watchersOf.set(link, ofLink.add(watcher));
    watcher.relist();
    return () => {
      leave();
      ofLink.delete(watcher);
      if (ofLink.size === 0) this.#watchersOf.delete(link);
    };
  }

  #deliver<E>(watcher: Watcher<E>, event: E): void {
    this.#deliverAll([watcher], event);
  }

  /** Whoever gets it in the same moment gets it in one event of virtual time: there are a thousand watchers and twenty delays. */
  #deliverAll<E>(watchers: Iterable<Watcher<E>>, event: E): void {
    const groups = new Map<number, Watcher<E>[]>();
    for (const watcher of watchers) {
      const atMs = this.#arrivalOf(watcher);
      if (atMs === null) continue;
      const group = groups.get(atMs);
      if (group === undefined) groups.set(atMs, [watcher]);
      else group.push(watcher);
    }
    for (const [atMs, group] of groups) {
      this.#time.post(atMs, () => {
        for (const watcher of group) hand(watcher, event);
      });
    }
  }

  /** Events of one watcher arrive in order, each after its own delay; a partition loses them until `heal` (null). */
  #arrivalOf<E>(watcher: Watcher<E>): number | null {
    if (watcher.link.isPartitioned) return null;
    this.watchEvents += 1;
    watcher.lastAtMs = Math.max(watcher.lastAtMs, this.#time.nowMs + this.#delayMs());
    return watcher.lastAtMs;
  }
}

function mayBeginPlain({ levels }: FleetRecord): boolean {
  if (levels === undefined || levels.level === null) return true;
  return levels.level !== "require" && !(levels.level === "prefer" && levels.wanted === "require");
}

function conflict(): ReturnType<typeof fail<{ code: string; message: string; retryable: boolean }>> {
  return fail({ code: "REGISTRY_CONFLICT", message: "the version is not the one stored", retryable: true });
}

function unreachable(): ReturnType<typeof conflict> {
  return fail({ code: "REGISTRY_UNREACHABLE", message: "partitioned", retryable: true });
}
