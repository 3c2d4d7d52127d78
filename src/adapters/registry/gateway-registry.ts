/**
 * The registry of VPN links over any store of kv.ts. A link's record lies at three places that one transaction writes: with all
 * links for the hub, and with the links of each of its two sites, so that a site is told of its own links and of no other.
 */
import { assert } from "../../core/assert.js";
import type { LinkName, SiteName } from "../../core/gateway/link.js";
import type { LinkRecord, LinkRequest, StoredLink } from "../../core/gateway/record.js";
import { reportName, type SiteReport } from "../../core/gateway/report.js";
import type { Done, Stop } from "../../ports/failure.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { WatchEvent } from "../../ports/registry.js";
import { PortError } from "../port-error.js";
import { linkRecordSchema, linkRequestSchema, siteReportSchema } from "./gateway-schemas.js";
import { gatewayPrefixes } from "./gateway-keys.js";
import type { Kv, KvItem, KvOperation, KvReader } from "./kv.js";
import type { KvRegistryOptions } from "./kv-registry.js";
import { watchList, type ListSource } from "./list-watch.js";
import { decode, encode, type Decoded } from "./records.js";
import { settle } from "./settle.js";

const { links: linkPrefix, sites: sitePrefix, reports: reportPrefix, requests: requestPrefix } = gatewayPrefixes;

/** What a registry of links does besides reading, with `PortError` on failure. A store without transactions brings its own. */
export interface GatewayWrites {
  writeLink(record: LinkRecord, expectedVersion: number): Promise<number>;
  removeLink(record: LinkRecord, expectedVersion: number): Promise<null>;
  publishReport(report: SiteReport): Promise<null>;
  putRequest(request: LinkRequest): Promise<null>;
}

export class KvGatewayRegistry implements GatewayRegistryPort {
  readonly #kv: KvReader;
  readonly #writes: GatewayWrites;
  readonly #options: KvRegistryOptions;
  readonly #stops = new Set<Stop>();
  #isClosed = false;

  constructor(kv: Kv, options: KvRegistryOptions);
  constructor(reader: KvReader, options: KvRegistryOptions, writes: GatewayWrites);
  constructor(reader: KvReader | Kv, options: KvRegistryOptions, writes?: GatewayWrites) {
    assert(writes !== undefined || "transaction" in reader, "somebody writes");
    this.#kv = reader;
    this.#options = options;
    this.#writes = writes ?? writesOver(reader as Kv);
  }

  watchLinks(site: SiteName | null, listener: (event: WatchEvent<StoredLink>) => void): Stop {
    const prefix = site === null ? linkPrefix : siteLinksPrefix(site);
    return this.#watch(linkSource(prefix), listener);
  }

  writeLink(record: LinkRecord, expectedVersion: number, done: Done<number>): void {
    this.#settle(() => this.#writes.writeLink(record, expectedVersion), done);
  }

  removeLink(record: LinkRecord, expectedVersion: number, done: Done<null>): void {
    this.#settle(() => this.#writes.removeLink(record, expectedVersion), done);
  }

  publishSiteReport(report: SiteReport, done: Done<null>): void {
    this.#settle(() => this.#writes.publishReport(report), done);
  }

  watchSiteReports(listener: (event: WatchEvent<SiteReport>) => void): Stop {
    const source = sourceOf(reportPrefix, (item) => {
      return named(decode(siteReportSchema, item), item, ({ link, site }) => reportKey(link, site));
    });
    return this.#watch(source, (event) => listener(withReportNames(event)));
  }

  putLinkRequest(request: LinkRequest, done: Done<null>): void {
    this.#settle(() => this.#writes.putRequest(request), done);
  }

  watchLinkRequests(listener: (event: WatchEvent<LinkRequest>) => void): Stop {
    const source = sourceOf(requestPrefix, (item) => {
      return named(decode(linkRequestSchema, item), item, ({ link }) => requestPrefix + link);
    });
    return this.#watch(source, listener);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stop of [...this.#stops]) stop();
    this.#options.closed();
  }

  #settle<T>(run: () => Promise<T>, done: Done<T>): void {
    const refused = new PortError("REGISTRY_CLOSED", "the registry was closed", false);
    settle(this.#isClosed ? Promise.reject(refused) : Promise.resolve().then(run), done);
  }

  #watch<T>(source: ListSource<T>, listener: (event: WatchEvent<T>) => void): Stop {
    if (this.#isClosed) return () => undefined;
    const stop = watchList(this.#kv, source, { listener, skipped: this.#options.skipped });
    const release = (): void => {
      this.#stops.delete(release);
      stop();
    };
    this.#stops.add(release);
    return release;
  }
}

function writesOver(kv: Kv): GatewayWrites {
  return {
    writeLink: (record, expectedVersion) => writeLink(kv, record, expectedVersion),
    removeLink: (record, expectedVersion) => removeLink(kv, record, expectedVersion),
    publishReport: (report) => {
      const key = reportKey(report.link, report.site);
      return putBesideLink(kv, report.link, key, encode(siteReportSchema, key, report));
    },
    putRequest: (request) => {
      const key = requestPrefix + request.link;
      return putBesideLink(kv, request.link, key, encode(linkRequestSchema, key, request));
    },
  };
}

async function writeLink(kv: Kv, record: LinkRecord, expectedVersion: number): Promise<number> {
  const key = linkPrefix + record.link.name;
  const value = encode(linkRecordSchema, key, record);
  const puts = placesOf(record).map((place): KvOperation => ({ kind: "put", key: place, value }));
  const outcome = await kv.transaction([{ kind: "unchanged", key, revision: expectedVersion }], puts);
  if (outcome.kind === "committed") return outcome.revision;
  throw linkConflict(record, expectedVersion);
}

async function removeLink(kv: Kv, record: LinkRecord, expectedVersion: number): Promise<null> {
  const { name, server, client } = record.link;
  const key = linkPrefix + name;
  const reports = [server, client].map((site) => reportKey(name, site));
  const gone = [...placesOf(record), ...reports, requestPrefix + name];
  const outcome = await kv.transaction(
    [{ kind: "unchanged", key, revision: expectedVersion }],
    gone.map((place): KvOperation => ({ kind: "delete", key: place })),
  );
  if (outcome.kind === "committed") return null;
  const { items } = await kv.get([key]);
  // Another hub, or an earlier try of ours, removed it.
  if (items.length === 0) return null;
  throw linkConflict(record, expectedVersion);
}

async function putBesideLink(kv: Kv, link: LinkName, key: string, value: string): Promise<null> {
  const outcome = await kv.transaction([{ kind: "present", key: linkPrefix + link }], [{ kind: "put", key, value }]);
  if (outcome.kind === "committed") return null;
  throw linkMissing(link);
}

function reportKey(link: LinkName, site: SiteName): string {
  return `${reportPrefix}${link}/${site}`;
}

/** In a key the two names have a slash between them: stores take no `@` in one. */
function withReportNames(event: WatchEvent<SiteReport>): WatchEvent<SiteReport> {
  const nameOf = (place: string): string => {
    const [link = "", site = ""] = place.split("/");
    return reportName(link as LinkName, site as SiteName);
  };
  if (event.kind === "removed") return { ...event, name: nameOf(event.name) };
  if (event.kind !== "listing" || event.unreadable === undefined) return event;
  return { ...event, unreadable: event.unreadable.map(nameOf) };
}

function siteLinksPrefix(site: SiteName): string {
  return `${sitePrefix}${site}/`;
}

function placesOf({ link: { name, server, client } }: LinkRecord): readonly string[] {
  return [linkPrefix + name, siteLinksPrefix(server) + name, siteLinksPrefix(client) + name];
}

function linkSource(prefix: string): ListSource<StoredLink> {
  return sourceOf(prefix, (item) => {
    const decoded = named(decode(linkRecordSchema, item), item, ({ link }) => prefix + link.name);
    if (decoded.kind === "invalid") return decoded;
    return { kind: "valid", value: { version: item.revision, record: decoded.value } };
  });
}

function sourceOf<T>(prefix: string, read: ListSource<T>["read"]): ListSource<T> {
  return { listingPrefix: prefix, prefix, read, revisionOf: ({ revision }) => revision };
}

/** A record under another name than its own is unreadable: whoever put it there meant something else. */
function named<T>(decoded: Decoded<T>, { key, revision }: KvItem, keyOf: (value: T) => string): Decoded<T> {
  if (decoded.kind === "invalid" || keyOf(decoded.value) === key) return decoded;
  return { kind: "invalid", record: { key, revision, reason: "its name is not that of its key" } };
}

export function linkConflict({ link }: LinkRecord, version: number): PortError {
  return new PortError("REGISTRY_CONFLICT", `the record of link ${link.name} is no longer at version ${version}`, false);
}

export function linkMissing(link: LinkName): PortError {
  return new PortError("REGISTRY_NOT_ADMITTED", `link ${link} is not in the registry`, false);
}
