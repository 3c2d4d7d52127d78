/** Clauses on reports, the fleet record, the request slot and the rotation history. */
import assert from "node:assert/strict";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../src/core/fleet/record.js";
import { limits } from "../../src/core/limits.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../src/ports/registry.js";
import { call, failsWith, Recorder, succeeds } from "./recorder.js";
import {
  admission,
  fleetRecord,
  operatorRequest,
  reportOf,
  rotationRecord,
} from "./registry-records.js";
import type { Clause } from "./registry.js";

function hasId(id: string | null): (event: SingleEvent<OperatorRequest>) => boolean {
  return (event) => event.kind === "value" && (event.object.value?.id ?? null) === id;
}

export function singleClauses(clause: Clause): void {
  clause("a published report reaches the watches as it was", async (fleet) => {
    const { registry } = fleet.connect();
    const entry = await succeeds<RosterEntry>((done) => registry.register(admission("a"), done));
    const watch = new Recorder<WatchEvent<Report>>();
    fleet.connect().registry.watchReports(watch.listener);
    await watch.first((event) => event.kind === "listing");
    const report = reportOf(entry, entry.revision, 1, 2);
    await succeeds<null>((done) => registry.publishReport(report, done));
    const put = await watch.first((event) => event.kind === "put");
    assert.deepEqual(put.kind === "put" && put.item, report);
    const later = new Recorder<WatchEvent<Report>>();
    registry.watchReports(later.listener);
    const listing = await later.first((event) => event.kind === "listing");
    assert.deepEqual(listing.kind === "listing" && listing.items, [report]);
  });

  clause("a report of a node that is not on the roster is refused", async (fleet) => {
    const { registry } = fleet.connect();
    const entry = await succeeds<RosterEntry>((done) => registry.register(admission("a"), done));
    const stranger = { ...entry, name: admission("b").name };
    const publish = (done: Parameters<RegistryPort["publishReport"]>[1]): void =>
      registry.publishReport(reportOf(stranger, 1, 1), done);
    assert.equal(await failsWith(publish), "REGISTRY_NOT_ADMITTED");
  });

  clause("the fleet record is written by compare-and-set", async (fleet) => {
    const { registry } = fleet.connect();
    const watch = new Recorder<SingleEvent<FleetRecord>>();
    registry.watchFleet(watch.listener);
    await watch.first(() => true);
    assert.deepEqual(watch.events, [{ kind: "value", object: { version: 0, value: null } }]);
    const version = await succeeds<number>((done) => registry.writeFleet(fleetRecord(1), 0, done));
    const stale = (expected: number) => (done: Parameters<RegistryPort["writeFleet"]>[2]) =>
      registry.writeFleet(fleetRecord(2), expected, done);
    assert.equal(await failsWith(stale(0)), "REGISTRY_CONFLICT");
    assert.equal(await failsWith(stale(version + 1)), "REGISTRY_CONFLICT");
    await watch.until(() => watch.events.length === 2);
    const object = { version, value: fleetRecord(1) };
    assert.deepEqual(watch.events[1], { kind: "value", object });
    const next = await succeeds<number>(stale(version));
    assert.ok(next > version);
  });

  clause("two writers of the fleet record lose no step", async (fleet) => {
    const steps = 20;
    await Promise.all([0, 1].map(() => countUp(fleet.connect().registry, steps)));
    const watch = new Recorder<SingleEvent<FleetRecord>>();
    fleet.connect().registry.watchFleet(watch.listener);
    const event = await watch.first((one) => one.kind === "value");
    assert.equal(event.kind === "value" && event.object.value?.rotation, 2 * steps);
  });

  clause("one operator request waits at a time", async (fleet) => {
    const { registry } = fleet.connect();
    const watch = new Recorder<SingleEvent<OperatorRequest>>();
    registry.watchRequest(watch.listener);
    await watch.first(hasId(null));
    const put = (id: string) => (done: Parameters<RegistryPort["putRequest"]>[1]) =>
      registry.putRequest(operatorRequest(id), done);
    await succeeds<null>(put("one"));
    await watch.first(hasId("one"));
    assert.equal(await failsWith<null>(put("two")), "REGISTRY_CONFLICT");
    await succeeds<null>(put("one"));
    await succeeds<null>((done) => registry.clearRequest("two", done));
    assert.equal(await failsWith<null>(put("two")), "REGISTRY_CONFLICT", "not its id");
    await succeeds<null>((done) => registry.clearRequest("one", done));
    await succeeds<null>(put("two"));
    await watch.first(hasId("two"));
    const ids = watch.events.map((event) => (event.kind === "value" ? event.object.value?.id : ""));
    assert.deepEqual(ids, [undefined, "one", undefined, "two"]);
    const last = watch.events[2];
    assert.equal(last?.kind === "value" && last.object.version, 0, "version 0 means absent");
  });

  clause("of two requests at once one is taken", async (fleet) => {
    const registries = [fleet.connect().registry, fleet.connect().registry];
    const results = await Promise.all(
      registries.map((registry, number) =>
        call<null>((done) => registry.putRequest(operatorRequest(`id-${number}`), done)),
      ),
    );
    assert.deepEqual(results.map(({ ok }) => ok).sort(), [false, true]);
  });

  clause("rotations are listed newest first, rewritten in place, and bounded", async (fleet) => {
    const { registry } = fleet.connect();
    const last = limits.rotationHistoryMax + 5;
    for (let rotation = 1; rotation <= last; rotation++) {
      await succeeds<null>((done) => registry.putRotation(rotationRecord(rotation), done));
    }
    const rewritten = rotationRecord(last, "because");
    await succeeds<null>((done) => registry.putRotation(rewritten, done));
    const list = await succeeds<readonly RotationRecord[]>((done) => registry.listRotations(done));
    const expected = Array.from({ length: limits.rotationHistoryMax }, (_, back) => last - back);
    assert.deepEqual(list.map(({ rotation }) => rotation), expected);
    assert.deepEqual(list[0], rewritten);
  });

  clause("acknowledged records outlive a restart of the store", async (fleet) => {
    const { registry } = fleet.connect();
    const entry = await succeeds<RosterEntry>((done) => registry.register(admission("a"), done));
    const version = await succeeds<number>((done) => registry.writeFleet(fleetRecord(3), 0, done));
    await succeeds<null>((done) => registry.putRotation(rotationRecord(3), done));
    await fleet.restart();
    const { registry: later } = fleet.connect();
    const again = await succeeds<RosterEntry>((done) => later.register(admission("a"), done));
    assert.deepEqual(again, entry);
    const next = await succeeds<number>((done) => later.writeFleet(fleetRecord(4), version, done));
    assert.ok(next > version, "revisions go on");
    const list = await succeeds<readonly RotationRecord[]>((done) => later.listRotations(done));
    assert.deepEqual(list, [rotationRecord(3)]);
  }, "durable");

  clause("a closed registry answers with REGISTRY_CLOSED and tells nothing more", async (fleet) => {
    const { registry } = fleet.connect();
    const watch = new Recorder<SingleEvent<FleetRecord>>();
    registry.watchFleet(watch.listener);
    await watch.first(() => true);
    registry.close();
    registry.close();
    const write = (done: Parameters<RegistryPort["writeFleet"]>[2]): void =>
      registry.writeFleet(fleetRecord(1), 0, done);
    assert.equal(await failsWith(write), "REGISTRY_CLOSED");
    await succeeds<number>((done) => fleet.connect().registry.writeFleet(fleetRecord(1), 0, done));
    assert.equal(watch.events.length, 1);
  });
}

/** Adds to the record's number by compare-and-set until it has done so `steps` times. */
async function countUp(registry: RegistryPort, steps: number): Promise<void> {
  const watch = new Recorder<SingleEvent<FleetRecord>>();
  const stop = registry.watchFleet(watch.listener);
  let seen = 0;
  for (let written = 0; written < steps; ) {
    await watch.until(() => watch.events.length > seen);
    seen = watch.events.length;
    const event = watch.events.at(-1);
    assert.ok(event?.kind === "value");
    const { version, value } = event.object;
    const next = fleetRecord((value?.rotation ?? 0) + 1);
    const result = await call<number>((done) => registry.writeFleet(next, version, done));
    if (result.ok) written += 1;
    else assert.equal(result.error.code, "REGISTRY_CONFLICT");
  }
  stop();
}
