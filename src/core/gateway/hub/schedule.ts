/**
 * Which links begin a rotation now. A round takes every link through one rotation: a share of canaries first, then a hold
 * in which nothing of them may go wrong, then the others, spread by jitter. What is asked for, new or about to end does
 * not wait for a round. At most `linksAtOnceMax` links have a generation on their way, which bounds the issuing, too.
 *
 * All of it is read from the link records: a hub that starts goes on where the last one stood.
 */
import { slotOf } from "../../jitter.js";
import { reportName } from "../report.js";
import { sides, type LinkName } from "../link.js";
import type { LinkRecord, LinkRequest, RotationReason, Round } from "../record.js";
import type { HubCondition, HubObservation, HubOptions } from "./state.js";

export interface Due {
  readonly record: LinkRecord;
  readonly reason: RotationReason;
  readonly why: string;
  readonly round: Round | null;
  readonly request: LinkRequest | null;
}

interface Candidate extends Due {
  /** Lower goes first. */
  readonly urgency: number;
  readonly sinceWallMs: number;
}

export interface Schedule {
  readonly begin: readonly Due[];
  readonly conditions: readonly HubCondition[];
}

/** @param waiting links that only wait for a site to come back: they hold no place, or a few dead sites would hold all */
export function scheduleLinks(
  records: readonly LinkRecord[],
  waiting: ReadonlySet<LinkName>,
  observation: HubObservation,
  options: HubOptions,
): Schedule {
  const wanted = records.filter((record) => !record.detached);
  const running = wanted.filter((record) => isRunning(record) && !waiting.has(record.link.name)).length;
  // With every place taken and nothing to tell there is nothing to decide: most turns of a round end here.
  if (running >= options.linksAtOnceMax && !wanted.some(isFailing)) return { begin: [], conditions: [] };
  const resting = wanted.filter((record) => !isRunning(record));
  const asked = resting.map((record) => askedFor(record, observation, options)).filter((due) => due !== null);
  const { due, conditions } = dueInRound(wanted, observation.wallMs, options);
  const urgent = new Set(asked.map(({ record }) => record));
  const candidates = [...asked, ...due.filter(({ record }) => !urgent.has(record))];
  const ordered = candidates.sort((one, other) => one.urgency - other.urgency || one.sinceWallMs - other.sinceWallMs);
  return { begin: ordered.slice(0, Math.max(0, options.linksAtOnceMax - running)), conditions };
}

export function isRunning({ rotation }: LinkRecord): boolean {
  return rotation?.outcome === "running";
}

/** Undone, and waiting for its retry. */
export function isFailing({ rotation }: LinkRecord): boolean {
  return rotation?.outcome === "rolled-back" || rotation?.outcome === "failed";
}

function askedFor(record: LinkRecord, observation: HubObservation, options: HubOptions): Candidate | null {
  const { wallMs } = observation;
  const request = pendingRequest(record, observation);
  const { rotation } = record;
  if (rotation !== null && isFailing(record)) {
    const isTime = request !== null || wallMs >= (rotation.retryWallMs ?? 0);
    const { reason, why, round } = rotation;
    return isTime ? { record, reason, why, round, request, urgency: 1, sinceWallMs: rotation.retryWallMs ?? 0 } : null;
  }
  const dueFor = (reason: RotationReason, urgency: number, sinceWallMs = 0): Candidate => {
    return { record, reason, why: request?.why ?? "", round: null, request, urgency, sinceWallMs };
  };
  if (record.pairs.some(({ current }) => current === null)) return { ...dueFor("first", 0), request: null };
  if (request !== null) return dueFor("request", 0);
  if (hasLostCredentials(record, observation)) return dueFor("credentials-lost", 1);
  const endWallMs = firstEndWallMs(record);
  return wallMs >= endWallMs - options.renewBeforeMs ? dueFor("expiring", 1, endWallMs) : null;
}

function pendingRequest(record: LinkRecord, { requests }: HubObservation): LinkRequest | null {
  const request = requests.get(record.link.name) ?? null;
  return request === null || request.id === record.answeredRequest ? null : request;
}

/** When the first certificate in use ends; infinite when there is none. */
export function firstEndWallMs(record: LinkRecord): number {
  const ends = record.pairs.flatMap(({ current }) =>
    current === null ? [] : sides.map((side) => current.certificates[side].notAfterWallMs),
  );
  return Math.min(Infinity, ...ends);
}

function hasLostCredentials({ link, pairs }: LinkRecord, { reports }: HubObservation): boolean {
  return sides.some((side) => {
    const told = reports.get(reportName(link.name, link[side]))?.report.pairs ?? [];
    return told.some(({ pair, failure }) => {
      const inUse = pairs.find(({ index }) => index === pair)?.current?.number;
      return failure !== null && failure.number === inUse && failure.code === "GATEWAY_KEY_MISSING";
    });
  });
}

interface RoundView {
  readonly due: readonly Candidate[];
  readonly conditions: readonly HubCondition[];
}

function dueInRound(records: readonly LinkRecord[], wallMs: number, options: HubOptions): RoundView {
  const round = roundAt(records, wallMs, options.intervalMs);
  if (round === null) return { due: [], conditions: [] };
  const canaries = canariesOf(records, round, options.canaryShare);
  const members = records.filter((record) => record.round.number < round.number);
  const first = members.filter((record) => canaries.has(record.link.name));
  const failing = records.filter(isFailing);
  if (first.length === 0) {
    const openWallMs = Math.max(round.dueWallMs, ...records.filter(({ link }) => canaries.has(link.name)).map(quietSince(options.holdMs)));
    const isHeld = failing.length >= options.linksAtOnceMax;
    return { due: isHeld ? [] : spread(members, round, openWallMs, wallMs, options), conditions: isHeld ? failing.map(held) : [] };
  }
  const failed = failing.filter(({ link }) => canaries.has(link.name));
  return { due: failed.length > 0 ? [] : spread(first, round, round.dueWallMs, wallMs, options), conditions: failed.map(held) };
}

/** The round that some link has begun and not all have done; else the next one, when it is due; else null. */
function roundAt(records: readonly LinkRecord[], wallMs: number, intervalMs: number): Round | null {
  const begun = records.flatMap(({ round, rotation }) => [round, rotation?.round ?? round]);
  const last = begun.reduce<Round | null>((latest, round) => (latest === null || round.number > latest.number ? round : latest), null);
  if (last === null) return null;
  if (records.some(({ round }) => round.number < last.number)) return last;
  const dueWallMs = last.dueWallMs + intervalMs;
  if (wallMs < dueWallMs) return null;
  // After a long outage the rounds go on from now: those that were missed are not made up for.
  return { number: last.number + 1, dueWallMs: wallMs - dueWallMs < intervalMs ? dueWallMs : wallMs };
}

/** Other links each round, the same for every hub. */
export function canariesOf(records: readonly LinkRecord[], round: Round, share: number): ReadonlySet<LinkName> {
  const rank = (name: LinkName): number => slotOf(name, round.number);
  const names = records.map(({ link }) => link.name).sort((one, other) => rank(one) - rank(other));
  return new Set(names.slice(0, Math.ceil(share * names.length)));
}

function quietSince(holdMs: number): (record: LinkRecord) => number {
  return ({ rotation, lastErrorWallMs }) => Math.max(rotation?.endedWallMs ?? 0, lastErrorWallMs ?? 0) + holdMs;
}

function spread(members: readonly LinkRecord[], round: Round, openWallMs: number, wallMs: number, options: HubOptions): readonly Candidate[] {
  return members.filter((record) => !isRunning(record) && !isFailing(record)).flatMap((record) => {
    const sinceWallMs = openWallMs + slotOf(record.link.name, round.number + 1) * options.jitterMs;
    if (wallMs < sinceWallMs) return [];
    return [{ record, reason: "schedule" as const, why: "", round, request: null, urgency: 2, sinceWallMs }];
  });
}

function held({ link, rotation }: LinkRecord): HubCondition {
  const message = `the round waits for link ${link.name}: ${rotation?.cause?.message ?? "it is undone"}`;
  return { code: "GATEWAY_ROUND_HELD", link: link.name, message };
}
