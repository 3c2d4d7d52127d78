/**
 * Traps of gateway rotation in the field, continued: outages, crashes, rollback, and what is left behind. Each is a run of
 * the production code in virtual time; numbers as in gateway-traps.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PairPhase } from "../../src/core/gateway/record.js";
import { assertHeld, link, linkOf, nextOf, numbersOf, recordOf, runToPhase, runToRest, stage, watchCredentials } from "../support/gateway-fleet.js";

const phases: readonly PairPhase[] = ["planned", "issued", "switching", "draining", "removing"];
const ends = ["server", "client"] as const;

test("gateway trap 59: with the registry out of reach in any phase no packet is lost, and it goes on afterwards", () => {
  for (const phase of phases) {
    const { fleet, checker } = stage();
    fleet.rotate(link.name);
    runToPhase(fleet, phase);
    const clients = [fleet.hub?.client, ...ends.map((end) => fleet.site(link[end]).program?.client)].filter((one) => one !== undefined);
    for (const client of clients) fleet.registry.cutOff(client);
    fleet.run(60_000);
    assert.deepEqual(fleet.traffic.lost, [], phase);
    for (const client of clients) fleet.registry.reconnect(client);
    runToRest(fleet, link, 600_000);
    assertHeld({ fleet, checker });
  }
});

test("gateway trap 59: a site whose host reboots while the registry is away brings its tunnels up from its own file", () => {
  const { fleet } = stage();
  for (const end of ends) {
    fleet.reboot(link[end]);
    const { program } = fleet.site(link[end]);
    assert.ok(program !== null);
    fleet.registry.cutOff(program.client);
  }
  fleet.run(20_000);
  const lostBefore = fleet.traffic.lost.length;
  fleet.run(30_000);
  assert.equal(fleet.traffic.lost.length, lostBefore);
  for (const end of ends) assert.equal(fleet.site(link[end]).routes.get(link.name)?.length, 2);
});

test("gateway trap 53: two hubs with one configuration do no harm: each write counts once, and no packet is lost", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { fleet, checker } = stage({ seed });
    const used = watchCredentials(fleet);
    fleet.startSecondHub();
    fleet.run(1_000);
    for (let rotation = 1; rotation <= 2; rotation += 1) assert.ok(fleet.rotateAndRest(link, 60_000) !== null);
    assert.deepEqual(numbersOf(fleet), [5, 6]);
    assert.deepEqual(used.twice(), [], `seed ${seed}`);
    assertHeld({ fleet, checker });
  }
});

test("gateways: a hub whose file names no links rotates those of the registry, and detaches none", () => {
  const { fleet, checker } = stage({ links: [link, linkOf("w-2", "w-20")] });
  fleet.startHub(null);
  for (const one of fleet.links) assert.notEqual(fleet.rotateAndRest(one, 60_000), null);
  assert.ok([...fleet.registry.links.values()].every(({ record }) => !record.detached && record.lastNumber === 4));
  assertHeld({ fleet, checker });
});

test("gateway mutant: two hubs whose writes do not compare give one number to different credentials", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { fleet } = stage({ seed });
    const used = watchCredentials(fleet);
    fleet.registry.comparesVersions = false;
    fleet.startSecondHub();
    fleet.run(1_000);
    fleet.rotateAndRest(link, 60_000);
    if (used.twice().length > 0) return;
  }
  assert.fail("20 seeds have not missed the compare-and-set");
});

test("gateway trap 60: expired certificates and dead old tunnels do not hold up the rotation that cures them", () => {
  const dayMs = 86_400_000;
  const { fleet, checker } = stage({ hub: { renewBeforeMs: dayMs / 4 }, issuer: { validityMs: dayMs }, packetEveryMs: 60_000 });
  fleet.stopHub();
  fleet.run(2 * dayMs);
  checker.excuse(link.name);
  fleet.reboot(link.server);
  fleet.run(30_000);
  checker.excuse(link.name);
  assert.ok([...fleet.tunnels.all].every(({ session }) => session === null), "no tunnel is left");
  fleet.startHub();
  runToRest(fleet, link, 60_000);
  assert.equal(recordOf(fleet).rotation?.reason, "expiring");
  assert.ok(fleet.logs.some(({ message }) => message.startsWith("no tunnel of the link works")), "the hub says that it is a repair");
  assertHeld({ fleet, checker });
});

test("gateway trap 62: a site that dies right after its switch goes on where it stood, and no packet is lost", () => {
  for (const end of ends) {
    for (const phase of ["switching", "draining", "removing"] as const) {
      const { fleet, checker } = stage();
      fleet.rotate(link.name);
      runToPhase(fleet, phase);
      const hasSwitched = (): boolean => fleet.site(link[end]).routes.get(link.name)?.some(({ number }) => number === 3) === true;
      assert.ok(fleet.runUntil(hasSwitched, 10_000));
      fleet.killSite(link[end]);
      fleet.run(15_000);
      fleet.startSite(link[end]);
      runToRest(fleet, link, 600_000);
      assertHeld({ fleet, checker });
    }
  }
});

test("gateway trap 63: a new pair that never works is undone: the old one stays, the new one goes, history says why", () => {
  const { fleet, checker } = stage();
  fleet.rotate(link.name);
  runToPhase(fleet, "issued");
  const killed = setKilled(fleet);
  assert.ok(fleet.runUntil(() => recordOf(fleet).rotation?.outcome === "rolled-back", 300_000));
  killed.stop();
  assert.deepEqual(numbersOf(fleet), [1, 2]);
  const { history, roots } = recordOf(fleet);
  assert.equal(history[0]?.outcome, "rolled-back");
  assert.match(history[0].cause?.code ?? "", /^GATEWAY_(PROCESS|TUNNEL)_DOWN$/);
  assert.equal(roots.length, 1);
  fleet.run(2_000);
  assert.deepEqual([...fleet.tunnels.all].map(({ number }) => number).sort(), [1, 1, 2, 2]);
  runToRest(fleet);
  assertHeld({ fleet, checker });
});

/** Kills the client's process of the generation on its way, again and again. */
function setKilled(fleet: ReturnType<typeof stage>["fleet"]): { stop: () => void } {
  let isOn = true;
  const kill = (): void => {
    if (!isOn) return;
    const number = nextOf(fleet)?.number;
    for (const one of fleet.tunnels.of(link.name, "client")) if (one.number === number) fleet.tunnels.stop(one, true);
    fleet.time.post(fleet.time.nowMs + 200, kill);
  };
  kill();
  return { stop: () => (isOn = false) };
}

test("gateway trap 63: a rotation that was undone five times is failed, loud, and cured by an operator's rotate", () => {
  const { fleet, checker } = stage({ packetEveryMs: 1_000 });
  fleet.issuer.failsWith = "GATEWAY_ISSUE_FAILED";
  fleet.rotate(link.name);
  assert.ok(fleet.runUntil(() => recordOf(fleet).rotation?.outcome === "failed", 12 * 3_600_000, 1_000));
  assert.ok(fleet.logs.some(({ level, message, fields }) => level === "error" && message === "rotation" && fields["outcome"] === "failed"));
  fleet.issuer.failsWith = null;
  fleet.rotate(link.name);
  runToRest(fleet, link, 60_000);
  assertHeld({ fleet, checker });
});

test("gateway trap 64: clocks of sites and hub that are five minutes apart change nothing", () => {
  const { fleet, checker } = stage();
  fleet.site(link.server).skewMs = 300_000;
  fleet.site(link.client).skewMs = -300_000;
  fleet.hubSkewMs = -300_000;
  for (let i = 0; i < 3; i += 1) assert.ok(fleet.rotateAndRest(link, 60_000) !== null);
  assert.deepEqual(numbersOf(fleet), [7, 8]);
  assertHeld({ fleet, checker });
});

test("gateway trap 65: old keys go on both sides, and only when no process and no route uses them", () => {
  const { fleet } = stage();
  const removed: string[] = [];
  fleet.removing = (site, endpoint) => {
    const isRouted = ends.some((end) => fleet.site(link[end]).routes.get(link.name)?.some(({ number }) => number === endpoint.number) === true);
    removed.push(`${site.name} ${endpoint.number} ${isRouted}`);
  };
  assert.ok(fleet.rotateAndRest(link, 60_000) !== null);
  assert.deepEqual(removed.sort(), ["w-1 1 false", "w-1 2 false", "w-10 1 false", "w-10 2 false"]);
  assert.deepEqual([...fleet.tunnels.all].map(({ number }) => number).sort(), [3, 3, 4, 4]);
});

test("gateway trap 66: a link that cannot go on holds up no other, not even with its place taken", () => {
  const others = [linkOf("w-2", "w-20"), linkOf("w-3", "w-30"), linkOf("w-4", "w-40")];
  const { fleet } = stage({ links: [link, ...others], hub: { linksAtOnceMax: 1 }, packetEveryMs: 100 });
  fleet.killSite(link.client);
  fleet.rotate(link.name);
  fleet.run(1_000);
  for (const one of others) fleet.rotate(one.name);
  const areDone = (): boolean => others.every((one) => recordOf(fleet, one).lastNumber === 4 && fleet.isAtRest(one));
  assert.ok(fleet.runUntil(areDone, 600_000, 100));
});

test("gateway trap 9: asked for before the gateways are up, the rotation waits and is done", () => {
  const { fleet, checker } = stage();
  for (const end of ends) {
    checker.excuse(link.name);
    fleet.reboot(link[end]);
  }
  fleet.rotate(link.name);
  runToRest(fleet, link, 120_000);
  assert.deepEqual(numbersOf(fleet), [3, 4]);
  assertHeld({ fleet, checker });
});

test("gateway trap 7: a round that came due while the hub was away is not forgotten, and not made up for twice", () => {
  const hourMs = 3_600_000;
  const { fleet, checker } = stage({ hub: { intervalMs: hourMs, renewBeforeMs: 0 }, packetEveryMs: 10_000 });
  fleet.stopHub();
  fleet.run(3.5 * hourMs);
  fleet.startHub();
  fleet.run(60_000);
  assert.deepEqual(numbersOf(fleet), [3, 4]);
  fleet.run(0.9 * hourMs);
  assert.deepEqual(numbersOf(fleet), [3, 4]);
  fleet.run(0.2 * hourMs);
  assert.deepEqual(numbersOf(fleet), [5, 6]);
  assertHeld({ fleet, checker });
});

test("gateway trap: a lost state directory is noticed, and the link gets new keys by itself", () => {
  const { fleet, checker } = stage();
  checker.excuse(link.name);
  for (const one of fleet.tunnels.of(link.name, "client")) fleet.tunnels.remove(one);
  fleet.run(15_000);
  runToRest(fleet, link, 120_000);
  assert.equal(recordOf(fleet).rotation?.reason, "credentials-lost");
  assertHeld({ fleet, checker });
});

test("gateway trap: a foreign route in our place is not overwritten, and the rotation is undone and says so", () => {
  const { fleet } = stage();
  fleet.rotate(link.name);
  runToPhase(fleet, "issued");
  fleet.site(link.client).foreignRoutes.set(link.name, "10.0.0.0/8 dev eth1");
  assert.ok(fleet.runUntil(() => recordOf(fleet).rotation?.outcome === "rolled-back", 120_000));
  assert.equal(recordOf(fleet).rotation?.cause?.code, "GATEWAY_ROUTE_CONFLICT");
  fleet.site(link.client).foreignRoutes.clear();
  runToRest(fleet);
});

test("gateway trap: both roots are accepted while a root changes, and the old one goes once both sides are done", () => {
  const { fleet, checker } = stage({ issuer: { rootMs: 5_500 } });
  fleet.rotate(link.name);
  let most = 0;
  const isDone = fleet.runUntil(() => {
    most = Math.max(most, recordOf(fleet).roots.length);
    return fleet.isAtRest(link) && recordOf(fleet).lastNumber === 4;
  }, 60_000);
  assert.ok(isDone && most >= 2, "roots overlapped");
  fleet.run(1_000);
  const used = new Set(recordOf(fleet).pairs.map(({ current }) => current?.root));
  assert.deepEqual(new Set(recordOf(fleet).roots.map(({ fingerprint }) => fingerprint)), used);
  assert.deepEqual(new Set(fleet.issuer.kept), used);
  assertHeld({ fleet, checker });
});
