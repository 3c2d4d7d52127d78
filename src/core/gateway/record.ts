/**
 * The link record: all that the hub has decided about one link. The hub alone writes it, by compare-and-set; the two
 * sites read it and answer with their reports (report.ts), so that no field has two writers. It holds certificates and
 * never a private key.
 *
 * Generations are counted per link, and every attempt at a pair has a number of its own: a number names one pair's
 * credentials for ever, and order is order of numbers, never of clocks. Times named `…WallMs` are milliseconds since the
 * epoch on the hub's clock: they plan (intervals, holds, spacing) and are compared with the validity of certificates,
 * which is wall-clock time by nature. Nothing about a tunnel is ever decided by them.
 */
import type { Digest, Fingerprint, Link, PairIndex, Side } from "./link.js";

export interface IssuedCertificate {
  readonly pem: string;
  readonly fingerprint: Fingerprint;
  readonly notAfterWallMs: number;
}

/** A root that both sides accept while a generation under it is in use or on its way. */
export interface TrustRoot {
  readonly fingerprint: Fingerprint;
  readonly pem: string;
}

/** One generation of one pair. */
export interface Credentials {
  readonly number: number;
  readonly digest: Digest;
  /** Which of the pair's two places (port, device, tunnel addresses) it uses: the new one takes the other. */
  readonly slot: 0 | 1;
  readonly certificates: Readonly<Record<Side, IssuedCertificate>>;
  /** The root of both certificates. */
  readonly root: Fingerprint;
}

/**
 * How far a new generation is. A phase is what both sides may do; what they have done stands in their reports.
 * - planned: make a key, report its CSR.
 * - issued: run the new gateway beside the old one and probe through it.
 * - switching: both ends are verified; replace the route and read it back.
 * - draining: both sides acknowledged the switch; wait until the old tunnel is seen idle.
 * - removing: both sides drained; stop the old gateway and wipe its key. There is no way back from here.
 * - rolling-back: route back to the old gateway, then the new one goes.
 */
export type PairPhase = "planned" | "issued" | "switching" | "draining" | "removing" | "rolling-back";

export interface NextGeneration {
  readonly number: number;
  readonly slot: 0 | 1;
  readonly phase: PairPhase;
  /** Null until issued. */
  readonly credentials: Credentials | null;
  /** Why it rolls back, null otherwise. */
  readonly cause: Cause | null;
}

export interface PairRecord {
  readonly index: PairIndex;
  /** What carries traffic; null before the first generation. */
  readonly current: Credentials | null;
  /** What is on its way; at most one pair of a link has it. */
  readonly next: NextGeneration | null;
}

/** Why something was undone or is held up. `code` is one of docs/reference/errors.md. */
export interface Cause {
  readonly code: string;
  readonly message: string;
  readonly pair: PairIndex | null;
  readonly side: Side | null;
}

/** A turn of the schedule over all links. */
export interface Round {
  readonly number: number;
  /** When it was due: the next one is due one interval later. */
  readonly dueWallMs: number;
}

/** first: the link was new. credentials-lost: a site has no key for what it should run. */
export type RotationReason = "first" | "schedule" | "request" | "expiring" | "credentials-lost";

/**
 * - running: pairs are planned that are not done.
 * - done: pairs done = pairs planned > 0.
 * - rolled-back: a pair was undone; it is tried again when `retryWallMs` has come.
 * - failed: the same, after so many attempts that somebody should look.
 */
export type RotationOutcome = "running" | "done" | "rolled-back" | "failed";

export interface Rotation {
  readonly reason: RotationReason;
  /** The request's text, or empty. */
  readonly why: string;
  /** Of the schedule, null when something else asked for it. */
  readonly round: Round | null;
  readonly planned: readonly PairIndex[];
  readonly done: readonly PairIndex[];
  readonly outcome: RotationOutcome;
  readonly startedWallMs: number;
  readonly endedWallMs: number | null;
  /** Attempts undone, in a row. */
  readonly failures: number;
  readonly retryWallMs: number | null;
  /** Of the last attempt that was undone. */
  readonly cause: Cause | null;
}

export interface LinkRecord {
  readonly schemaVersion: 1;
  readonly link: Link;
  /** Counts what the hub wrote: of two records of one link the later one has more. */
  readonly edition: number;
  /** No longer wanted: both sites remove all of it, then the record goes. */
  readonly detached: boolean;
  /** The highest generation number given out. */
  readonly lastNumber: number;
  readonly pairs: readonly PairRecord[];
  /** Accepted roots; more than one only while generations overlap. */
  readonly roots: readonly TrustRoot[];
  /** The last round that this link has done. */
  readonly round: Round;
  /** The running one, or the last. */
  readonly rotation: Rotation | null;
  /** The last request that was taken up. */
  readonly answeredRequest: string | null;
  /** When something of this link last went wrong: it holds the round up for `holdMs`. */
  readonly lastErrorWallMs: number | null;
  /** Since when a site was not heard, on the hub's clock; null for one that is. */
  readonly silentSinceWallMs: Readonly<Record<Side, number | null>>;
  /** Ended rotations, newest first. */
  readonly history: readonly Rotation[];
}

/** An operator asks for a rotation of one link now. A later one replaces it; `id` tells one from another. */
export interface LinkRequest {
  readonly schemaVersion: 1;
  readonly id: string;
  readonly link: Link["name"];
  readonly why: string;
  readonly by: string;
  /** Wall clock, ISO 8601, only shown. */
  readonly at: string;
}

/** A record with the version that compare-and-set needs. */
export interface StoredLink {
  readonly version: number;
  readonly record: LinkRecord;
}

export interface IssueOrder {
  readonly link: Link;
  readonly pair: PairIndex;
  readonly number: number;
  readonly slot: 0 | 1;
  /** PEM, as the sites made them: hostile until checked. */
  readonly csrs: Readonly<Record<Side, string>>;
}

export interface Issued {
  readonly credentials: Credentials;
  readonly root: TrustRoot;
}

/**
 * The same link, earlier. What a site has acted on is never followed by that: the registry came back from a backup.
 * A name that was given to other sites is another link.
 */
export function isEarlier(record: LinkRecord, than: LinkRecord): boolean {
  return isSameLink(record.link, than.link) && record.edition < than.edition;
}

/** What a site goes by, which has its own record and sees the registry's. */
export function laterOf(own: LinkRecord | undefined, registered: LinkRecord): LinkRecord {
  return own !== undefined && isEarlier(registered, own) ? own : registered;
}

export function isSameLink(one: Link, other: Link): boolean {
  return one.name === other.name && one.server === other.server && one.client === other.client;
}

/** The generations of a pair that are there or may be. */
export function credentialsOfPair({ current, next }: PairRecord): readonly Credentials[] {
  return [current, next?.credentials ?? null].filter((credentials) => credentials !== null);
}

/** What records lack that were written before hubs counted their writes and told of silent sites. */
export const earlierRecord = {
  edition: 0,
  silentSinceWallMs: { server: null, client: null },
} as const satisfies Partial<LinkRecord>;
