/** Records and views for the tests of gateways: a link between `w-1` and `w-10`, all of it healthy. */
import type { Digest, Fingerprint, Link, LinkName, PairIndex, Side, SiteName } from "./link.js";
import { otherSide } from "./link.js";
import type { Credentials, LinkRecord, NextGeneration, PairRecord, TrustRoot } from "./record.js";
import type { AgedView, RouteHop, SiteReport } from "./report.js";

export const fixtureLink: Link = {
  name: "w-1-w-10" as LinkName,
  server: "w-1" as SiteName,
  client: "w-10" as SiteName,
  pairs: 2,
};

export function pairIndex(index: number): PairIndex {
  return index as PairIndex;
}

/** 64 hex digits that begin with the number. */
export function hexOf(number: number): string {
  return number.toString(16).padStart(4, "0") + "0".repeat(60);
}

export const fixtureRoot: TrustRoot = { fingerprint: hexOf(0xca) as Fingerprint, pem: "root" };

export function credentialsOf(number: number, slot: 0 | 1 = 0, notAfterWallMs = 1e9): Credentials {
  const certificate = (offset: number): Credentials["certificates"][Side] => {
    return { pem: "certificate", fingerprint: hexOf(number * 2 + offset) as Fingerprint, notAfterWallMs };
  };
  const certificates = { server: certificate(0), client: certificate(1) };
  return { number, digest: hexOf(0xd000 + number) as Digest, slot, certificates, root: fixtureRoot.fingerprint };
}

/** What this side sees of a gateway that is as it should be. */
export function healthyView(side: Side, pair: number, credentials: Credentials, link: Link = fixtureLink): AgedView {
  const { number, digest, certificates } = credentials;
  const peer = otherSide(side);
  return {
    pair: pairIndex(pair),
    number,
    digest,
    process: "up",
    tunnel: "up",
    interfaceName: `tun${number}`,
    localAddress: side === "server" ? "10.8.0.1" : "10.8.0.2",
    remoteAddress: side === "server" ? "10.8.0.2" : "10.8.0.1",
    peer: {
      site: link[peer],
      pair: pairIndex(pair),
      number,
      digest,
      certificate: certificates[peer].fingerprint,
      answered: 3,
      fullSize: true,
    },
    bytesIn: 0,
    bytesOut: 0,
    ageMs: 0,
  };
}

export function fixtureReport(side: Side, gateways: readonly AgedView[], hops: readonly RouteHop[] = []): SiteReport {
  return {
    schemaVersion: 1,
    link: fixtureLink.name,
    site: fixtureLink[side],
    beat: 1,
    detached: false,
    ahead: null,
    gateways,
    route: { kind: "hops", hops },
    pairs: [],
  };
}

export function pairOf(index: number, current: Credentials | null, next: NextGeneration | null = null): PairRecord {
  return { index: pairIndex(index), current, next };
}

export function nextOf(credentials: Credentials, phase: NextGeneration["phase"]): NextGeneration {
  return { number: credentials.number, slot: credentials.slot, phase, credentials, cause: null };
}

export function recordOf(pairs: readonly PairRecord[], more: Partial<LinkRecord> = {}): LinkRecord {
  const numbers = pairs.flatMap(({ current, next }) => [current?.number ?? 0, next?.number ?? 0]);
  return {
    schemaVersion: 1,
    link: fixtureLink,
    edition: 1,
    detached: false,
    lastNumber: Math.max(0, ...numbers),
    pairs,
    roots: [fixtureRoot],
    round: { number: 1, dueWallMs: 0 },
    rotation: null,
    answeredRequest: null,
    lastErrorWallMs: null,
    silentSinceWallMs: { server: null, client: null },
    history: [],
    ...more,
  };
}
