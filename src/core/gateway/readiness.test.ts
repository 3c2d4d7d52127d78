import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../limits.js";
import { credentialsOf, fixtureLink, fixtureReport, healthyView, nextOf, pairIndex, pairOf, recordOf } from "./fixtures.js";
import type { Digest, Fingerprint, Side, SiteName } from "./link.js";
import { gateOf, gatewayReadiness, isRepair, linkStanding, readinessRules, type LinkReports, type NotReadyCode } from "./readiness.js";
import type { LinkRecord } from "./record.js";
import type { AgedView, GatewayView, PeerEcho, RouteView } from "./report.js";

const fresh = credentialsOf(8, 1);
const expected = { pair: pairIndex(0), side: "server" as const, peer: fixtureLink.client, credentials: fresh };
const healthy = healthyView("server", 0, fresh);
const zeroView: GatewayView = {
  pair: pairIndex(0),
  number: 8,
  digest: null,
  process: "unknown",
  tunnel: "unknown",
  interfaceName: null,
  localAddress: null,
  remoteAddress: null,
  peer: null,
  bytesIn: 0,
  bytesOut: 0,
};

function withPeer(change: Partial<PeerEcho>): GatewayView {
  assert.ok(healthy.peer !== null);
  return { ...healthy, peer: { ...healthy.peer, ...change } };
}

const cases: readonly { name: string; view: GatewayView | undefined; ageMs?: number; code: NotReadyCode | null }[] = [
  { name: "all is as it should be", view: healthy, code: null },
  { name: "no entry", view: undefined, code: "GATEWAY_UNKNOWN" },
  { name: "the zero value (trap 46)", view: zeroView, code: "GATEWAY_PROCESS_DOWN" },
  { name: "process down", view: { ...healthy, process: "down" }, code: "GATEWAY_PROCESS_DOWN" },
  { name: "process unknown", view: { ...healthy, process: "unknown" }, code: "GATEWAY_PROCESS_DOWN" },
  { name: "tunnel down", view: { ...healthy, tunnel: "down" }, code: "GATEWAY_TUNNEL_DOWN" },
  { name: "tunnel unknown", view: { ...healthy, tunnel: "unknown" }, code: "GATEWAY_TUNNEL_DOWN" },
  { name: "no interface", view: { ...healthy, interfaceName: null }, code: "GATEWAY_INTERFACE_MISSING" },
  { name: "an empty interface name", view: { ...healthy, interfaceName: "" }, code: "GATEWAY_INTERFACE_MISSING" },
  { name: "local address alone missing", view: { ...healthy, localAddress: null }, code: "GATEWAY_LOCAL_ADDRESS_MISSING" },
  { name: "remote address alone missing", view: { ...healthy, remoteAddress: "" }, code: "GATEWAY_REMOTE_ADDRESS_MISSING" },
  { name: "no answer from the peer", view: { ...healthy, peer: null }, code: "GATEWAY_PEER_UNKNOWN" },
  { name: "another site answers", view: withPeer({ site: "w-100" as SiteName }), code: "GATEWAY_PEER_UNKNOWN" },
  { name: "another pair answers", view: withPeer({ pair: pairIndex(1) }), code: "GATEWAY_PEER_UNKNOWN" },
  { name: "too few answers", view: withPeer({ answered: 2 }), code: "GATEWAY_PEER_UNKNOWN" },
  { name: "only small packets pass", view: withPeer({ fullSize: false }), code: "GATEWAY_PEER_UNKNOWN" },
  { name: "observed 121 s ago (trap 47)", view: healthy, ageMs: 121_000, code: "GATEWAY_OBSERVATION_STALE" },
  { name: "as old as it may be", view: healthy, ageMs: limits.gatewayObservationMsMax, code: null },
  { name: "a bit older", view: healthy, ageMs: limits.gatewayObservationMsMax + 1, code: "GATEWAY_OBSERVATION_STALE" },
  { name: "other files lie here", view: { ...healthy, digest: "00" as Digest }, code: "GATEWAY_GENERATION_MISMATCH" },
  { name: "the peer is a generation behind", view: withPeer({ number: 7 }), code: "GATEWAY_GENERATION_MISMATCH" },
  { name: "the peer's digest differs", view: withPeer({ digest: "00" as Digest }), code: "GATEWAY_GENERATION_MISMATCH" },
  { name: "another certificate", view: withPeer({ certificate: "00" as Fingerprint }), code: "GATEWAY_CERTIFICATE_MISMATCH" },
  {
    name: "a server alone, its device and address there",
    view: { ...healthy, tunnel: "down", remoteAddress: null, peer: null },
    code: "GATEWAY_TUNNEL_DOWN",
  },
  {
    name: "a server alone that says it is connected, the peer's address as configured",
    view: { ...healthy, peer: null },
    code: "GATEWAY_PEER_UNKNOWN",
  },
];

for (const { name, view, ageMs, code } of cases) {
  test(`readiness: ${name} is ${code ?? "ready"}`, () => {
    const readiness = gatewayReadiness(expected, view, ageMs ?? 0);
    assert.deepEqual(readiness, code === null ? { kind: "ready" } : { kind: "not-ready", code });
  });
}

test("readiness: every reason has a retry delay below its deadline", () => {
  for (const [code, { retryMs, deadlineMs }] of Object.entries(readinessRules)) {
    assert.ok(retryMs > 0 && retryMs < deadlineMs, code);
  }
});

const old = credentialsOf(7);
const inWork = recordOf([pairOf(0, old, nextOf(fresh, "issued")), pairOf(1, credentialsOf(6))]);

function reportsOf(record: LinkRecord, change: (side: Side, view: AgedView) => AgedView | null, ageMs = 0): LinkReports {
  const reportOf = (side: Side): LinkReports[Side] => {
    const views = record.pairs.flatMap(({ index, current, next }) => {
      const here = [current, next?.credentials ?? null].filter((one) => one !== null);
      return here.map((credentials) => healthyView(side, index, credentials));
    });
    const gateways = views.map((view) => change(side, view)).filter((view) => view !== null);
    return { report: fixtureReport(side, gateways), ageMs };
  };
  return { server: reportOf("server"), client: reportOf("client") };
}

const unchanged = (_side: Side, view: AgedView): AgedView => view;

function gate(record: LinkRecord, reports: LinkReports): string {
  const found = gateOf(linkStanding(record, reports));
  return found.kind === "open" ? "open" : `${found.code} ${found.side ?? "-"} ${found.pair ?? "-"}`;
}

test("readiness of a link: all gateways of both sites are looked at", () => {
  assert.equal(linkStanding(inWork, reportsOf(inWork, unchanged)).length, 6);
  assert.equal(gate(inWork, reportsOf(inWork, unchanged)), "open");
});

test("readiness of a link: the new gateway of either side closes the gate", () => {
  for (const bad of ["server", "client"] as const) {
    const reports = reportsOf(inWork, (side, view) => (side === bad && view.number === 8 ? { ...view, peer: null } : view));
    assert.equal(gate(inWork, reports), `GATEWAY_PEER_UNKNOWN ${bad} 0`);
  }
});

test("readiness of a link: old tunnels never close the gate, and all of them down is a repair", () => {
  const reports = reportsOf(inWork, (_side, view) => (view.number === 8 ? view : { ...view, tunnel: "down" }));
  assert.equal(gate(inWork, reports), "open");
  assert.ok(isRepair(inWork, linkStanding(inWork, reports)));
  assert.ok(!isRepair(inWork, linkStanding(inWork, reportsOf(inWork, unchanged))));
});

test("readiness of a link: a pair that this rotation has moved closes the gate for the next pair", () => {
  const rotation = {
    reason: "schedule",
    why: "",
    round: { number: 2, dueWallMs: 0 },
    planned: [pairIndex(0), pairIndex(1)],
    done: [pairIndex(0)],
    outcome: "running",
    startedWallMs: 0,
    endedWallMs: null,
    failures: 0,
    retryWallMs: null,
    cause: null,
  } as const;
  const moved = recordOf([pairOf(0, fresh), pairOf(1, credentialsOf(6), nextOf(credentialsOf(9, 1), "issued"))], { rotation });
  const reports = reportsOf(moved, (_side, view) => (view.number === 8 ? { ...view, process: "down" } : view));
  assert.equal(gate(moved, reports), "GATEWAY_PROCESS_DOWN server 0");
});

test("readiness of a link: nothing to look at is not ready: no pairs, no reports, an empty report (trap 45)", () => {
  assert.equal(gate(recordOf([]), reportsOf(recordOf([]), unchanged)), "GATEWAY_UNKNOWN - -");
  assert.equal(gate(inWork, { server: null, client: null }), "GATEWAY_UNKNOWN server 0");
  assert.equal(gate(inWork, reportsOf(inWork, () => null)), "GATEWAY_UNKNOWN server 0");
  assert.equal(isRepair(recordOf([]), []), false);
});

test("readiness of a link: the age of the report counts beside that of the view", () => {
  const aged = (_side: Side, view: AgedView): AgedView => ({ ...view, ageMs: 6_000 });
  assert.equal(gate(inWork, reportsOf(inWork, aged, 4_000)), "open");
  assert.equal(gate(inWork, reportsOf(inWork, aged, 4_001)), "GATEWAY_OBSERVATION_STALE server 0");
});

test("readiness of a link: a foreign route closes the gate", () => {
  const reports = reportsOf(inWork, unchanged);
  const route: RouteView = { kind: "foreign", what: "10.2.0.0/16 dev eth1" };
  assert.ok(reports.client !== null);
  const client = { ...reports.client, report: { ...reports.client.report, route } };
  assert.equal(gate(inWork, { ...reports, client }), "GATEWAY_ROUTE_CONFLICT client 0");
});
