import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../limits.js";
import { credentialsOf, fixtureReport, healthyView, nextOf, pairIndex, pairOf, recordOf } from "../fixtures.js";
import { sides, type Side } from "../link.js";
import { readinessRules, type LinkReports } from "../readiness.js";
import type { LinkRecord, PairPhase } from "../record.js";
import type { RouteHop, SiteReport } from "../report.js";
import { judgePair, pairInWork, type Verdict } from "./pair.js";

const old = credentialsOf(7);
const fresh = credentialsOf(8, 1);
const viaOld: RouteHop = { pair: pairIndex(0), number: 7 };
const viaNew: RouteHop = { pair: pairIndex(0), number: 8 };

function inPhase(phase: PairPhase): LinkRecord {
  return recordOf([pairOf(0, old, nextOf(fresh, phase)), pairOf(1, credentialsOf(6))]);
}

/** A side at which all is well, acting on the phase of the record. */
function reportIn(phase: PairPhase, side: Side, change: Partial<SiteReport> = {}, drained: number | null = null): SiteReport {
  const gateways = [healthyView(side, 0, old), healthyView(side, 0, fresh), healthyView(side, 1, credentialsOf(6))];
  const pair = { pair: pairIndex(0), acting: { number: 8, phase }, csr: null, drained, failure: null };
  return { ...fixtureReport(side, gateways, [viaOld]), pairs: [pair], ...change };
}

function reports(server: SiteReport, client: SiteReport, ageMs = 0): LinkReports {
  return { server: { report: server, ageMs }, client: { report: client, ageMs } };
}

function judge(phase: PairPhase, told: LinkReports, phaseMs = 0): Verdict {
  const record = inPhase(phase);
  const pair = pairInWork(record);
  assert.ok(pair !== null);
  return judgePair(record, pair, { reports: told, issued: null, issueFailure: null, phaseMs });
}

function words(verdict: Verdict): string {
  if (verdict.kind === "enter") return `enter ${verdict.phase}`;
  if (verdict.kind === "undo") return `undo ${verdict.cause.code}`;
  return verdict.kind === "stay" ? `stay ${verdict.why.code}` : verdict.kind;
}

const switched: Partial<SiteReport> = { route: { kind: "hops", hops: [viaNew] } };
const bothHops: Partial<SiteReport> = { route: { kind: "hops", hops: [viaNew, viaOld] } };
const isGone = (side: Side): Partial<SiteReport> => ({ ...switched, gateways: [healthyView(side, 0, fresh)] });

const cases: readonly { name: string; phase: PairPhase; of: (side: Side) => SiteReport; says: string }[] = [
  { name: "both new ends ready", phase: "issued", of: (side) => reportIn("issued", side), says: "enter switching" },
  { name: "neither has switched", phase: "switching", of: (side) => reportIn("switching", side), says: "stay GATEWAY_ACKNOWLEDGEMENT_LATE" },
  {
    name: "one has switched",
    phase: "switching",
    of: (side) => reportIn("switching", side, side === "server" ? switched : {}),
    says: "stay GATEWAY_ACKNOWLEDGEMENT_LATE",
  },
  {
    name: "the old hop is still in the route of one",
    phase: "switching",
    of: (side) => reportIn("switching", side, side === "server" ? switched : bothHops),
    says: "stay GATEWAY_ACKNOWLEDGEMENT_LATE",
  },
  { name: "both have switched", phase: "switching", of: (side) => reportIn("switching", side, switched), says: "enter draining" },
  {
    name: "one has drained",
    phase: "draining",
    of: (side) => reportIn("draining", side, switched, side === "client" ? 7 : null),
    says: "stay GATEWAY_ACKNOWLEDGEMENT_LATE",
  },
  {
    name: "drained is said of another generation",
    phase: "draining",
    of: (side) => reportIn("draining", side, switched, 6),
    says: "stay GATEWAY_ACKNOWLEDGEMENT_LATE",
  },
  { name: "both have drained", phase: "draining", of: (side) => reportIn("draining", side, switched, 7), says: "enter removing" },
  {
    name: "both have drained, and one went back to the old hop",
    phase: "draining",
    of: (side) => reportIn("draining", side, side === "client" ? {} : switched, 7),
    says: "stay GATEWAY_ACKNOWLEDGEMENT_LATE",
  },
  { name: "the old one is there", phase: "removing", of: (side) => reportIn("removing", side, switched), says: "stay GATEWAY_REMOVAL_LATE" },
  { name: "the old one is gone", phase: "removing", of: (side) => reportIn("removing", side, isGone(side)), says: "done" },
  {
    name: "the old one is not there, by a site that does not act on it yet",
    phase: "removing",
    of: (side) => reportIn("draining", side, isGone(side)),
    says: "stay GATEWAY_REMOVAL_LATE",
  },
  {
    name: "a site that tells nothing but that it acts",
    phase: "removing",
    of: (side) => reportIn("removing", side, { gateways: [], route: { kind: "unknown" } }),
    says: "stay GATEWAY_REMOVAL_LATE",
  },
  {
    name: "the new one is gone again",
    phase: "rolling-back",
    of: (side) => reportIn("rolling-back", side, { gateways: [healthyView(side, 0, old)] }),
    says: "undone",
  },
];

for (const { name, phase, of, says } of cases) {
  test(`hub, pair ${phase}: ${name}: ${says}`, () => {
    assert.equal(words(judge(phase, reports(of("server"), of("client")))), says);
  });
}

test("hub: from issued on, a new gateway that is not ready holds the pair up, and undoes it at the reason's deadline", () => {
  for (const phase of ["issued", "switching", "draining"] as const) {
    const lame = (side: Side): SiteReport => {
      const report = reportIn(phase, side, switched, 7);
      return { ...report, gateways: report.gateways.map((view) => (view.number === 8 && side === "client" ? { ...view, peer: null } : view)) };
    };
    const told = reports(lame("server"), lame("client"));
    const { deadlineMs } = readinessRules.GATEWAY_PEER_UNKNOWN;
    assert.equal(words(judge(phase, told, deadlineMs)), "stay GATEWAY_PEER_UNKNOWN", phase);
    assert.equal(words(judge(phase, told, deadlineMs + 1)), "undo GATEWAY_PEER_UNKNOWN", phase);
  }
});

test("hub: reports that are too old move nothing", () => {
  const ageMs = limits.gatewayObservationMsMax + 1;
  for (const phase of ["issued", "switching", "draining"] as const) {
    const told = reports(reportIn(phase, "server", switched, 7), reportIn(phase, "client", switched, 7), ageMs);
    assert.equal(words(judge(phase, told)), "stay GATEWAY_OBSERVATION_STALE", phase);
  }
  const gone = reports(reportIn("removing", "server", isGone("server")), reportIn("removing", "client", isGone("client")), ageMs);
  assert.equal(words(judge("removing", gone)), "stay GATEWAY_REMOVAL_LATE");
});

test("hub: certificates are ordered when both requests for this generation are there, and only then", () => {
  const withCsr = (side: Side, number: number): SiteReport => {
    const report = reportIn("planned", side);
    return { ...report, pairs: report.pairs.map((pair) => ({ ...pair, csr: { number, pem: `csr of the ${side}` } })) };
  };
  assert.equal(words(judge("planned", reports(withCsr("server", 8), reportIn("planned", "client")))), "stay GATEWAY_UNKNOWN");
  assert.equal(words(judge("planned", reports(withCsr("server", 8), withCsr("client", 7)))), "stay GATEWAY_UNKNOWN");
  const verdict = judge("planned", reports(withCsr("server", 8), withCsr("client", 8)));
  assert.ok(verdict.kind === "issue");
  assert.deepEqual(sides.map((side) => verdict.order.csrs[side]), ["csr of the server", "csr of the client"]);
  const late = judge("planned", { server: null, client: null }, limits.gatewayIssueMsMax + 1);
  assert.equal(words(late), "undo GATEWAY_UNKNOWN");
});
