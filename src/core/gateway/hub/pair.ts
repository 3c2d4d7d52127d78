/**
 * The pair of a link that is on its way to a new generation: what its phase may do next. Pure; looks at facts that both
 * sites report now, so that a lost, repeated or late report is harmless.
 *
 * Invariants: the old gateway may go only after both sides acknowledged the switch and saw it idle, and while both ends of
 * the new one are ready (G1). Until then every failure leads back to the old one; after that there is only forward.
 */
import { limits } from "../../limits.js";
import { sides, type PairIndex, type Side } from "../link.js";
import { gateOf, linkStanding, readinessRules, type Gate, type LinkReports } from "../readiness.js";
import type { Cause, Issued, IssueOrder, LinkRecord, NextGeneration, PairPhase, PairRecord } from "../record.js";
import type { PairReport, RouteHop, SiteReport } from "../report.js";
import type { IssueFailure } from "./state.js";

export interface PairInWork extends PairRecord {
  readonly next: NextGeneration;
}

export interface PairContext {
  readonly reports: LinkReports;
  readonly issued: Issued | null;
  readonly issueFailure: IssueFailure | null;
  /** Since this hub first saw the phase. */
  readonly phaseMs: number;
}

/**
 * - stay: nothing to do but wait; `why` is what for.
 * - done: the new generation is the pair's current one. undone: the new one is gone, the old one is as it was.
 */
export type Verdict =
  | { readonly kind: "stay"; readonly why: Cause; readonly isLate: boolean }
  | { readonly kind: "issue"; readonly order: IssueOrder }
  | { readonly kind: "take"; readonly issued: Issued }
  | { readonly kind: "enter"; readonly phase: PairPhase }
  | { readonly kind: "undo"; readonly cause: Cause }
  | { readonly kind: "done" }
  | { readonly kind: "undone" };

export function pairInWork(record: LinkRecord): PairInWork | null {
  return record.pairs.find((pair): pair is PairInWork => pair.next !== null) ?? null;
}

export function judgePair(record: LinkRecord, pair: PairInWork, context: PairContext): Verdict {
  const { current, next, index } = pair;
  const { reports } = context;
  const hasSwitched = (side: Side): boolean => isRouted(reports[side]?.report, index, next.number, current?.number ?? null);
  switch (next.phase) {
    case "planned":
      return judgeIssuing(record, pair, context);
    case "issued":
      return enterWhen("switching", record, pair, context, () => true);
    case "switching":
      return enterWhen(current === null ? "removing" : "draining", record, pair, context, hasSwitched);
    case "draining":
      return unlessNoWayBack(enterWhen("removing", record, pair, context, (side) => hasSwitched(side) && hasDrained(reports, side, pair)), pair, reports);
    case "removing":
      return judgeGone(pair, context, (side) => isGone(reports, side, pair, current?.number ?? null));
    case "rolling-back":
      return judgeGone(pair, context, (side) => isGone(reports, side, pair, next.number));
  }
}

function judgeIssuing(record: LinkRecord, pair: PairInWork, context: PairContext): Verdict {
  const { index, next } = pair;
  const { issued, issueFailure, reports, phaseMs } = context;
  if (issued !== null && issued.credentials.number === next.number) return { kind: "take", issued };
  const server = csrOf(reports, "server", index, next.number);
  const client = csrOf(reports, "client", index, next.number);
  const side: Side | null = server === null ? "server" : client === null ? "client" : null;
  const code = side === null ? "GATEWAY_ISSUE_FAILED" : "GATEWAY_UNKNOWN";
  const message = side === null ? "no certificates were issued" : "no request for a certificate came";
  const failed = issueFailure?.number === next.number ? issueFailure : failureOf(reports, index, next.number);
  const cause = { code: failed?.code ?? code, message: failed?.message ?? message, pair: index, side };
  if (phaseMs > limits.gatewayIssueMsMax) return { kind: "undo", cause };
  if (server === null || client === null) return { kind: "stay", why: cause, isLate: false };
  return { kind: "issue", order: { link: record.link, pair: index, number: next.number, slot: next.slot, csrs: { server, client } } };
}

/** Steps that can hurt: only with an open gate, and with the acknowledgement of both sides. Otherwise back, in time. */
function enterWhen(
  phase: PairPhase,
  record: LinkRecord,
  pair: PairInWork,
  { reports, phaseMs }: PairContext,
  isAcknowledged: (side: Side) => boolean,
): Verdict {
  const gate = gateOf(linkStanding(record, reports));
  if (gate.kind === "closed") return waitOrUndo(causeOf(gate), readinessRules[gate.code].deadlineMs, phaseMs);
  const late = sides.find((side) => !isAcknowledged(side));
  if (late === undefined) return { kind: "enter", phase };
  const failed = failureOf(reports, pair.index, pair.next.number);
  const cause: Cause = {
    code: failed?.code ?? "GATEWAY_ACKNOWLEDGEMENT_LATE",
    message: failed?.message ?? `the ${late} has not acknowledged phase ${pair.next.phase}`,
    pair: pair.index,
    side: late,
  };
  return waitOrUndo(cause, limits.gatewayAcknowledgeMsMax, phaseMs);
}

function waitOrUndo(cause: Cause, deadlineMs: number, phaseMs: number): Verdict {
  return phaseMs > deadlineMs ? { kind: "undo", cause } : { kind: "stay", why: cause, isLate: false };
}

/**
 * The record may come from a backup, and the sites be further on: from draining there is a way back only with both of them
 * heard, and neither of them left with the new gateway alone.
 */
function unlessNoWayBack(verdict: Verdict, { index, current, next }: PairInWork, reports: LinkReports): Verdict {
  if (verdict.kind !== "undo") return verdict;
  const isOpen = sides.every((side) => {
    const received = reports[side];
    if (received === null || received.ageMs > limits.gatewayObservationMsMax) return false;
    const has = (number: number | undefined): boolean => received.report.gateways.some((view) => view.pair === index && view.number === number);
    return has(current?.number) || !has(next.number);
  });
  return isOpen ? verdict : { kind: "stay", why: verdict.cause, isLate: true };
}

/** No way back from here, and no deadline: a site that is away is waited for, loudly. */
function judgeGone({ index, next }: PairInWork, { reports, phaseMs }: PairContext, isGoneAt: (side: Side) => boolean): Verdict {
  const late = sides.find((side) => !isGoneAt(side));
  if (late === undefined) return { kind: next.phase === "removing" ? "done" : "undone" };
  const failed = failureOf(reports, index, next.number);
  const message = failed?.message ?? `the ${late} has not yet said that the gateway is gone`;
  const why = { code: "GATEWAY_REMOVAL_LATE", message, pair: index, side: late };
  return { kind: "stay", why, isLate: phaseMs > limits.gatewayAcknowledgeMsMax };
}

/** The route leads through the new generation and no longer through the old one, by the site's own reading. */
function isRouted(report: SiteReport | undefined, pair: PairIndex, number: number, old: number | null): boolean {
  if (report?.route.kind !== "hops") return false;
  const numbers = report.route.hops.filter((hop) => hop.pair === pair).map((hop) => hop.number);
  return numbers.includes(number) && (old === null || !numbers.includes(old));
}

function hasDrained(reports: LinkReports, side: Side, { index, current }: PairInWork): boolean {
  return current === null || pairReport(reports, side, index)?.drained === current.number;
}

/** Said by a site that acts on this phase, so that it will not start the gateway on an older record. */
function isGone(reports: LinkReports, side: Side, { index: pair, next }: PairInWork, number: number | null): boolean {
  const received = reports[side];
  if (received === null || received.ageMs > limits.gatewayObservationMsMax) return false;
  const acting = pairReport(reports, side, pair)?.acting ?? null;
  if (acting?.number !== next.number || acting.phase !== next.phase) return false;
  const { gateways, route } = received.report;
  if (route.kind === "unknown") return false;
  const hops: readonly RouteHop[] = route.kind === "hops" ? route.hops : [];
  return ![...gateways, ...hops].some((one) => one.pair === pair && one.number === number);
}

function csrOf(reports: LinkReports, side: Side, pair: PairIndex, number: number): string | null {
  const csr = pairReport(reports, side, pair)?.csr;
  return csr?.number === number ? csr.pem : null;
}

function failureOf(reports: LinkReports, pair: PairIndex, number: number): { code: string; message: string } | null {
  const failures = sides.map((side) => pairReport(reports, side, pair)?.failure);
  return failures.find((failure) => failure?.number === number) ?? null;
}

export function pairReport(reports: LinkReports, side: Side, pair: PairIndex): PairReport | undefined {
  return reports[side]?.report.pairs.find((one) => one.pair === pair);
}

function causeOf(gate: Extract<Gate, { kind: "closed" }>): Cause {
  return { code: gate.code, message: readinessRules[gate.code].message, pair: gate.pair, side: gate.side };
}
