/**
 * The hub's machine: `step(state, observation, now) -> { state, effects }`. Level-triggered and crash-safe: it decides
 * from the link records and the sites' reports of now, and what it decides stands in a record, written by compare-and-set,
 * before anybody acts on it. It decides nothing while its view is incomplete or old.
 */
import { limits } from "../../limits.js";
import type { Link, LinkName, Side } from "../link.js";
import { reportName } from "../report.js";
import { isRepair, linkStanding, type LinkReports } from "../readiness.js";
import { isEarlier, isSameLink, type LinkRecord, type Round, type StoredLink } from "../record.js";
import { applied, begun, causeText, grown, isValidityShort, newLinkRecord, planned } from "./link.js";
import { judgePair, pairInWork, type PairInWork, type Verdict } from "./pair.js";
import { silentConditions, withSilence } from "./silence.js";
import { firstEndWallMs, isFailing, scheduleLinks, type Due } from "./schedule.js";
import {
  issueEffectId,
  recordEffectId,
  type HubCondition,
  type HubEffect,
  type HubNote,
  type HubObservation,
  type HubOptions,
  type HubState,
  type HubStep,
  type PhaseSeen,
} from "./state.js";

export function stepHub(before: HubState, observation: HubObservation, nowMs: number, options: HubOptions): HubStep {
  if (!observation.complete) return { state: { ...before, listeningSinceMs: null }, effects: [], notes: [], wakeAtMs: null };
  const listeningSinceMs = before.listeningSinceMs ?? nowMs;
  const state = { ...before, listeningSinceMs, phases: seePhases(before, observation, nowMs) };
  const turn: Turn = { state, observation, nowMs, effects: [], notes: [], conditions: [], waiting: new Set() };
  const desired = observation.desired === null ? null : new Map(observation.desired.map((link) => [link.name, link]));
  for (const stored of observation.links.values()) decideLink(stored, desired?.get(stored.record.link.name), turn);
  const records = [...observation.links.values()].map(({ record }) => record);
  for (const link of observation.desired ?? []) addLink(link, records, turn);
  const isDue = before.schedule === null || nowMs >= before.schedule.atMs + limits.gatewayHubTickMs;
  const looked = isDue ? { ...state, ...lookAtAll(records, turn, options) } : state;
  turn.conditions.push(...(looked.schedule?.conditions ?? []));
  noteConditions(before.conditions, turn);
  const isBusy = state.phases.size > 0 || !isDue;
  const wakeAtMs = isBusy ? (looked.schedule?.atMs ?? nowMs) + limits.gatewayHubTickMs : nowMs + limits.gatewayHubIdleMs;
  return { state: { ...looked, conditions: turn.conditions }, effects: turn.effects, notes: turn.notes, wakeAtMs };
}

/** What takes a look at every link, once a second at most. */
function lookAtAll(records: readonly LinkRecord[], turn: Turn, options: HubOptions): Pick<HubState, "schedule" | "keptRoots"> {
  const { begin, conditions } = scheduleLinks(records, turn.waiting, turn.observation, options);
  for (const due of begin) beginLink(due, turn);
  for (const record of records) markSilent(record, options.silentMs, turn);
  const silent = records.flatMap((record) => silentConditions(record, turn.observation.wallMs));
  return { schedule: { atMs: turn.nowMs, conditions: [...conditions, ...silent] }, keptRoots: keepRoots(records, turn) };
}

interface Turn {
  readonly state: HubState;
  readonly observation: HubObservation;
  readonly nowMs: number;
  readonly effects: HubEffect[];
  readonly notes: HubNote[];
  readonly conditions: HubCondition[];
  /** Links with nothing left to decide but that a site comes back. */
  readonly waiting: Set<LinkName>;
}

/** Remembers when this process first saw each phase, so that a deadline is counted on one clock. */
function seePhases(state: HubState, { links }: HubObservation, nowMs: number): HubState["phases"] {
  const phases = new Map<LinkName, PhaseSeen>();
  for (const [name, { record }] of links) {
    const next = pairInWork(record)?.next;
    if (next === undefined && !record.detached) continue;
    const number = next?.number ?? record.lastNumber;
    const phase = record.detached ? "detached" : (next?.phase ?? "planned");
    const seen = state.phases.get(name);
    const isSame = seen?.number === number && seen.phase === phase;
    phases.set(name, isSame ? seen : { number, phase, sinceMs: nowMs });
  }
  return phases;
}

function decideLink(stored: StoredLink, wanted: Link | undefined, turn: Turn): void {
  const { record } = stored;
  const { name } = record.link;
  tellFailures(record, turn);
  if (turn.observation.inFlight.has(recordEffectId(name))) return;
  const ahead = recordAhead(record, turn.observation);
  if (ahead !== null) return takeOver(stored, ahead, turn);
  if (record.detached) return decideDetached(stored, turn);
  if (turn.observation.desired !== null && (wanted === undefined || !isSameLink(record.link, wanted))) {
    // A link whose sites changed is another link: the old one goes first.
    return write(stored, { ...record, detached: true }, turn);
  }
  const pair = pairInWork(record);
  if (pair !== null) return decidePair(stored, pair, turn);
  if (record.rotation?.outcome === "running") return writePlanned(stored, turn);
  if (wanted === undefined || wanted.pairs === record.pairs.length) return;
  if (wanted.pairs > record.pairs.length) return write(stored, grown(record, wanted), turn);
  const message = `link ${name} keeps its ${record.pairs.length} pairs: fewer would cut off what they carry`;
  turn.conditions.push({ code: "GATEWAY_PAIRS_KEPT", link: name, message });
}

/**
 * What the sites act on is what is so: a registry that came back from a backup, or empty, gets their record back. Until then
 * they take nothing of it, so that no number is given out twice. Of two that are equally late, one site took the link for gone.
 */
function recordAhead(record: LinkRecord, observation: HubObservation): LinkRecord | null {
  const told = Object.values(reportsOf(record, observation)).flatMap((received) => received?.report.ahead ?? []);
  const later = told.filter((one) => isEarlier(record, one));
  return later.sort((one, other) => other.edition - one.edition || Number(one.detached) - Number(other.detached))[0] ?? null;
}

function takeOver(stored: StoredLink, ahead: LinkRecord, turn: Turn): void {
  const { name } = ahead.link;
  const message = `link ${name}: the registry had edition ${stored.record.edition} and the sites act on ${ahead.edition}: theirs is taken`;
  turn.conditions.push({ code: "GATEWAY_REGISTRY_BEHIND", link: name, message });
  write(stored, ahead, turn);
}

/** Gone when both sites say so; a site that never comes back cleans up when it does: there is no such record then. */
function decideDetached({ record, version }: StoredLink, { state, observation, nowMs, effects }: Turn): void {
  const { name } = record.link;
  const sinceMs = state.phases.get(name)?.sinceMs ?? nowMs;
  const isClear = Object.values(reportsOf(record, observation)).every((received) => {
    const report = received?.report;
    if (received === null || received.ageMs > nowMs - sinceMs) return false;
    return report?.detached === true && report.gateways.length === 0 && report.route.kind === "hops" && report.route.hops.length === 0;
  });
  if (!isClear && nowMs - sinceMs <= limits.gatewayDetachMsMax) return;
  effects.push({ kind: "remove-link", record, expectedVersion: version });
}

function decidePair(stored: StoredLink, pair: PairInWork, turn: Turn): void {
  const { observation, state, nowMs } = turn;
  const { record } = stored;
  const { name } = record.link;
  const context = {
    reports: reportsOf(record, observation),
    issued: observation.issued.get(name) ?? null,
    issueFailure: observation.issueFailures.get(name) ?? null,
    phaseMs: nowMs - (state.phases.get(name)?.sinceMs ?? nowMs),
  };
  const verdict = judgePair(record, pair, context);
  if (verdict.kind === "stay" && verdict.isLate) {
    turn.waiting.add(name);
    turn.conditions.push({ code: verdict.why.code, link: name, message: `link ${name}, pair ${pair.index}: ${verdict.why.message}` });
  }
  if (verdict.kind === "issue") {
    if (!observation.inFlight.has(issueEffectId(name))) turn.effects.push({ kind: "issue", order: verdict.order });
    return;
  }
  const next = planned(applied(record, pair, verdict, observation.wallMs));
  if (next === record) return;
  noteVerdict(record, next, pair, verdict, turn);
  const isSwitching = verdict.kind === "enter" && verdict.phase === "switching";
  if (isSwitching && isRepair(record, linkStanding(record, context.reports))) turn.notes.push({ kind: "repair", link: name, pair: pair.index });
  write(stored, next, turn);
}

export function reportsOf({ link }: LinkRecord, { reports }: HubObservation): LinkReports {
  const of = (side: Side): LinkReports[Side] => reports.get(reportName(link.name, link[side])) ?? null;
  return { server: of("server"), client: of("client") };
}

function write({ version, record: { edition } }: StoredLink, record: LinkRecord, { effects }: Turn): void {
  const next = { ...record, edition: 1 + Math.max(edition, record.edition) };
  effects.push({ kind: "write-link", record: next, expectedVersion: version });
}

function writePlanned(stored: StoredLink, turn: Turn): void {
  const next = planned(stored.record);
  if (next !== stored.record) write(stored, next, turn);
}

function addLink(link: Link, records: readonly LinkRecord[], { observation, effects }: Turn): void {
  if (observation.links.has(link.name) || observation.inFlight.has(recordEffectId(link.name))) return;
  const rounds = records.map(({ round }) => round);
  const newest = rounds.reduce<Round | null>((one, other) => (one === null || other.number > one.number ? other : one), null);
  const round = newest ?? { number: 0, dueWallMs: observation.wallMs };
  effects.push({ kind: "write-link", record: newLinkRecord(link, round), expectedVersion: 0 });
}

function markSilent(record: LinkRecord, silentMs: number, turn: Turn): void {
  const stored = untouched(record.link.name, turn);
  if (stored === null || record.detached) return;
  const { state, observation, nowMs } = turn;
  const listeningMs = nowMs - (state.listeningSinceMs ?? nowMs);
  const marked = withSilence(record, reportsOf(record, observation), listeningMs, observation.wallMs, silentMs);
  if (marked !== record) write(stored, marked, turn);
}

/** What of a link may be written in this turn. */
function untouched(name: LinkName, { effects, observation }: Turn): StoredLink | null {
  const isTouched = effects.some((effect) => "record" in effect && effect.record.link.name === name);
  return isTouched || observation.inFlight.has(recordEffectId(name)) ? null : (observation.links.get(name) ?? null);
}

function beginLink(due: Due, turn: Turn): void {
  const { name } = due.record.link;
  const stored = untouched(name, turn);
  if (stored === null) return;
  const record = planned(begun(stored.record, due, turn.observation.wallMs));
  turn.notes.push({ kind: "rotation", link: name, outcome: "begun", why: due.reason });
  write(stored, record, turn);
}

/** The union of what records name; an answer that is not yet in a record is under the present root, which stays anyway. */
function keepRoots(records: readonly LinkRecord[], { state, observation, effects }: Turn): string | null {
  const used = [...new Set(records.flatMap(({ roots }) => roots.map(({ fingerprint }) => fingerprint)))].sort();
  const text = used.join(" ");
  if (text === state.keptRoots || observation.hasUnreadable || observation.inFlight.has("keep-roots")) return state.keptRoots;
  effects.push({ kind: "keep-roots", used });
  return text;
}

function tellFailures(record: LinkRecord, { observation, conditions }: Turn): void {
  const { link, rotation } = record;
  if (rotation !== null && isFailing(record)) {
    const code = rotation.outcome === "failed" ? "GATEWAY_ROTATION_FAILED" : "GATEWAY_ROLLED_BACK";
    conditions.push({ code, link: link.name, message: `link ${link.name}: ${causeText(rotation.cause)}` });
  }
  if (rotation === null || rotation.outcome === "done") return;
  if (!isValidityShort(rotation, firstEndWallMs(record), observation.wallMs)) return;
  const message = `link ${link.name}: half of the validity that was left is gone, and the rotation is not done`;
  conditions.push({ code: "GATEWAY_VALIDITY_SHORT", link: link.name, message });
}

function noteVerdict(before: LinkRecord, after: LinkRecord, pair: PairInWork, verdict: Verdict, { notes }: Turn): void {
  const link = before.link.name;
  const phase = verdict.kind === "done" || verdict.kind === "undone" ? verdict.kind : after.pairs.find(({ index }) => index === pair.index)?.next?.phase;
  if (phase !== undefined) notes.push({ kind: "link-phase", link, pair: pair.index, number: pair.next.number, phase });
  const { rotation } = after;
  if (rotation === null || rotation.outcome === before.rotation?.outcome) return;
  notes.push({ kind: "rotation", link, outcome: rotation.outcome, why: causeText(rotation.cause) });
}

function noteConditions(before: readonly HubCondition[], { conditions, notes }: Turn): void {
  const known = new Set(before.map(({ code, link }) => `${code} ${link}`));
  for (const condition of conditions) {
    if (!known.has(`${condition.code} ${condition.link}`)) notes.push({ kind: "condition", condition });
  }
}
