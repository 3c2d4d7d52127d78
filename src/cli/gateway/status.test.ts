import assert from "node:assert/strict";
import { test } from "node:test";
import { credentialsOf, fixtureLink, fixtureReport, healthyView, nextOf, pairOf, recordOf } from "../../core/gateway/fixtures.js";
import type { ReceivedReport } from "../../core/gateway/readiness.js";
import type { LinkRecord } from "../../core/gateway/record.js";
import { reportName, type SiteReport } from "../../core/gateway/report.js";
import { formatGatewayStatus, gatewayStatus, type GatewayStatus } from "./status.js";

const current = [credentialsOf(1), credentialsOf(2)] as const;
const whole = recordOf([pairOf(0, current[0]), pairOf(1, current[1])]);
const terminal = { write: () => true };

function reportsOf(server: SiteReport, client: SiteReport): ReadonlyMap<string, ReceivedReport> {
  return new Map(
    [server, client].map((report) => [reportName(report.link, report.site), { report, ageMs: 0 }] as const),
  );
}

const healthy = reportsOf(
  fixtureReport("server", [healthyView("server", 0, current[0]), healthyView("server", 1, current[1])]),
  fixtureReport("client", [healthyView("client", 0, current[0]), healthyView("client", 1, current[1])]),
);

function statusOf(record: LinkRecord, reports = healthy): GatewayStatus {
  return gatewayStatus({ links: new Map([[record.link.name, record]]), reports: () => reports }, 0);
}

test("gateway status: every gateway ready is ok, with the time that certificates have left", () => {
  const status = statusOf(whole);
  assert.ok(status.ok);
  assert.deepEqual(status.links[0]?.gateways.map(({ state }) => state), ["ready", "ready", "ready", "ready"]);
  assert.equal(status.links[0]?.validForMs, 1e9);
});

test("gateway status: no links, and a pair that never had a certificate, are not ok", () => {
  assert.equal(gatewayStatus({ links: new Map(), reports: () => new Map() }, 0).ok, false);
  assert.equal(statusOf(recordOf([pairOf(0, current[0]), pairOf(1, null)])).ok, false);
  assert.equal(statusOf(recordOf([])).ok, false);
});

test("gateway status: a gateway that a site tells nothing of is named with its reason", () => {
  const status = statusOf(whole, reportsOf(fixtureReport("server", []), fixtureReport("client", [])));
  assert.equal(status.ok, false);
  assert.equal(status.links[0]?.gateways[0]?.state, "GATEWAY_UNKNOWN");
  const text = formatGatewayStatus(status, terminal, true);
  assert.match(text, /w-1 \(server\) .*GATEWAY_UNKNOWN .*the site tells nothing/);
  assert.match(text, new RegExp(`link ${fixtureLink.name} \\(w-1 to w-10\\): never rotated; certificates valid for`));
});

test("gateway status: a generation on its way shows its phase, and is not yet relied upon", () => {
  const next = credentialsOf(3, 1);
  const record = recordOf([pairOf(0, current[0], nextOf(next, "issued")), pairOf(1, current[1])]);
  const status = statusOf(record);
  assert.ok(status.ok);
  const line = status.links[0]?.gateways.find(({ generation }) => generation === 3);
  assert.equal(line?.state, "GATEWAY_UNKNOWN");
  assert.equal(line?.phase, "issued");
  assert.equal(line?.role, "new");
});

test("gateway status: a site that the hub no longer hears is named, with for how long, and is not ok", () => {
  const record = recordOf([pairOf(0, current[0]), pairOf(1, current[1])], { silentSinceWallMs: { server: null, client: -150_000 } });
  const status = statusOf(record);
  assert.equal(status.ok, false);
  assert.deepEqual(status.links[0]?.silent, [{ site: "w-10", side: "client", code: "GATEWAY_SITE_SILENT", silentForMs: 150_000 }]);
  assert.match(formatGatewayStatus(status, terminal, false), /GATEWAY_SITE_SILENT: site w-10 was not heard for 2m 30s/);
});
