/**
 * What the review of the rotation protocol found, the part about progress: each test is the run
 * that hung, spun, excluded the healthy or lost its audit record. The part about safety is in
 * review-regressions.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RotationRecord } from "../../src/core/fleet/record.js";
import { stepAgent } from "../../src/core/rotation/step.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import {
  a,
  b,
  c,
  d,
  isExcluded,
  logged,
  offer,
  recordOf,
  reportsHolding,
  runsOnly,
  settledFleet,
  slotsOf,
  stateOf,
  viewOf,
  waitUntil,
} from "../support/sim-scenes.js";

function excludedNodes(fleet: SimFleet): readonly unknown[] {
  return logged(fleet, "node excluded").map(({ fields }) => fields["peer"]);
}

test("review 11: a healthy node that joins a fleet of long standing is not excluded", () => {
  const fleet = settledFleet({ coordination: "barrier", nodes: [a, b, c] });
  fleet.run(20_000);
  fleet.addNode(d, [testKey(1)]);
  waitUntil(fleet, "d runs key 1 too", () => runsOnly(fleet, testKey(1)));
  fleet.run(10_000);
  assert.deepEqual(excludedNodes(fleet), []);
});

test("review 11: a node that joins with a bad key file counts while its lease beats", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  fleet.run(20_000);
  fleet.addNode(d, []);
  fleet.node(d).keys = { kind: "invalid", code: "KEY_FILE_INVALID", message: "line 1" };
  fleet.run(15_000);
  assert.notEqual(fleet.registry.entry(d), undefined, "d joined");
  assert.deepEqual(excludedNodes(fleet), []);
  fleet.killAgent(d);
  waitUntil(fleet, "d is excluded once it is silent", () => isExcluded(fleet, d));
});

test("review 12: with one left behind, draining keeps the old key, without a dump storm", () => {
  const fleet = settledFleet({ coordination: "barrier", nodes: [a, b, c, d] });
  fleet.killAgent(d);
  waitUntil(fleet, "d is excluded", () => isExcluded(fleet, d));
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet drains", () => recordOf(fleet).phase === "draining");
  fleet.run(2_000);
  const before = viewOf(fleet, a).world.kernel.dumpSerial;
  fleet.run(20_000);
  const dumps = viewOf(fleet, a).world.kernel.dumpSerial - before;
  assert.ok(dumps <= 2, `${dumps} dumps in 20 s, with a resync every 10 s`);
  assert.ok(reportsHolding(fleet, a, testKey(1)), "d may still send with key 1");
  const isGone = (): boolean => slotsOf(fleet, a, testKey(1)).length === 0;
  waitUntil(fleet, "key 1 is gone at the deadline", isGone, 40_000);
});

test("review 13: a node that joins with an empty key file does not hold a rotation up", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  fleet.addNode(d, []);
  fleet.run(5_000);
  offer(fleet, [1, 2], [a, b, c]);
  waitUntil(fleet, "all others run key 2", () => runsOnly(fleet, testKey(2), [a, b, c]));
  waitUntil(fleet, "the rotation ended", () => recordOf(fleet).current?.keyId === 2);
  assert.equal(recordOf(fleet).phase, "steady");
  assert.deepEqual(excludedNodes(fleet), []);
  assert.deepEqual(logged(fleet, "old key retired by force"), []);
});

test("review 14: of two nodes one is excluded, and the rotation ends by the deadline", () => {
  const retireDeadlineMs = 10_000;
  const fleet = settledFleet({
    coordination: "barrier",
    nodes: [a, b],
    controller: { retireDeadlineMs },
  });
  fleet.killAgent(b);
  waitUntil(fleet, "b is excluded", () => isExcluded(fleet, b));
  offer(fleet, [1, 2], [a]);
  const hasEnded = (): boolean => recordOf(fleet).current?.keyId === 2;
  waitUntil(fleet, "the rotation ended", hasEnded, retireDeadlineMs + 2_000);
  assert.equal(recordOf(fleet).phase, "steady");
  assert.deepEqual(slotsOf(fleet, a, testKey(1)), []);
});

test("review 15: a key file that came 35 s late is not taken for a slow staging", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  offer(fleet, [1, 2], [a, b]);
  fleet.run(35_000);
  assert.equal(recordOf(fleet).phase, "staging");
  offer(fleet, [1, 2], [c]);
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)));
  const staged = fleet.live().map((name) => fleet.registry.report(name)?.stagingMs ?? 0);
  assert.ok(Math.max(...staged) < 1_000, `staging took ${staged.join()} ms`);
  offer(fleet, [2, 3]);
  waitUntil(fleet, "the fleet runs key 3", () => runsOnly(fleet, testKey(3)));
});

test("review 19: one stray key file does not choose the target of the fleet", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  fleet.addNode(d, [testKey(9)]);
  waitUntil(fleet, "key 9 is tried", () => recordOf(fleet).target?.keyId === 9);
  for (const keyId of [2, 3]) {
    offer(fleet, [keyId - 1, keyId], [a, b, c]);
    waitUntil(fleet, `others run ${keyId}`, () => runsOnly(fleet, testKey(keyId), [a, b, c]));
  }
  assert.deepEqual(fleet.losses(), []);
});

/** Fails the audit writes of all controllers that come from now on while `isFailing`. */
function failRotationWrites(fleet: SimFleet, isFailing: () => boolean): void {
  const { registry } = fleet;
  const open = registry.port.bind(registry);
  const error = { code: "REGISTRY_UNREACHABLE", message: "failed by the test", retryable: true };
  registry.port = (link) => {
    const port = open(link);
    return {
      ...port,
      putRotation: (record, done) => {
        if (!isFailing()) return port.putRotation(record, done);
        fleet.time.at(fleet.time.nowMs + 1, () => done({ ok: false, error }));
      },
    };
  };
}

function auditOf(fleet: SimFleet, keyId: number): RotationRecord | undefined {
  return fleet.registry.rotations.find(({ to }) => to.keyId === keyId);
}

test("review 20: an audit record that could not be stored is stored later, to its end", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  let isFailing = true;
  failRotationWrites(fleet, () => isFailing);
  fleet.killController(0);
  fleet.addController();
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the rotation ended", () => recordOf(fleet).current?.keyId === 2);
  fleet.run(2_000);
  assert.equal(auditOf(fleet, 2), undefined);
  isFailing = false;
  waitUntil(fleet, "the record is stored", () => auditOf(fleet, 2)?.outcome === "done");
  const phases = auditOf(fleet, 2)?.phases.map(({ phase }) => phase);
  assert.deepEqual(phases, ["staging", "staged", "draining", "steady"]);
});

test("review 20: the audit record of a target that was replaced is closed", () => {
  const fleet = settledFleet({ coordination: "barrier" });
  offer(fleet, [1, 2], [a, b]);
  waitUntil(fleet, "key 2 is on record", () => auditOf(fleet, 2)?.outcome === "running");
  offer(fleet, [1, 3]);
  waitUntil(fleet, "the fleet runs key 3", () => runsOnly(fleet, testKey(3)));
  waitUntil(fleet, "key 3 is on record", () => auditOf(fleet, 3)?.outcome === "done");
  assert.equal(auditOf(fleet, 2)?.outcome, "replaced");
  assert.notEqual(auditOf(fleet, 2)?.endedAt, null);
});

test("review 22: a deadline that passed while the dataplane is away causes no busy loop", () => {
  let steps = 0;
  const fleet = settledFleet({
    coordination: "pairwise",
    agent: { retireDeadlineMs: 2_000 },
    step: () => (...known) => {
      steps += 1;
      return stepAgent(...known);
    },
  });
  offer(fleet, [1, 2]);
  const hasDeadline = (): boolean => stateOf(fleet, b).durable.deadline !== null;
  waitUntil(fleet, "b's deadline runs", hasDeadline);
  fleet.run(5);
  fleet.killAgent(b);
  fleet.node(b).kernel.hold();
  fleet.run(5_000);
  fleet.startAgent(b);
  fleet.run(100);
  assert.ok(hasDeadline(), "it passed 3 s ago");
  steps = 0;
  fleet.run(1_000);
  assert.ok(steps <= 20, `${steps} steps in a second`);
});
