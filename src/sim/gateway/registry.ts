/**
 * The gateway registry in virtual time: commits in order, watchers that lag each at their own pace, clients that are cut
 * off. It keeps what a real one keeps through a crash of its clients; it does not crash, and may come back from a backup.
 */
import type { LinkName, SiteName } from "../../core/gateway/link.js";
import type { LinkRecord, LinkRequest, StoredLink } from "../../core/gateway/record.js";
import { reportName, type SiteReport } from "../../core/gateway/report.js";
import type { Prng } from "../../core/prng.js";
import { fail, succeed, type Result } from "../../core/result.js";
import type { Done, PortFailure, Stop } from "../../ports/failure.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { WatchEvent } from "../../ports/registry.js";
import type { VirtualTime } from "../engine/virtual-time.js";

/** The connection of one process. */
export interface GatewayClient {
  readonly isAlive: () => boolean;
  /** Requests fail, and what is committed meanwhile is listed again when it ends. */
  isCutOff: boolean;
}

interface Watch {
  readonly client: GatewayClient;
  readonly list: () => void;
  readonly disconnect: () => void;
  readonly tell: (kind: Kind, name: string, item: StoredLink | SiteReport | LinkRequest | null) => void;
}

type Kind = "link" | "report" | "request";

/** All that a registry keeps at one moment. */
export interface GatewayBackup {
  readonly links: ReadonlyMap<LinkName, StoredLink>;
  readonly reports: ReadonlyMap<string, SiteReport>;
  readonly requests: ReadonlyMap<LinkName, LinkRequest>;
  readonly revision: number;
}

export const emptyBackup: GatewayBackup = { links: new Map(), reports: new Map(), requests: new Map(), revision: 0 };

const requestMs = 4;
const lagMsMax = 20;
const unreachableMs = 500;

export class SimGatewayRegistry {
  readonly links = new Map<LinkName, StoredLink>();
  readonly reports = new Map<string, SiteReport>();
  readonly requests = new Map<LinkName, LinkRequest>();
  /** False in a mutant: then the last write wins. */
  comparesVersions = true;
  readonly #time: VirtualTime;
  readonly #prng: Prng;
  readonly #watches = new Set<Watch>();
  #revision = 0;
  writes = 0;

  constructor(time: VirtualTime, prng: Prng) {
    this.#time = time;
    this.#prng = prng;
  }

  connect(client: GatewayClient): GatewayRegistryPort {
    const stops: Stop[] = [];
    const keep = (stop: Stop): Stop => {
      stops.push(stop);
      return stop;
    };
    return {
      watchLinks: (site, listener) => keep(this.#watch(client, "link", this.links, concerning(site), listener)),
      watchSiteReports: (listener) => keep(this.#watch(client, "report", this.reports, () => true, listener)),
      watchLinkRequests: (listener) => keep(this.#watch(client, "request", this.requests, () => true, listener)),
      writeLink: (record, expected, done) => this.#ask(client, done, () => this.#writeLink(record, expected)),
      removeLink: (record, expected, done) => this.#ask(client, done, () => this.#removeLink(record, expected)),
      publishSiteReport: (report, done) => this.#ask(client, done, () => this.#publish(report)),
      putLinkRequest: (request, done) => this.#ask(client, done, () => this.#request(request)),
      close: () => {
        for (const stop of stops) stop();
      },
    };
  }

  /** A client comes back: its watches begin with a listing again. */
  reconnect(client: GatewayClient): void {
    client.isCutOff = false;
    for (const watch of this.#watches) if (watch.client === client) watch.list();
  }

  cutOff(client: GatewayClient): void {
    client.isCutOff = true;
    for (const watch of this.#watches) if (watch.client === client) watch.disconnect();
  }

  backup(): GatewayBackup {
    return { links: new Map(this.links), reports: new Map(this.reports), requests: new Map(this.requests), revision: this.#revision };
  }

  /** What was written since the backup is lost, and revisions count on from it. Who is connected loses it and comes back. */
  restore({ links, reports, requests, revision }: GatewayBackup): void {
    replace(this.links, links);
    replace(this.reports, reports);
    replace(this.requests, requests);
    this.#revision = revision;
    for (const watch of this.#watches) watch.disconnect();
    for (const watch of this.#watches) if (!watch.client.isCutOff) watch.list();
  }

  #watch<T extends StoredLink | SiteReport | LinkRequest>(
    client: GatewayClient,
    kind: Kind,
    all: ReadonlyMap<string, T>,
    concerns: (item: T) => boolean,
    listener: (event: WatchEvent<T>) => void,
  ): Stop {
    let isStopped = false;
    let dueMs = 0;
    /** In order, each at its own pace. */
    const later = (event: () => WatchEvent<T>): void => {
      dueMs = Math.max(dueMs, this.#time.nowMs + this.#prng.share() * lagMsMax);
      this.#time.post(dueMs, () => {
        if (!isStopped && client.isAlive()) listener(event());
      });
    };
    const relist = (): void => later(() => ({ kind: "listing", revision: this.#revision, items: [...all.values()].filter(concerns) }));
    const watch: Watch = {
      client,
      list: relist,
      disconnect: () => later(() => ({ kind: "disconnected", reason: "cut off" })),
      tell: (changed, name, item) => {
        if (changed !== kind || client.isCutOff) return;
        const revision = this.#revision;
        if (item === null) later(() => ({ kind: "removed", revision, name }));
        else if (concerns(item as T)) later(() => ({ kind: "put", revision, item: item as T }));
      },
    };
    this.#watches.add(watch);
    if (client.isCutOff) watch.disconnect();
    else relist();
    return () => {
      isStopped = true;
      this.#watches.delete(watch);
    };
  }

  #ask<T>(client: GatewayClient, done: Done<T>, commit: () => Result<T, PortFailure>): void {
    const isReached = !client.isCutOff;
    this.#time.post(this.#time.nowMs + (isReached ? requestMs : unreachableMs), () => {
      const result = isReached ? commit() : fail(failure("REGISTRY_UNREACHABLE", "cut off"));
      if (client.isAlive()) done(result);
    });
  }

  #writeLink(record: LinkRecord, expected: number): Result<number, PortFailure> {
    const { name } = record.link;
    if (this.comparesVersions && (this.links.get(name)?.version ?? 0) !== expected) return fail(failure("REGISTRY_CONFLICT", "another version"));
    const version = this.#commit();
    const stored = { version, record };
    this.links.set(name, stored);
    this.#tell("link", name, stored);
    return succeed(version);
  }

  #removeLink({ link }: LinkRecord, expected: number): Result<null, PortFailure> {
    const known = this.links.get(link.name);
    if (known === undefined) return succeed(null);
    if (known.version !== expected) return fail(failure("REGISTRY_CONFLICT", "another version"));
    this.#commit();
    this.links.delete(link.name);
    this.#tell("link", link.name, null);
    for (const name of [reportName(link.name, link.server), reportName(link.name, link.client)]) {
      if (this.reports.delete(name)) this.#tell("report", name, null);
    }
    if (this.requests.delete(link.name)) this.#tell("request", link.name, null);
    return succeed(null);
  }

  #publish(report: SiteReport): Result<null, PortFailure> {
    if (!this.links.has(report.link)) return fail(failure("REGISTRY_NOT_ADMITTED", "no such link"));
    this.#commit();
    const name = reportName(report.link, report.site);
    this.reports.set(name, report);
    this.#tell("report", name, report);
    return succeed(null);
  }

  #request(request: LinkRequest): Result<null, PortFailure> {
    if (!this.links.has(request.link)) return fail(failure("REGISTRY_NOT_ADMITTED", "no such link"));
    this.#commit();
    this.requests.set(request.link, request);
    this.#tell("request", request.link, request);
    return succeed(null);
  }

  #commit(): number {
    this.writes += 1;
    this.#revision += 1;
    return this.#revision;
  }

  #tell(kind: Kind, name: string, item: StoredLink | SiteReport | LinkRequest | null): void {
    for (const watch of this.#watches) watch.tell(kind, name, item);
  }
}

function replace<K, V>(all: Map<K, V>, by: ReadonlyMap<K, V>): void {
  all.clear();
  for (const [key, value] of by) all.set(key, value);
}

function concerning(site: SiteName | null): (stored: StoredLink) => boolean {
  return ({ record: { link } }) => site === null || link.server === site || link.client === site;
}

function failure(code: string, message: string): PortFailure {
  return { code, message, retryable: true };
}
