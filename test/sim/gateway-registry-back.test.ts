/**
 * A registry that comes back from a backup, or empty, under rotations; and sites that are not heard. Runs of the production
 * code in virtual time (docs/design/0063).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PairPhase } from "../../src/core/gateway/record.js";
import { emptyBackup } from "../../src/sim/gateway/registry.js";
import { assertHeld, link, numbersOf, recordOf, runToPhase, runToRest, stage, watchCredentials } from "../support/gateway-fleet.js";

const phases: readonly PairPhase[] = ["planned", "issued", "switching", "draining", "removing"];
const ends = ["server", "client"] as const;

for (const [what, isEmpty] of [["from an old backup", false], ["with nothing in it", true]] as const) {
  for (const isHubUp of [true, false]) {
    test(`gateway trap: a registry that comes back ${what} loses no packet and no number, the hub ${isHubUp ? "running" : "gone"}`, () => {
      for (const phase of [null, ...phases]) {
        const { fleet, checker } = stage();
        const backup = isEmpty ? emptyBackup : fleet.registry.backup();
        for (let rotation = 0; rotation < 2; rotation += 1) assert.notEqual(fleet.rotateAndRest(link, 300_000), null);
        const used = watchCredentials(fleet);
        if (phase !== null) {
          fleet.rotate(link.name);
          runToPhase(fleet, phase);
        }
        const before = recordOf(fleet).lastNumber;
        if (!isHubUp) fleet.stopHub();
        fleet.registry.restore(backup);
        fleet.run(5_000);
        if (!isHubUp) fleet.startHub();
        assert.ok(fleet.runUntil(() => fleet.isAtRest(link) && recordOf(fleet).lastNumber >= before, 300_000));
        assert.notEqual(fleet.rotateAndRest(link, 300_000), null);
        assert.ok(recordOf(fleet).lastNumber >= before + 2);
        assert.ok(fleet.logs.some(({ fields }) => fields["code"] === "GATEWAY_REGISTRY_BEHIND"));
        assert.deepEqual(used.twice(), []);
        assertHeld({ fleet, checker });
      }
    });
  }
}

test("gateway trap: with a registry that went back to a drain that is over, the hub does not undo what has no way back", () => {
  const { fleet, checker } = stage();
  fleet.rotate(link.name);
  runToPhase(fleet, "draining");
  const backup = fleet.registry.backup();
  const isOldGone = (): boolean => fleet.tunnels.all.every(({ pair, number }) => pair !== 0 || number === 3);
  assert.ok(fleet.runUntil(isOldGone, 30_000));
  for (const end of ends) fleet.killSite(link[end]);
  fleet.registry.restore(backup);
  // Past the deadlines of the drain, with no site heard.
  fleet.run(300_000);
  for (const end of ends) fleet.startSite(link[end]);
  runToRest(fleet);
  assert.deepEqual(numbersOf(fleet), [3, 4]);
  assertHeld({ fleet, checker });
});

test("gateway: a site that falls silent is marked with since when, and no longer once it is back", () => {
  const { fleet } = stage({ packetEveryMs: 1_000 });
  const since = (): number | null => recordOf(fleet).silentSinceWallMs.client;
  fleet.run(300_000);
  assert.equal(since(), null, "at rest a site is heard, too");
  const killedWallMs = fleet.wallMs;
  fleet.killSite(link.client);
  fleet.startHub();
  fleet.run(60_000);
  assert.equal(since(), null, "a hub that has just begun to listen says nothing yet");
  fleet.run(90_000);
  const marked = since() ?? 0;
  assert.ok(marked >= killedWallMs && marked < killedWallMs + 10_000, `${marked - killedWallMs} ms after it was killed`);
  assert.ok(fleet.logs.some(({ fields }) => fields["code"] === "GATEWAY_SITE_SILENT"));
  fleet.startSite(link.client);
  fleet.run(40_000);
  assert.equal(since(), null);
  assert.equal(recordOf(fleet).silentSinceWallMs.server, null);
});

test("gateway trap: after a registry came back empty a site that was away is waited for, and brings the record back", () => {
  const { fleet, checker } = stage();
  for (let rotation = 0; rotation < 2; rotation += 1) assert.notEqual(fleet.rotateAndRest(link, 300_000), null);
  for (const end of ends) fleet.killSite(link[end]);
  fleet.startHub();
  fleet.registry.restore(emptyBackup);
  // Long enough for the hub to plan and undo first generations, under numbers that are in use.
  fleet.run(400_000);
  fleet.startSite(link.server);
  fleet.run(60_000);
  fleet.startSite(link.client);
  runToRest(fleet);
  assert.notEqual(fleet.rotateAndRest(link, 300_000), null);
  assertHeld({ fleet, checker });
});
