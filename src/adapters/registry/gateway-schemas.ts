/**
 * The stored records of VPN links. As with those of a fleet: what cannot be read by these schemas is never written, and unknown
 * fields are dropped.
 */
import { z } from "zod";
import {
  checkLink,
  parseDigest,
  parseFingerprint,
  parseLinkName,
  parsePairIndex,
  parseSiteName,
  type Link,
} from "../../core/gateway/link.js";
import {
  earlierRecord,
  type Cause,
  type Credentials,
  type LinkRecord,
  type LinkRequest,
  type PairRecord,
  type Rotation,
} from "../../core/gateway/record.js";
import type { AgedView, PairReport, RouteView, SiteReport } from "../../core/gateway/report.js";
import { limits } from "../../core/limits.js";
import { parsed } from "./parsed-field.js";

const count = z.number().int().nonnegative();
const wallMs = z.number();
const text = z.string().max(4_096);
const pem = z.string().max(limits.gatewayPemBytesMax);
const schemaVersion = z.literal(1);
const linkName = parsed(z.string(), parseLinkName);
const siteName = parsed(z.string(), parseSiteName);
const pairIndex = parsed(z.number(), parsePairIndex);
const fingerprint = parsed(z.string(), parseFingerprint);
const digest = parsed(z.string(), parseDigest);
const slot = z.union([z.literal(0), z.literal(1)]);
const side = z.enum(["server", "client"]);
const pairIndexes = z.array(pairIndex).max(limits.gatewayPairsMax);

const link = parsed(z.object({ name: linkName, server: siteName, client: siteName, pairs: count }), (value: Link) =>
  checkLink(value),
);
const certificate = z.object({ pem, fingerprint, notAfterWallMs: wallMs });
const root = z.object({ fingerprint, pem });
const credentials: z.ZodType<Credentials> = z.object({
  number: count,
  digest,
  slot,
  certificates: z.object({ server: certificate, client: certificate }),
  root: fingerprint,
});
const cause: z.ZodType<Cause> = z.object({
  code: z.string().max(64),
  message: text,
  pair: pairIndex.nullable(),
  side: side.nullable(),
});
const phase = z.enum(["planned", "issued", "switching", "draining", "removing", "rolling-back"]);
const pair: z.ZodType<PairRecord> = z.object({
  index: pairIndex,
  current: credentials.nullable(),
  next: z
    .object({ number: count, slot, phase, credentials: credentials.nullable(), cause: cause.nullable() })
    .nullable(),
});
const round = z.object({ number: count, dueWallMs: wallMs });
const rotation: z.ZodType<Rotation> = z.object({
  reason: z.enum(["first", "schedule", "request", "expiring", "credentials-lost"]),
  why: text,
  round: round.nullable(),
  planned: pairIndexes,
  done: pairIndexes,
  outcome: z.enum(["running", "done", "rolled-back", "failed"]),
  startedWallMs: wallMs,
  endedWallMs: wallMs.nullable(),
  failures: count,
  retryWallMs: wallMs.nullable(),
  cause: cause.nullable(),
});

export const linkRecordSchema: z.ZodType<LinkRecord> = z.object({
  schemaVersion,
  link,
  edition: count.default(earlierRecord.edition),
  detached: z.boolean(),
  lastNumber: count,
  pairs: z.array(pair).max(limits.gatewayPairsMax),
  roots: z.array(root).max(64),
  round,
  rotation: rotation.nullable(),
  answeredRequest: text.nullable(),
  lastErrorWallMs: wallMs.nullable(),
  silentSinceWallMs: z.object({ server: wallMs.nullable(), client: wallMs.nullable() }).default(earlierRecord.silentSinceWallMs),
  history: z.array(rotation).max(limits.gatewayHistoryMax),
});

export const linkRequestSchema: z.ZodType<LinkRequest> = z.object({
  schemaVersion,
  id: text,
  link: linkName,
  why: text,
  by: text,
  at: text,
});

const presence = z.enum(["unknown", "down", "up"]);
const view: z.ZodType<AgedView> = z.object({
  pair: pairIndex,
  number: count,
  digest: digest.nullable(),
  process: presence,
  tunnel: presence,
  interfaceName: text.nullable(),
  localAddress: text.nullable(),
  remoteAddress: text.nullable(),
  peer: z
    .object({
      site: siteName,
      pair: pairIndex,
      number: count,
      digest,
      certificate: fingerprint,
      answered: count,
      fullSize: z.boolean(),
    })
    .nullable(),
  bytesIn: count,
  bytesOut: count,
  ageMs: z.number(),
});
const route: z.ZodType<RouteView> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("unknown") }),
  z.object({ kind: z.literal("hops"), hops: z.array(z.object({ pair: pairIndex, number: count })).max(64) }),
  z.object({ kind: z.literal("foreign"), what: text }),
]);
const pairReport: z.ZodType<PairReport> = z.object({
  pair: pairIndex,
  acting: z.object({ number: count, phase }).nullable(),
  csr: z.object({ number: count, pem }).nullable(),
  drained: count.nullable(),
  failure: z.object({ number: count, code: z.string().max(64), message: text }).nullable(),
});

export const siteReportSchema: z.ZodType<SiteReport> = z.object({
  schemaVersion,
  link: linkName,
  site: siteName,
  beat: count,
  detached: z.boolean(),
  ahead: linkRecordSchema.nullable().default(null),
  gateways: z.array(view).max(256),
  route,
  pairs: z.array(pairReport).max(limits.gatewayPairsMax),
});
