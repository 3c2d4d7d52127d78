/** Clauses on watches: complete listings, order, outages, gaps, records that cannot be read. */
import assert from "node:assert/strict";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../src/ports/registry.js";
import { failsWith, Recorder, succeeds } from "./recorder.js";
import { admission, fleetRecord, nodeName, reportOf } from "./registry-records.js";
import type { Clause, FleetRegistry } from "./registry.js";

type RosterEvent = WatchEvent<RosterEntry>;
type Listing = Extract<RosterEvent, { readonly kind: "listing" }>;

function admit(registry: RegistryPort, name: string, serial = 1): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name, serial), done));
}

function remove(registry: RegistryPort, name: string): Promise<number> {
  return succeeds((done) => registry.remove(nodeName(name), done));
}

function isListing(event: RosterEvent): event is Listing {
  return event.kind === "listing";
}

/** A watch that has had its first listing. */
async function watchRoster(registry: RegistryPort): Promise<Recorder<RosterEvent>> {
  const watch = new Recorder<RosterEvent>();
  registry.watchRoster(watch.listener);
  await watch.first(isListing);
  return watch;
}

function namesOf(listing: Listing): readonly string[] {
  return listing.items.map(({ name }) => name as string).sort();
}

/** Changes only, as "put a" or "removed b". */
function changesOf(events: readonly RosterEvent[]): readonly string[] {
  return events.flatMap((event) => {
    if (event.kind === "put") return [`put ${event.item.name}`];
    return event.kind === "removed" ? [`removed ${event.name}`] : [];
  });
}

export function watchClauses(clause: Clause): void {
  clause("a watch begins with a complete listing at the roster revision", async (fleet) => {
    const { registry } = fleet.connect();
    const entries = [await admit(registry, "a", 1), await admit(registry, "b", 2)];
    const last = await admit(registry, "c", 3);
    const revision = await remove(registry, "c");
    await succeeds<number>((done) => registry.writeFleet(fleetRecord(1), 0, done));
    const watch = await watchRoster(registry);
    const [listing] = watch.events;
    assert.ok(listing !== undefined && isListing(listing));
    assert.deepEqual([...listing.items].sort((one, other) => one.index - other.index), entries);
    assert.equal(listing.revision, revision, "other writes do not move it, removals do");
    assert.ok(revision > last.revision);
  });

  clause("a watch of the empty roster begins with an empty listing", async (fleet) => {
    const watch = await watchRoster(fleet.connect().registry);
    assert.deepEqual(watch.events, [{ kind: "listing", revision: 0, items: [] }]);
  });

  clause("changes come in commit order, each once, with their roster revision", async (fleet) => {
    const writers = [fleet.connect().registry, fleet.connect().registry];
    const watch = await watchRoster(fleet.connect().registry);
    await Promise.all(
      Array.from({ length: 30 }, async (_, serial) => {
        const writer = writers[serial % 2];
        assert.ok(writer !== undefined);
        await admit(writer, `node-${serial}`, serial + 1);
        if (serial % 3 === 0) await remove(writer, `node-${serial}`);
      }),
    );
    await watch.until(() => watch.events.length === 1 + 30 + 10);
    const changes = watch.events.slice(1);
    const revisions = changes.map((event) => ("revision" in event ? event.revision : -1));
    assert.deepEqual(revisions, [...new Set(revisions)].sort((one, other) => one - other));
    for (const event of watch.events) {
      if (event.kind === "put") assert.equal(event.item.revision, event.revision);
    }
  });

  clause("a watch resumes after an outage: what it missed comes once, in order", async (fleet) => {
    const { registry } = fleet.connect();
    await admit(registry, "a", 1);
    await admit(registry, "b", 2);
    const watch = await watchRoster(registry);
    let revision = 0;
    await fleet.outage(async (inside) => {
      await watch.first((event) => event.kind === "disconnected");
      await remove(inside, "a");
      await admit(inside, "c", 3);
      revision = (await admit(inside, "b", 4)).revision;
    });
    await watch.until(() => watch.events.filter(isListing).length === 2);
    assert.deepEqual(changesOf(watch.events), ["removed a", "put c", "put b"], "no lost deletion");
    assert.equal(watch.events.at(-1)?.kind, "listing", "the view is current again");
    const listing = watch.events.filter(isListing)[1];
    assert.ok(listing !== undefined);
    assert.deepEqual([namesOf(listing), listing.revision], [["b", "c"], revision]);
    await admit(registry, "d", 5);
    await watch.first((event) => event.kind === "put" && event.item.name === "d");
    assert.deepEqual(changesOf(watch.events).slice(3), ["put d"]);
  }, "resume");

  clause("an outage in which nothing happened ends with a listing", async (fleet) => {
    const { registry } = fleet.connect();
    const { revision } = await admit(registry, "a");
    const watch = await watchRoster(registry);
    await fleet.outage(async () => {
      await watch.first((event) => event.kind === "disconnected");
    });
    await watch.until(() => watch.events.filter(isListing).length === 2);
    const listing = watch.events.filter(isListing)[1];
    assert.ok(listing !== undefined);
    assert.deepEqual([namesOf(listing), listing.revision], [["a"], revision]);
    assert.deepEqual(changesOf(watch.events), []);
  });

  clause("a gap in the history is a new listing, without who was removed", async (fleet) => {
    const { registry } = fleet.connect();
    await admit(registry, "a", 1);
    await admit(registry, "b", 2);
    const watch = await watchRoster(registry);
    await fleet.outage(async (inside) => {
      await remove(inside, "a");
      await admit(inside, "c", 3);
      await fleet.forgetHistory();
    });
    await watch.until(() => watch.events.filter(isListing).length === 2);
    assert.deepEqual(changesOf(watch.events), [], "the listing says it all");
    const listing = watch.events.filter(isListing)[1];
    assert.ok(listing !== undefined);
    assert.deepEqual(namesOf(listing), ["b", "c"]);
    await admit(registry, "d", 4);
    await watch.first((event) => event.kind === "put" && event.item.name === "d");
  }, "compaction");

  clause("a stopped watch tells nothing more, and may be stopped twice", async (fleet) => {
    const { registry } = fleet.connect();
    const stopped = new Recorder<RosterEvent>();
    const stop = registry.watchRoster(stopped.listener);
    await stopped.first(isListing);
    stop();
    stop();
    const watch = await watchRoster(registry);
    await admit(registry, "a");
    await watch.first((event) => event.kind === "put");
    assert.equal(stopped.events.length, 1);
  });

  clause("an unreadable record is named, and neither a change nor a removal", async (fleet) => {
    const client = fleet.connect();
    const known = await admit(client.registry, "a", 1);
    await admit(client.registry, "b", 2);
    const watch = await watchRoster(client.registry);
    await fleet.writeRaw({ kind: "roster", name: "a" }, '{"schemaVersion":2,"name":"a"}');
    await fleet.writeRaw({ kind: "roster", name: "b" }, "{ half a rec");
    await admit(client.registry, "c", 3);
    await watch.first((event) => event.kind === "put");
    assert.deepEqual(changesOf(watch.events), ["put c"], "whoever knew the node keeps it");
    assert.deepEqual(watch.events.filter(isListing).at(-1)?.unreadable, ["a", "b"], "and is told at once");
    assert.deepEqual([...client.skipped].sort(), ["roster/a", "roster/b"]);
    await assertNewcomerSees(fleet, ["c"], ["a", "b"]);
    const again = admission("a", 9);
    const register = (done: Parameters<RegistryPort["register"]>[1]): void =>
      client.registry.register(again, done);
    assert.equal(await failsWith(register), "REGISTRY_RECORD_INVALID", "never overwritten blindly");
    await remove(client.registry, "a");
    await watch.first((event) => event.kind === "removed" && event.name === "a");
    const { index } = await admit(client.registry, "a", 9);
    assert.notEqual(index, known.index, "an index that could not be read is not given out again");
  }, "rawRecords");

  clause("reports and fleet records that cannot be read are skipped", async (fleet) => {
    const client = fleet.connect();
    const entry = await admit(client.registry, "a");
    await succeeds<number>((done) => client.registry.writeFleet(fleetRecord(1), 0, done));
    const fleetWatch = new Recorder<SingleEvent<FleetRecord>>();
    const reports = new Recorder<WatchEvent<Report>>();
    client.registry.watchFleet(fleetWatch.listener);
    client.registry.watchReports(reports.listener);
    await fleetWatch.first(() => true);
    await reports.first(() => true);
    await fleet.writeRaw({ kind: "fleet" }, '{"schemaVersion":1,"phase":"dancing"}');
    await fleet.writeRaw({ kind: "report", name: "a" }, "[]");
    const report = reportOf(entry, entry.revision, 1);
    await succeeds<null>((done) => client.registry.publishReport(report, done));
    const put = await reports.first((event) => event.kind === "put");
    assert.deepEqual(put.kind === "put" && put.item, report);
    assert.deepEqual(fleetWatch.events.map(({ kind }) => kind), ["value"], "the old one stays");
    assert.deepEqual([...client.skipped].sort(), ["fleet", "reports/a"]);
  }, "rawRecords");
}

async function assertNewcomerSees(
  fleet: FleetRegistry,
  names: readonly string[],
  unreadable: readonly string[],
): Promise<void> {
  const [listing] = (await watchRoster(fleet.connect().registry)).events;
  assert.ok(listing !== undefined && isListing(listing));
  assert.deepEqual(namesOf(listing), names);
  assert.deepEqual([...(listing.unreadable ?? [])].sort(), unreadable);
}
