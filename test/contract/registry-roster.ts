/** Clauses on admission, numbers and removal. */
import assert from "node:assert/strict";
import type { RosterEntry } from "../../src/core/node.js";
import type { Result } from "../../src/core/result.js";
import type { PortFailure } from "../../src/ports/failure.js";
import type { RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { call, failsWith, Recorder, succeeds } from "./recorder.js";
import { admission, behindNode, fleetRecord, nodeName, reportOf } from "./registry-records.js";
import type { Clause } from "./registry.js";

const numbersOfOneIndex = 16;

function admit(
  registry: RegistryPort,
  name: string,
  serial = 1,
  ipv4?: string,
): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name, serial, ipv4), done));
}

function publish(
  registry: RegistryPort,
  entry: RosterEntry,
  through: number,
): Promise<Result<null, PortFailure>> {
  return call((done) => registry.publishReport(reportOf(entry, through, 1), done));
}

export function rosterClauses(clause: Clause): void {
  clause("register admits a node, and the same request again changes nothing", async (fleet) => {
    const { registry } = fleet.connect();
    const first = await admit(registry, "a");
    assert.equal(first.incarnationNumber, 0);
    assert.deepEqual(first.addresses, admission("a").addresses);
    assert.ok(first.revision > 0);
    assert.deepEqual(await admit(registry, "a"), first);
    assert.deepEqual(await admit(fleet.connect().registry, "a"), first, "also from elsewhere");
  });

  clause("a changed address gives a new revision and keeps index and number", async (fleet) => {
    const { registry } = fleet.connect();
    const before = await admit(registry, "a", 1, "10.0.0.1");
    const after = await admit(registry, "a", 1, "10.0.0.2");
    assert.ok(after.revision > before.revision);
    assert.equal(after.addresses.ipv4, "10.0.0.2");
    const { index, incarnationNumber } = before;
    assert.deepEqual([after.index, after.incarnationNumber], [index, incarnationNumber]);
  });

  clause("networks are part of an entry, with a revision of their own", async (fleet) => {
    const { registry } = fleet.connect();
    const before = await admit(registry, "a");
    const behind = (...cidrs: readonly string[]): Promise<RosterEntry> =>
      succeeds((done) => registry.register(behindNode("a", cidrs), done));
    const after = await behind("10.1.0.0/24", "fd01::/64");
    assert.deepEqual(after.addresses.cidrs, ["10.1.0.0/24", "fd01::/64"]);
    assert.ok(after.revision > before.revision);
    assert.equal(after.incarnationNumber, before.incarnationNumber);
    assert.deepEqual(await behind("10.1.0.0/24", "fd01::/64"), after);
    const without = await admit(registry, "a");
    assert.ok(without.revision > after.revision);
    assert.equal(without.addresses.cidrs, undefined);
  });

  clause("a network is one node's: another that overlaps it is refused, until it is free", async (fleet) => {
    const { registry } = fleet.connect();
    const admitted = await succeeds<RosterEntry>((done) => registry.register(behindNode("a", ["10.1.0.0/16"]), done));
    for (const cidrs of [["10.1.0.0/16"], ["10.9.0.0/24", "10.1.7.0/24"], ["10.0.0.0/8"]]) {
      const code = await failsWith<RosterEntry>((done) => registry.register(behindNode("b", cidrs, 2), done));
      assert.equal(code, "ROSTER_CIDR_TAKEN", cidrs.join());
    }
    await succeeds<RosterEntry>((done) => registry.register(behindNode("b", ["10.2.0.0/16"], 2), done));
    const grown = behindNode("b", ["10.1.7.0/24", "10.2.0.0/16"], 2);
    assert.equal(await failsWith<RosterEntry>((done) => registry.register(grown, done)), "ROSTER_CIDR_TAKEN");
    assert.deepEqual(await succeeds((done) => registry.register(behindNode("a", ["10.1.0.0/16"]), done)), admitted);
    await succeeds<number>((done) => registry.remove(nodeName("a"), done));
    await succeeds<RosterEntry>((done) => registry.register(grown, done));
  });

  clause("a network that holds another node's address is refused, and so is a node whose address is in one", async (fleet) => {
    const { registry } = fleet.connect();
    await admit(registry, "a", 1, "192.0.2.1");
    const around = behindNode("b", ["192.0.2.0/24"], 2);
    assert.equal(await failsWith<RosterEntry>((done) => registry.register(around, done)), "ROSTER_CIDR_TAKEN");
    await succeeds<number>((done) => registry.remove(nodeName("a"), done));
    await succeeds<RosterEntry>((done) => registry.register(around, done));
    const within = behindNode("c", ["10.3.0.0/24"], 3);
    const inside = { ...within, addresses: { ...within.addresses, ipv4: "192.0.2.9" } };
    assert.equal(await failsWith<RosterEntry>((done) => registry.register(inside, done)), "ROSTER_CIDR_TAKEN");
  });

  clause("a new incarnation gives a new revision and number and keeps the index", async (fleet) => {
    const { registry } = fleet.connect();
    const before = await admit(registry, "a", 1);
    const after = await admit(registry, "a", 2);
    assert.ok(after.revision > before.revision);
    assert.equal(after.index, before.index);
    assert.notEqual(after.incarnationNumber, before.incarnationNumber);
  });

  clause("200 joins at once get 200 different indices and revisions", async (fleet) => {
    const clients = Array.from({ length: 20 }, () => fleet.connect());
    const joins = Array.from({ length: 200 }, (_, serial) => {
      const client = clients[serial % clients.length];
      assert.ok(client !== undefined);
      return admit(client.registry, `node-${serial}`, serial + 1);
    });
    const entries = await Promise.all(joins);
    assert.equal(new Set(entries.map(({ index }) => index)).size, 200);
    assert.equal(new Set(entries.map(({ revision }) => revision)).size, 200);
  });

  clause("one node that registers twice at once gets one entry", async (fleet) => {
    const registries = Array.from({ length: 8 }, () => fleet.connect().registry);
    const entries = await Promise.all(registries.map((registry) => admit(registry, "a")));
    for (const entry of entries) assert.deepEqual(entry, entries[0]);
  });

  clause("numbers come back only when everyone has applied their end", async (fleet) => {
    const { registry } = fleet.connect();
    const witness = await admit(registry, "b", 100);
    const numbers: number[] = [];
    let revision = 0;
    for (let serial = 1; serial <= numbersOfOneIndex; serial++) {
      const entry = await admit(registry, "a", serial);
      numbers.push(entry.incarnationNumber);
      if (serial === 2) revision = entry.revision;
    }
    assert.equal(new Set(numbers).size, numbersOfOneIndex, "all numbers are used");
    const again = admission("a", 17);
    const code = await failsWith<RosterEntry>((done) => registry.register(again, done));
    assert.equal(code, "ROSTER_NO_FREE_INCARNATION");
    await publish(registry, witness, revision - 1);
    assert.ok(!(await call((done) => registry.register(again, done))).ok, "not before its end");
    await publish(registry, witness, revision);
    const entry = await succeeds<RosterEntry>((done) => registry.register(again, done));
    assert.equal(entry.incarnationNumber, numbers[0], "the oldest comes first");
  });

  clause("the next rotation frees numbers that a silent node keeps", async (fleet) => {
    const { registry } = fleet.connect();
    const silent = await admit(registry, "b", 100);
    await publish(registry, silent, silent.revision);
    const version = await succeeds<number>((done) => registry.writeFleet(fleetRecord(1), 0, done));
    for (let serial = 1; serial <= numbersOfOneIndex; serial++) await admit(registry, "a", serial);
    const again = admission("a", 17);
    assert.ok(!(await call((done) => registry.register(again, done))).ok);
    await succeeds<number>((done) => registry.writeFleet(fleetRecord(2, 2), version, done));
    await succeeds<RosterEntry>((done) => registry.register(again, done));
  });

  clause("remove takes the node and its report; removing the absent succeeds", async (fleet) => {
    const { registry } = fleet.connect();
    const entry = await admit(registry, "a");
    await publish(registry, entry, entry.revision);
    const reports = new Recorder<WatchEvent<unknown>>();
    registry.watchReports(reports.listener);
    // A listing from a server's memory may be a moment old; what it lacks comes as a change.
    await reports.first((event) => event.kind === "put" || (event.kind === "listing" && event.items.length === 1));
    const revision = await succeeds<number>((done) => registry.remove(nodeName("a"), done));
    assert.ok(revision > entry.revision);
    const removed = await reports.first((event) => event.kind === "removed");
    assert.equal(removed.kind === "removed" && removed.name, "a");
    assert.equal(await succeeds<number>((done) => registry.remove(nodeName("a"), done)), revision);
    const late = await publish(registry, entry, revision);
    assert.equal(late.ok ? "" : late.error.code, "REGISTRY_NOT_ADMITTED", "no report stays behind");
  });

  clause("a recycled address belongs to another index; the removal comes first", async (fleet) => {
    const { registry } = fleet.connect();
    const before = await admit(registry, "a", 1, "10.0.0.7");
    const watch = new Recorder<WatchEvent<RosterEntry>>();
    registry.watchRoster(watch.listener);
    await watch.first((event) => event.kind === "listing");
    await succeeds<number>((done) => registry.remove(nodeName("a"), done));
    const after = await admit(registry, "b", 2, "10.0.0.7");
    assert.notEqual(after.index, before.index);
    await watch.first((event) => event.kind === "put");
    assert.deepEqual(watch.events.map(({ kind }) => kind), ["listing", "removed", "put"]);
  });

  clause("a node that comes back after its removal is a new entry", async (fleet) => {
    const { registry } = fleet.connect();
    const before = await admit(registry, "a", 1);
    await succeeds<number>((done) => registry.remove(nodeName("a"), done));
    const after = await admit(registry, "a", 1);
    assert.ok(after.revision > before.revision);
    assert.notEqual(after.index, before.index);
  });
}
