/**
 * What a VPN link is called and made of. Names are compared whole, never by prefix or substring: `w-1` is not `w-10`
 * (field report: detaching one cluster deleted the keys of others).
 */
import { limits } from "../limits.js";
import { fail, succeed, type Result } from "../result.js";

declare const brand: unique symbol;
export type LinkName = string & { readonly [brand]: "LinkName" };
export type SiteName = string & { readonly [brand]: "SiteName" };
/** 0 to `pairs - 1`. */
export type PairIndex = number & { readonly [brand]: "PairIndex" };
/** SHA-256 of a certificate in DER, 64 lower-case hex digits. */
export type Fingerprint = string & { readonly [brand]: "Fingerprint" };
/** SHA-256 over the credentials of one generation of one pair; what both ends compare. */
export type Digest = string & { readonly [brand]: "Digest" };

/** The server listens, the client dials. */
export type Side = "server" | "client";

export const sides: readonly Side[] = ["server", "client"];

/** Two sites, joined by gateway pairs that carry traffic side by side. */
export interface Link {
  readonly name: LinkName;
  readonly server: SiteName;
  readonly client: SiteName;
  readonly pairs: number;
}

/** One end of one generation of a pair. `slot` chooses port, device and addresses. */
export interface GatewayRef {
  readonly link: Link;
  readonly side: Side;
  readonly pair: PairIndex;
  readonly number: number;
  readonly slot: 0 | 1;
}

const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const nameRule = `lower-case letters, digits and "-" (at most ${limits.gatewayNameLengthMax})`;

export function parseLinkName(text: string): Result<LinkName, string> {
  return isName(text) ? succeed(text as LinkName) : fail(`link name must be ${nameRule}`);
}

export function parseSiteName(text: string): Result<SiteName, string> {
  return isName(text) ? succeed(text as SiteName) : fail(`site name must be ${nameRule}`);
}

export function parsePairIndex(value: number): Result<PairIndex, string> {
  if (Number.isInteger(value) && value >= 0 && value < limits.gatewayPairsMax) return succeed(value as PairIndex);
  return fail(`pair index must be a whole number from 0 to ${limits.gatewayPairsMax - 1}`);
}

export function parseFingerprint(text: string): Result<Fingerprint, string> {
  return isSha256(text) ? succeed(text as Fingerprint) : fail("fingerprint must be 64 hex digits");
}

export function parseDigest(text: string): Result<Digest, string> {
  return isSha256(text) ? succeed(text as Digest) : fail("digest must be 64 hex digits");
}

/** What a link must be beyond the form of its fields. */
export function checkLink(link: Link): Result<Link, string> {
  if (link.server === link.client) return fail(`link ${link.name} joins site ${link.server} with itself`);
  if (Number.isInteger(link.pairs) && link.pairs >= 1 && link.pairs <= limits.gatewayPairsMax) return succeed(link);
  return fail(`link ${link.name} must have from 1 to ${limits.gatewayPairsMax} pairs`);
}

/** Null when the site is neither end. */
export function sideOf(link: Link, site: SiteName): Side | null {
  if (link.server === site) return "server";
  return link.client === site ? "client" : null;
}

export function otherSide(side: Side): Side {
  return side === "server" ? "client" : "server";
}

export function pairIndexes(link: Link): readonly PairIndex[] {
  return Array.from({ length: link.pairs }, (_, index) => index as PairIndex);
}

function isName(text: string): boolean {
  return text.length <= limits.gatewayNameLengthMax && namePattern.test(text);
}

function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}
