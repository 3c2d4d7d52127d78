/**
 * Traps of gateway rotation in the field, each as a run of the production code in virtual time. Numbers are those of the
 * list of tests that nobody had; what failed there is in each name.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fingerprint } from "../../src/core/gateway/link.js";
import type { PairPhase } from "../../src/core/gateway/record.js";
import { limits } from "../../src/core/limits.js";
import {
  assertHeld,
  link,
  linkOf,
  numbersOf,
  pairOf,
  recordOf,
  runToPhase,
  runToRest,
  stage,
} from "../support/gateway-fleet.js";

const phases: readonly PairPhase[] = ["planned", "issued", "switching", "draining", "removing"];

test("gateway trap 48: a server whose peer never comes up is not switched to, however long its device is there", () => {
  const { fleet, checker } = stage();
  fleet.killSite(link.client);
  fleet.rotate(link.name);
  fleet.run(400_000);
  assert.deepEqual(numbersOf(fleet), [1, 2]);
  assert.deepEqual(fleet.traffic.lost, []);
  fleet.startSite(link.client);
  runToRest(fleet, link, 3_000_000);
  assertHeld({ fleet, checker });
});

test("gateway trap 49: asked again after a partial failure, no third pair appears", () => {
  const { fleet, checker } = stage();
  fleet.issuer.failsWith = "GATEWAY_ISSUE_FAILED";
  fleet.rotate(link.name);
  const most = { endpoints: 0, inWork: 0 };
  for (let i = 0; i < 60; i += 1) {
    fleet.run(5_000);
    if (i % 5 === 0) fleet.rotate(link.name);
    if (i === 40) fleet.issuer.failsWith = null;
    most.endpoints = Math.max(most.endpoints, fleet.tunnels.of(link.name, "server").length);
    most.inWork = Math.max(most.inWork, recordOf(fleet).pairs.filter(({ next }) => next !== null).length);
  }
  runToRest(fleet);
  assert.deepEqual(most, { endpoints: 3, inWork: 1 });
  assertHeld({ fleet, checker });
});

test("gateway trap 50: a rotation over midnight is done, and so is one whose clock is set by an hour, either way", () => {
  for (const jumpMs of [0, 3_600_000, -3_600_000]) {
    const { fleet, checker } = stage({ untilMidnightMs: 12_000 });
    fleet.rotate(link.name);
    runToPhase(fleet, "draining");
    const beforeMs = fleet.wallMs;
    fleet.hubSkewMs = jumpMs;
    runToRest(fleet, link, 60_000);
    assert.notEqual(Math.floor(beforeMs / 86_400_000), Math.floor(fleet.wallMs / 86_400_000), "midnight has passed");
    assert.deepEqual(numbersOf(fleet), [3, 4]);
    assertHeld({ fleet, checker });
  }
});

test("gateway trap 51: what is stuck when the next round is due is planned anew, and never called done", () => {
  const hourMs = 3_600_000;
  const { fleet, checker } = stage({ hub: { intervalMs: hourMs, renewBeforeMs: 0 }, packetEveryMs: 1_000 });
  fleet.issuer.failsWith = "GATEWAY_ISSUE_FAILED";
  fleet.run(2.5 * hourMs);
  assert.deepEqual(numbersOf(fleet), [1, 2]);
  assert.notEqual(recordOf(fleet).rotation?.outcome, "done");
  assert.ok([...fleet.tunnels.all].length >= 4, "the running pairs keep their keys");
  fleet.issuer.failsWith = null;
  runToRest(fleet, link, 2 * hourMs);
  const { rotation, round } = recordOf(fleet);
  assert.deepEqual(rotation?.done, [pairOf(0), pairOf(1)]);
  assert.equal(round.number, 1);
  assertHeld({ fleet, checker });
});

test("gateway trap 52: two links due at once have their own orders and their own generations", () => {
  const other = linkOf("w-2", "w-20");
  const { fleet, checker } = stage({ links: [link, other] });
  fleet.rotate(link.name);
  fleet.rotate(other.name);
  runToPhase(fleet, "issued", link);
  runToPhase(fleet, "issued", other);
  runToRest(fleet, link);
  runToRest(fleet, other);
  const orders = fleet.issuer.ordered.map((order) => `${order.link.name} ${order.pair} ${order.number}`);
  assert.equal(new Set(orders).size, 8);
  assert.equal(orders.length, 8);
  assertHeld({ fleet, checker });
});

test("gateway trap 53: a hub that dies in any phase leaves no duplicate generation, and no packet is lost", () => {
  for (const phase of phases) {
    const { fleet, checker } = stage();
    fleet.rotate(link.name);
    runToPhase(fleet, phase);
    fleet.run(30);
    fleet.stopHub();
    fleet.run(20_000);
    fleet.startHub();
    runToRest(fleet);
    assert.deepEqual(numbersOf(fleet), [3, 4], phase);
    assertHeld({ fleet, checker });
  }
});

test("gateway trap 53: a hub that dies between an order and its certificates issues anew, under the same number", () => {
  const { fleet, checker } = stage({ issuer: { issueMs: 2_000 } });
  fleet.rotate(link.name);
  assert.ok(fleet.runUntil(() => fleet.issuer.ordered.length === 3, 60_000), "the order is out");
  fleet.startHub();
  runToRest(fleet);
  assert.deepEqual(numbersOf(fleet), [3, 4]);
  assertHeld({ fleet, checker });
});

test("gateway trap 54: failed issuing is tried again with growing spacing, and raises the alarm in time", () => {
  const dayMs = 86_400_000;
  const hub = { renewBeforeMs: dayMs, intervalMs: 300 * dayMs };
  const { fleet, checker } = stage({ hub, issuer: { validityMs: 2 * dayMs }, packetEveryMs: 60_000 });
  fleet.issuer.failsWith = "GATEWAY_CSR_REFUSED";
  fleet.run(dayMs + 2 * 3_600_000);
  const { rotation } = recordOf(fleet);
  assert.equal(rotation?.outcome, "failed");
  assert.equal(rotation.cause?.code, "GATEWAY_CSR_REFUSED");
  const begunMs = fleet.logs.filter(({ fields, message }) => message === "rotation" && fields["outcome"] === "begun").map(({ atMs }) => atMs);
  const gapsMs = begunMs.slice(1).map((atMs, i) => atMs - (begunMs[i] ?? 0));
  assert.ok(Math.max(...gapsMs.slice(1)) > limits.gatewayRetryMsMax, "spaced by up to half an hour");
  assert.ok(!hasCondition(fleet.logs, "GATEWAY_VALIDITY_SHORT"));
  fleet.run(dayMs / 2);
  assert.ok(hasCondition(fleet.logs, "GATEWAY_VALIDITY_SHORT"), "half of the validity that was left is gone");
  fleet.issuer.failsWith = null;
  runToRest(fleet, link, 2 * limits.gatewayRetryMsMax);
  assertHeld({ fleet, checker });
});

function hasCondition(logs: readonly { readonly level: string; readonly fields: Readonly<Record<string, unknown>> }[], code: string): boolean {
  return logs.some(({ level, fields }) => level === "error" && fields["code"] === code);
}

test("gateway trap 55: detaching w-1 touches nothing of w-10, w-100 or of links that begin alike", () => {
  const all = [linkOf("w-1", "w-2"), linkOf("w-10", "w-2"), linkOf("w-100", "w-1000"), linkOf("w-2", "w-20")];
  const { fleet } = stage({ links: all });
  const [first, ...others] = all;
  assert.ok(first !== undefined);
  fleet.links = others;
  fleet.startHub();
  assert.ok(fleet.runUntil(() => fleet.record(first.name) === undefined, 60_000), "the link is forgotten");
  fleet.run(5_000);
  assert.deepEqual([...fleet.tunnels.all].filter((one) => one.link === first.name), []);
  assert.equal(fleet.site(first.server).routes.size, 0);
  assert.equal(fleet.site(first.server).disk.get("gateway-links.json"), '{"schemaVersion":1,"links":[]}');
  for (const one of others) {
    assert.ok(fleet.isAtRest(one), one.name);
    assert.deepEqual(numbersOf(fleet, one), [1, 2]);
  }
  assert.deepEqual(fleet.traffic.lost.filter((packet) => packet.link !== first.name), []);
});

test("gateway trap 55: a site that is away while its link goes cleans up when it is back", () => {
  const { fleet } = stage({ links: [link, linkOf("w-2", link.client)] });
  fleet.killSite(link.client);
  fleet.links = fleet.links.slice(1);
  fleet.startHub();
  assert.ok(fleet.runUntil(() => fleet.record(link.name) === undefined, 2 * limits.gatewayDetachMsMax, 1_000));
  assert.equal(fleet.tunnels.of(link.name, "client").length, 2);
  fleet.startSite(link.client);
  fleet.run(10_000);
  assert.equal(fleet.tunnels.of(link.name, "client").length, 0);
  assert.deepEqual([...fleet.site(link.client).routes.keys()], [fleet.links[0]?.name]);
});

test("gateway regression: a registry that is suddenly empty takes no tunnel down, and is noted", () => {
  const all = [link, linkOf("w-2", link.client), linkOf("w-3", link.client)];
  const { fleet, checker } = stage({ links: all });
  fleet.stopHub();
  const stored = [...fleet.registry.links];
  const list = (): void => {
    for (const { program } of fleet.sites.values()) if (program !== null) fleet.registry.reconnect(program.client);
    fleet.run(30_000);
  };
  const assertKept = (held: string): void => {
    for (const one of all) for (const side of ["server", "client"] as const) assert.equal(fleet.tunnels.of(one.name, side).length, 2, `${one.name} ${side}`);
    const lines = fleet.logs.filter(({ who, fields }) => who === link.client && fields["code"] === "GATEWAY_LINKS_HELD");
    assert.equal(lines.at(-1)?.fields["links"], held);
  };
  for (const [name] of stored.slice(0, 2)) fleet.registry.links.delete(name);
  list();
  assertKept(stored.slice(0, 2).map(([name]) => name).join(" "));
  fleet.registry.links.clear();
  list();
  fleet.startSite(link.client);
  fleet.run(30_000);
  assertKept(stored.map(([name]) => name).join(" "));
  for (const [name, one] of stored) fleet.registry.links.set(name, one);
  list();
  fleet.startHub();
  assert.notEqual(fleet.rotateAndRest(link, 300_000), null);
  assertHeld({ fleet, checker });
});

test("gateway regression: a link that somebody removes from the registry is not torn down", () => {
  const { fleet, checker } = stage({ links: [link, linkOf("w-2", link.client)] });
  fleet.stopHub();
  const stored = fleet.registry.links.get(link.name);
  assert.ok(stored !== undefined);
  const client = { isAlive: () => true, isCutOff: false };
  fleet.registry.connect(client).removeLink(stored.record, stored.version, () => undefined);
  fleet.run(30_000);
  assert.equal(fleet.record(link.name), undefined);
  assert.ok(fleet.logs.some(({ fields }) => fields["code"] === "GATEWAY_LINKS_HELD"));
  fleet.registry.links.set(link.name, stored);
  for (const side of ["server", "client"] as const) fleet.startSite(link[side]);
  fleet.startHub();
  assert.notEqual(fleet.rotateAndRest(link, 300_000), null);
  assertHeld({ fleet, checker });
});

test("gateway trap 56: the first pair fine and the second failing is not done, and says which pair and why", () => {
  const { fleet, checker } = stage();
  fleet.rotate(link.name);
  assert.ok(fleet.runUntil(() => recordOf(fleet).rotation?.done.length === 1, 60_000));
  fleet.issuer.failsWith = "GATEWAY_ISSUE_FAILED";
  assert.ok(fleet.runUntil(() => recordOf(fleet).rotation?.outcome === "rolled-back", 300_000));
  assert.deepEqual(numbersOf(fleet), [3, 2]);
  const { rotation } = recordOf(fleet);
  assert.equal(rotation?.cause?.pair, 1);
  assert.deepEqual(rotation.done, [pairOf(0)]);
  fleet.issuer.failsWith = null;
  runToRest(fleet);
  assert.deepEqual(numbersOf(fleet), [3, 5], "the first pair is not rotated again");
  assertHeld({ fleet, checker });
});

test("gateway trap 57: a rotation during a rebalance (a pair is added) waits for it: one pair is in work at a time", () => {
  const { fleet, checker } = stage();
  fleet.links = [{ ...link, pairs: 3 }];
  fleet.startHub();
  assert.ok(fleet.runUntil(() => recordOf(fleet).pairs.length === 3, 10_000));
  fleet.rotate(link.name);
  let inWork = 0;
  for (let i = 0; i < 3_000 && !(fleet.isAtRest(link) && recordOf(fleet).lastNumber === 6); i += 1) {
    fleet.run(20);
    inWork = Math.max(inWork, recordOf(fleet).pairs.filter(({ next }) => next !== null).length);
  }
  assert.equal(inWork, 1);
  assert.deepEqual(numbersOf(fleet), [4, 5, 6]);
  assertHeld({ fleet, checker });
});

test("gateway trap 57: fewer pairs than a link has are not taken away, and the hub says so", () => {
  const { fleet, checker } = stage();
  fleet.links = [{ ...link, pairs: 1 }];
  fleet.startHub();
  fleet.run(5_000);
  assert.equal(recordOf(fleet).pairs.length, 2);
  assert.ok(fleet.logs.some(({ fields }) => fields["code"] === "GATEWAY_PAIRS_KEPT"));
  fleet.links = [link];
  assertHeld({ fleet, checker });
});

test("gateway trap 58: another generation at one end is seen by its digest and undone, not retried for ever", () => {
  const { fleet, checker } = stage();
  fleet.rotate(link.name);
  runToPhase(fleet, "issued");
  assert.ok(fleet.runUntil(() => fleet.tunnels.of(link.name, "client").some(({ number, credentials }) => number === 3 && credentials !== null), 5_000));
  const wrong = fleet.tunnels.of(link.name, "client").find(({ number }) => number === 3);
  assert.ok(wrong !== undefined && wrong.credentials !== null);
  const { certificates } = wrong.credentials;
  const client = { ...certificates.client, fingerprint: "ab".repeat(32) as Fingerprint };
  wrong.credentials = { ...wrong.credentials, certificates: { ...certificates, client } };
  assert.ok(fleet.runUntil(() => recordOf(fleet).rotation?.outcome === "rolled-back", 120_000));
  assert.equal(recordOf(fleet).rotation?.cause?.code, "GATEWAY_CERTIFICATE_MISMATCH");
  runToRest(fleet);
  assert.deepEqual(numbersOf(fleet), [4, 5]);
  assertHeld({ fleet, checker });
});
