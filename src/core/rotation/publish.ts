/** What this node says about itself. It is true when it is said: built from what was read back and from durable words. */
import { assert } from "../assert.js";
import { includesKey, sameKey, type KeyIdentity } from "../key-id.js";
import type { RosterRevision } from "../node.js";
import type { Report, UnprovenPeers } from "../report.js";
import { nodeShare } from "../jitter.js";
import type { Context } from "./context.js";
import { levelOf, reportedLevel } from "./level.js";
import type { Observation } from "./observation.js";
import { inputsOf } from "./path-view.js";
import { fact } from "./peer-facts.js";
import { failureTo } from "./probes.js";
import type { AgentOptions, AgentState } from "./state.js";
import { hasGivenWord } from "./word.js";

/**
 * Null while there is nothing to speak of: not admitted, or the kernel was not read in this life. A report that is only
 * empty is no silence: peers take it for "sends with no refused key" while the kernel still does.
 */
export function buildReport(state: AgentState, observation: Observation, options: AgentOptions): Report | null {
  const report = draftReport(state, observation, options);
  const { rosterComplete, selfIncarnationId } = observation.kernel.recognisedWith;
  return rosterComplete && selfIncarnationId === report?.incarnationId ? report : null;
}

/** What would be said now, whether or not the kernel was read. */
export function draftReport(state: AgentState, observation: Observation, options: AgentOptions): Report | null {
  const { context, durable, tally } = state;
  const self = observation.roster.entries.get(options.name);
  if (self === undefined || self.incarnationId !== durable.incarnation?.id) return null;
  const { holds, through } = heldThrough(state, observation);
  const waiting = state.phase === "waiting" ? state.wait : null;
  const oldest = oldestSent(state);
  const level = reportedLevel(state, options);
  return {
    schemaVersion: 1,
    node: options.name,
    incarnationId: self.incarnationId,
    available: levelOf(durable, options) === "off" ? [] : observation.keys.available,
    holds,
    sendingOldest: oldest?.keyId ?? null,
    sendingNewest: tally.usingNext > 0 ? (context?.next?.keyId ?? null) : (oldest?.keyId ?? null),
    refused: refusedKeys(state),
    exclusionEpoch: context?.evidence.kind === "barrier" ? context.evidence.record.exclusionEpoch : 0,
    stagingMs: state.stagingMs,
    through,
    waitingFor: waiting?.key ?? null,
    waitingMs: waiting?.lengthMs ?? null,
    retired: durable.lastRetired,
    ...(level === undefined ? {} : { level }),
    ...(tally.unanswered > 0 ? { unproven: unprovenPeers(state, observation) } : {}),
  };
}

/**
 * Keys whose inbound SAs exist for every entry up to `through`. A join makes some SAs missing for a moment: that bounds
 * `through`, it does not take the key out of `holds`. Nor does it rise past an entry that is there and cannot be read.
 */
export function heldThrough(
  state: AgentState,
  observation: Observation,
): { readonly holds: readonly KeyIdentity[]; readonly through: RosterRevision } {
  const { context } = state;
  if (context === null) return { holds: [], through: state.through };
  const floor = Math.max(state.through, context.self.revision);
  const holds: KeyIdentity[] = [];
  let complete: number = observation.roster.revision;
  for (const key of context.hold) {
    const revision = firstMissingRevision(state, context, key, floor);
    if (revision <= floor || !canComplete(context, key, revision)) continue;
    holds.push(key);
    complete = Math.min(complete, revision - 1);
  }
  const isBlind = observation.roster.unreadable.size > 0;
  if (holds.length === 0 || isBlind || hasRemovalsToApply(state)) return { holds, through: state.through };
  return { holds, through: Math.max(state.through, complete) as RosterRevision };
}

/** A key whose bytes are not at hand cannot follow a join: it leaves `holds` rather than bound `through`. */
function canComplete(context: Context, key: KeyIdentity, firstMissing: number): boolean {
  return firstMissing === Number.POSITIVE_INFINITY || includesKey(context.installable, key);
}

/** The least revision of a peer whose inbound SA is missing. One up to `floor` ends the search: `key` is not held then. */
function firstMissingRevision(state: AgentState, context: Context, key: KeyIdentity, floor: number): number {
  const isCurrent = sameKey(key, context.current);
  const missing = isCurrent ? fact.missingCurrent : fact.missingNext;
  let first = Number.POSITIVE_INFINITY;
  if ((isCurrent ? state.tally.missingCurrent : state.tally.missingNext) === 0) return first;
  for (const [name, revision] of state.incomplete) {
    if (revision >= first || ((state.peers.get(name) ?? 0) & missing) === 0) continue;
    first = revision;
    if (first <= floor) return first;
  }
  return first;
}

function hasRemovalsToApply(state: AgentState): boolean {
  return state.deletionsHeld || state.tally.departed > 0 || state.checkpoint.size > state.tally.peers;
}

/**
 * The oldest key sent to a counted peer. "Only `next`" is said when it is our durable word (`sendFloor`) and the kernel
 * shows it; null only when there are no peers.
 */
function oldestSent(state: AgentState): KeyIdentity | null {
  const { context, tally } = state;
  if (context === null || tally.peers === 0) return null;
  if (context.next === null) return tally.onCurrent > 0 || tally.counted > 0 ? context.current : null;
  return hasGivenWord(state) ? context.next : (context.current ?? context.next);
}

function refusedKeys(state: AgentState): readonly KeyIdentity[] {
  const source = state.context?.evidence;
  if (source?.kind !== "barrier") return state.durable.refused;
  const { phase, target } = source.record;
  return phase === "aborting" && target !== null ? [target] : [];
}

/** Named is one that is kept on an old key, which a rotation waits for, before one that is plain, which it does not. */
function unprovenPeers(state: AgentState, observation: Observation): UnprovenPeers {
  const { context, tally } = state;
  let plain: UnprovenPeers | null = null;
  for (const name of state.unproven.keys()) {
    const failed = context === null ? null : failureTo(context, inputsOf(observation, name));
    if (failed === null) continue;
    const found = { count: tally.unanswered, peer: name, why: failed.failure.message };
    if (!failed.isPlain) return found;
    plain ??= found;
  }
  assert(plain !== null, "a peer that counts as unanswered has a probe that failed");
  return plain;
}

/** May `report` be sent now? Otherwise when; null for never, as nothing changed. */
export function publishAtMs(
  report: Report,
  state: AgentState,
  observation: Observation,
  nowMs: number,
  options: AgentOptions,
): number | null {
  const last = observation.publishedReport;
  if (last === null) return nowMs;
  if (sameReport(last, report) || isBetweenLevels(last, report, state)) return null;
  const spacingMs = options.reportIntervalMs * (1 + nodeShare(options.name) / 2);
  const spacedMs = (observation.publishedAtMs ?? 0) + spacingMs;
  if (differsInLesserWords(last, report, state)) return spacedMs;
  const spreadMs = isAwaited(last, report, state) ? 0 : reportSpreadMs(observation, options);
  if (spreadMs === 0) return nowMs;
  const slotMs = (state.unsaidSinceMs ?? nowMs) + Math.floor(nodeShare(options.name) * spreadMs);
  return last.through === report.through ? slotMs : Math.min(slotMs, spacedMs);
}

/**
 * Another level was named and is not applied yet: what there is to say comes when it is. A word about the level of now is
 * taken back at once, and a rotation waits for the epoch alone.
 */
function isBetweenLevels(last: Report, report: Report, { durable }: AgentState): boolean {
  const { exclusionEpoch, level } = report;
  if (durable.fleet?.record.phase !== "steady" || exclusionEpoch === last.exclusionEpoch) return false;
  return level === undefined && last.level !== undefined && sameReport({ ...last, exclusionEpoch, level }, report);
}

/**
 * In nothing but what nobody waits for, and what changes often: `through` and `unproven`, and the level, too, once everybody
 * has applied the one that is wanted.
 */
function differsInLesserWords(last: Report, report: Report, { durable }: AgentState): boolean {
  const levels = durable.fleet?.record.levels;
  const isMoving = levels !== undefined && !(levels.applied && levels.level === levels.wanted);
  return sameGreaterWords(last, report) && (!isMoving || sameLevel(last, report));
}

/**
 * Pairwise, every report goes to everybody: what all nodes have to say in the same moment (a new file, the last switch,
 * the end of the old key) they say one after the other, over half of the jitter (cilium #42721). 0 where jitter is off.
 */
export function reportSpreadMs(observation: Observation, options: AgentOptions): number {
  const { jitter, coordination } = options;
  const isSmall = observation.roster.entries.size < jitter.minNodes;
  const isEmergency = (observation.request?.compromised ?? null) !== null;
  return coordination === "barrier" || !jitter.enabled || isSmall || isEmergency ? 0 : Math.floor(jitter.maxMs / 2);
}

/** A key that is held now, one that is refused, and all that an abort waits for. */
function isAwaited(last: Report, report: Report, state: AgentState): boolean {
  if (state.phase === "aborting" || last.incarnationId !== report.incarnationId) return true;
  return !sameSet(last.refused, report.refused) || report.holds.some((key) => !includesKey(last.holds, key));
}

export function sameReport(one: Report, other: Report): boolean {
  return (
    one.through === other.through &&
    sameLevel(one, other) &&
    one.unproven?.count === other.unproven?.count &&
    one.unproven?.peer === other.unproven?.peer &&
    one.unproven?.why === other.unproven?.why &&
    sameGreaterWords(one, other)
  );
}

function sameLevel({ level: one }: Report, { level: other }: Report): boolean {
  return one?.applied === other?.applied && one?.sendsPlain === other?.sendsPlain;
}

function sameGreaterWords(one: Report, other: Report): boolean {
  return (
    one.node === other.node &&
    one.incarnationId === other.incarnationId &&
    sameSet(one.available, other.available) &&
    sameSet(one.holds, other.holds) &&
    sameSet(one.refused, other.refused) &&
    one.sendingOldest === other.sendingOldest &&
    one.sendingNewest === other.sendingNewest &&
    one.exclusionEpoch === other.exclusionEpoch &&
    sameKey(one.waitingFor, other.waitingFor) &&
    sameKey(one.retired?.key ?? null, other.retired?.key ?? null)
  );
}

function sameSet(one: readonly KeyIdentity[], other: readonly KeyIdentity[]): boolean {
  return one.length === other.length && one.every((key) => includesKey(other, key));
}
