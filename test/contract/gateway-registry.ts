/**
 * The contract of GatewayRegistryPort (src/ports/gateway-registry.ts), clause by clause. Every adapter runs it with a harness of its own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { credentialsOf, fixtureLink, healthyView, nextOf, pairIndex, pairOf, recordOf } from "../../src/core/gateway/fixtures.js";
import type { LinkName, SiteName } from "../../src/core/gateway/link.js";
import type { LinkRecord, LinkRequest, Rotation, StoredLink } from "../../src/core/gateway/record.js";
import { reportName, unknownRoute, type PairReport, type RouteView, type SiteReport } from "../../src/core/gateway/report.js";
import type { Result } from "../../src/core/result.js";
import type { Done, PortFailure } from "../../src/ports/failure.js";
import type { GatewayRegistryPort } from "../../src/ports/gateway-registry.js";
import type { WatchEvent } from "../../src/ports/registry.js";

export interface GatewayStore {
  /** A client of its own. */
  connect(): GatewayRegistryPort;
  close(): Promise<void>;
}

export function gatewayRegistryContract(adapter: string, open: () => Promise<GatewayStore>, skip: string | false = false): void {
  const clause = (name: string, body: (one: GatewayRegistryPort, other: GatewayRegistryPort) => Promise<void>): void => {
    test(`gateway registry/${adapter}: ${name}`, { timeout: 60_000, skip }, async () => {
      const store = await open();
      const [one, other] = [store.connect(), store.connect()];
      try {
        await body(one, other);
      } finally {
        one.close();
        other.close();
        await store.close();
      }
    });
  };

  clause("a record changes by compare-and-set alone, and comes back as it was", async (one, other) => {
    const seen = follow<StoredLink>((listener) => other.watchLinks(null, listener));
    const version = await value<number>((done) => one.writeLink(first, 0, done));
    assert.equal(await code((done) => other.writeLink(first, 0, done)), "REGISTRY_CONFLICT");
    const second = { ...full, lastNumber: 7 };
    const newer = await value<number>((done) => other.writeLink(second, version, done));
    assert.ok(newer > version);
    assert.equal(await code((done) => one.writeLink(first, version, done)), "REGISTRY_CONFLICT");
    await seen.until((items) => items.get(fixtureLink.name)?.version === newer);
    assert.deepEqual(seen.items.get(fixtureLink.name)?.record, second);
  });

  clause("a site is told of its own links, whole names and nothing else", async (one, other) => {
    const [w1, w10] = [fixtureLink.server, fixtureLink.client];
    const elsewhere = { ...first, link: { ...fixtureLink, name: "elsewhere" as LinkName, server: w10, client: "w-2" as SiteName } };
    const seen = follow<StoredLink>((listener) => other.watchLinks(w1, listener));
    await seen.listed;
    await value((done) => one.writeLink(elsewhere, 0, done));
    await value((done) => one.writeLink(first, 0, done));
    await seen.until((items) => items.size > 0);
    assert.deepEqual([...seen.items.keys()], [fixtureLink.name]);
  });

  clause("reports and requests need their link, and go with it", async (one, other) => {
    assert.equal(await code((done) => one.publishSiteReport(report(1), done)), "REGISTRY_NOT_ADMITTED");
    assert.equal(await code((done) => one.putLinkRequest(request("x"), done)), "REGISTRY_NOT_ADMITTED");
    const version = await value<number>((done) => one.writeLink(first, 0, done));
    const reports = follow<SiteReport>((listener) => other.watchSiteReports(listener));
    const requests = follow<LinkRequest>((listener) => other.watchLinkRequests(listener));
    const mine = follow<StoredLink>((listener) => other.watchLinks(fixtureLink.client, listener));
    await value((done) => one.publishSiteReport(report(1), done));
    await value((done) => one.publishSiteReport(report(2), done));
    await value((done) => one.putLinkRequest(request("x"), done));
    await value((done) => one.putLinkRequest(request("y"), done));
    const name = reportName(fixtureLink.name, fixtureLink.server);
    await reports.until((items) => items.get(name)?.beat === 2);
    assert.deepEqual(reports.items.get(name), report(2));
    await requests.until((items) => items.get(fixtureLink.name)?.id === "y");
    assert.equal(await code((done) => one.removeLink(first, version + 1_000, done)), "REGISTRY_CONFLICT");
    await value((done) => one.removeLink(first, version, done));
    await value((done) => one.removeLink(first, version, done));
    await reports.until((items) => items.size === 0);
    await requests.until((items) => items.size === 0);
    await mine.until((items) => items.size === 0);
  });

  clause("what this version cannot write is refused", async (one) => {
    const broken = { ...first, lastNumber: -1 };
    assert.equal(await code((done) => one.writeLink(broken, 0, done)), "REGISTRY_RECORD_INVALID");
  });
}

const first: LinkRecord = recordOf([]);
const cause = { code: "GATEWAY_TUNNEL_DOWN", message: "no handshake", pair: pairIndex(0), side: "client" } as const;
const rotation: Rotation = {
  reason: "request",
  why: "a test",
  round: { number: 3, dueWallMs: 5 },
  planned: [pairIndex(0), pairIndex(1)],
  done: [],
  outcome: "running",
  startedWallMs: 1_700_000_000_000,
  endedWallMs: null,
  failures: 1,
  retryWallMs: null,
  cause,
};
/** Every field with a value and, where it may be, with none. */
const full: LinkRecord = recordOf([pairOf(0, credentialsOf(1), nextOf(credentialsOf(2, 1), "issued")), pairOf(1, null)], {
  rotation,
  history: [{ ...rotation, outcome: "rolled-back", round: null, endedWallMs: 1_700_000_000_001, retryWallMs: 9 }],
  silentSinceWallMs: { server: null, client: 1_700_000_000_002 },
  answeredRequest: "x",
});

/** The first says nothing, the second all that can be said. */
function report(beat: number): SiteReport {
  const { name: link, server: site } = fixtureLink;
  if (beat === 1) return { schemaVersion: 1, link, site, beat, detached: false, ahead: null, gateways: [], route: unknownRoute, pairs: [] };
  const down = { ...healthyView("server", 1, credentialsOf(2)), interfaceName: null, peer: null, digest: null };
  const pair: PairReport = { pair: pairIndex(0), acting: { number: 2, phase: "draining" }, csr: null, drained: 1, failure: null };
  const failed: PairReport = { ...pair, acting: null, csr: { number: 2, pem: "pem" }, failure: { number: 2, code: "X", message: "y" } };
  const route: RouteView = { kind: "hops", hops: [{ pair: pairIndex(0), number: 1 }] };
  const gateways = [healthyView("server", 0, credentialsOf(1)), down];
  return { schemaVersion: 1, link, site, beat, detached: false, ahead: full, gateways, route, pairs: [pair, failed] };
}

function request(id: string): LinkRequest {
  return { schemaVersion: 1, id, link: fixtureLink.name, why: "a test", by: "test", at: "2026-03-29T00:59:00Z" };
}

function settled<T>(run: (done: Done<T>) => void): Promise<Result<T, PortFailure>> {
  return new Promise((resolve) => run(resolve));
}

async function value<T>(run: (done: Done<T>) => void): Promise<T> {
  const result = await settled(run);
  assert.ok(result.ok, result.ok ? "" : result.error.message);
  return result.value;
}

async function code<T>(run: (done: Done<T>) => void): Promise<string> {
  const result = await settled(run);
  return result.ok ? "it succeeded" : result.error.code;
}

interface Followed<T> {
  readonly items: Map<string, T>;
  readonly listed: Promise<void>;
  until(isSo: (items: ReadonlyMap<string, T>) => boolean): Promise<void>;
}

function follow<T>(watch: (listener: (event: WatchEvent<T>) => void) => void): Followed<T> {
  const items = new Map<string, T>();
  const looks = new Set<() => void>();
  let hasListed: () => void;
  const listed = new Promise<void>((resolve) => (hasListed = resolve));
  watch((event) => {
    if (event.kind === "listing") {
      items.clear();
      for (const item of event.items) items.set(nameOf(item), item);
      hasListed();
    }
    if (event.kind === "put") items.set(nameOf(event.item), event.item);
    if (event.kind === "removed") items.delete(event.name);
    for (const look of [...looks]) look();
  });
  const until: Followed<T>["until"] = (isSo) =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!isSo(items)) return;
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      look();
    });
  return { items, listed, until };
}

function nameOf(item: unknown): string {
  const { record, link, site } = item as { record?: LinkRecord; link: LinkName; site?: SiteName };
  if (record !== undefined) return record.link.name;
  return site === undefined ? link : reportName(link, site);
}
