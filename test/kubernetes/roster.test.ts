/** The roster's leader on a real API server: what is changed by hand, left half done, lost. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { digestOf } from "../../src/adapters/registry/kubernetes/collections.js";
import {
  configMapsPath,
  resourcePath,
} from "../../src/adapters/registry/kubernetes/kube-object.js";
import { listObjects } from "../../src/adapters/registry/kubernetes/list-objects.js";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import {
  ledgerName,
  readLedger,
  writeLedger,
} from "../../src/adapters/registry/kubernetes/roster-ledger.js";
import { leadRoster } from "../../src/adapters/registry/kubernetes/roster-leader.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { Log } from "../../src/ports/log.js";
import type { RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { Recorder, succeeds } from "../contract/recorder.js";
import { admission, incarnation, nodeName, reportOf } from "../contract/registry-records.js";
import {
  clientOf,
  makeNamespace,
  skipWithoutKubernetes,
  startSharedServer,
} from "../support/kubernetes.js";

const options = { skip: skipWithoutKubernetes, timeout: 60_000 };
const server = await startSharedServer();
after(() => server?.stop());
let namespaces = 0;

/** One fleet in a namespace of its own; leaders are started by the test. */
class Fleet {
  readonly client: ApiClient;
  readonly registry: RegistryPort;
  readonly codes = new Recorder<string>();
  readonly skipped: string[] = [];
  readonly #log: Log = {
    write: (_level, _message, fields) => this.codes.listener(String(fields["code"])),
  };
  readonly #stops: (() => void)[] = [];

  constructor(name: string) {
    assert.ok(server !== null);
    this.client = clientOf(server, name);
    this.registry = registryOver(clientOf(server, name), {
      skipped: ({ key }) => this.skipped.push(key),
      log: this.#log,
    });
  }

  lead(): () => void {
    const stop = leadRoster(this.client, this.#log);
    this.#stops.push(stop);
    return stop;
  }

  close(): void {
    for (const stop of this.#stops) stop();
    this.registry.close();
    this.client.close();
  }

  admit(name: string, serial = 1): Promise<RosterEntry> {
    return succeeds((done) => this.registry.register(admission(name, serial), done));
  }

  async watch(): Promise<Recorder<WatchEvent<RosterEntry>>> {
    const watch = new Recorder<WatchEvent<RosterEntry>>();
    this.registry.watchRoster(watch.listener);
    await watch.first(({ kind }) => kind === "listing");
    return watch;
  }

  nodePath(name: string): string {
    return `${resourcePath(this.client.namespace, "spindlenodes")}/${name}`;
  }

  async names(): Promise<readonly string[]> {
    const path = resourcePath(this.client.namespace, "spindlenodes");
    const { objects } = await listObjects(this.client, path);
    return objects.map(({ metadata }) => metadata.name);
  }
}

function fleetTest(name: string, body: (fleet: Fleet) => Promise<void>): void {
  test(`kubernetes roster: ${name}`, options, async () => {
    namespaces += 1;
    const fleet = new Fleet(`roster-${namespaces}`);
    try {
      await makeNamespace(fleet.client, fleet.client.namespace);
      await body(fleet);
    } finally {
      fleet.close();
    }
  });
}

fleetTest("kubectl shows a report's phase, keys, sending, through and age", async (fleet) => {
  fleet.lead();
  const entry = await fleet.admit("a");
  const report = reportOf(entry, entry.revision, 7, 8);
  await succeeds<null>((done) => fleet.registry.publishReport(report, done));
  const path = resourcePath(fleet.client.namespace, "spindlereports");
  const { body } = await fleet.client.fetch({
    method: "GET",
    path,
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
  });
  const table = body as {
    columnDefinitions: { name: string; priority: number }[];
    rows: { cells: unknown[] }[];
  };
  const columns = table.columnDefinitions.filter(({ priority }) => priority === 0);
  const shown = columns.map(({ name }) => name);
  assert.deepEqual(shown, ["Name", "Phase", "Keys held", "Sending", "Through", "Age"]);
  const cells = table.rows[0]?.cells ?? [];
  assert.deepEqual(cells.slice(0, 5), ["a", "switching", "7, 8", "7, 8", entry.revision]);
});

fleetTest("the API server refuses a report that no version would write", async (fleet) => {
  fleet.lead();
  await fleet.admit("a");
  const path = `${resourcePath(fleet.client.namespace, "spindlereports")}/a/status`;
  const table = [{ through: -1 }, { holds: [{ keyId: 300, check: "0".repeat(32) }] }, { node: 7 }];
  for (const status of table) {
    const patch = { method: "PATCH", path, body: { status } } as const;
    await assert.rejects(fleet.client.send(patch), { code: "REGISTRY_RECORD_INVALID" });
  }
});

fleetTest("an entry changed by hand is not obeyed and is set back", async (fleet) => {
  fleet.lead();
  const entry = await fleet.admit("a");
  const watch = await fleet.watch();
  const body = { spec: { revision: 900, record: { index: 77, addresses: { ipv4: "10.9.9.9" } } } };
  await fleet.client.send({ method: "PATCH", path: fleet.nodePath("a"), body });
  await fleet.codes.first((code) => code === "ROSTER_CHANGED_BY_HAND");
  await watch.first(({ kind }) => kind === "put");
  assert.deepEqual(watch.events.slice(1), [
    { kind: "listing", revision: entry.revision, items: [entry], unreadable: ["a"] },
    { kind: "put", revision: entry.revision, item: entry },
  ]);
  assert.deepEqual(fleet.skipped, ["roster/a"]);
  const next = await fleet.admit("b", 2);
  assert.equal(next.revision, entry.revision + 1, "no revision was taken from it");
});

fleetTest("an object that nobody announced is deleted, however right it looks", async (fleet) => {
  fleet.lead();
  await fleet.admit("a");
  const found = await fleet.client.send({ method: "GET", path: fleet.nodePath("a") });
  assert.ok(found.kind === "object");
  const { spec } = found.object as { spec: { record: object; digest: string } };
  const content = { ...spec, record: { ...spec.record, name: "b" } };
  const forged = {
    apiVersion: "spindle.dev/v1alpha1",
    kind: "SpindleNode",
    metadata: { name: "b" },
    spec: { ...content, digest: digestOf("b", content) },
  };
  const path = resourcePath(fleet.client.namespace, "spindlenodes");
  const watch = await fleet.watch();
  await fleet.client.send({ method: "POST", path, body: forged });
  await watch.first((event) => event.kind === "removed" && event.name === "b");
  assert.deepEqual(await fleet.names(), ["a"]);
});

fleetTest("a node deleted by hand is admitted anew, as another entry", async (fleet) => {
  fleet.lead();
  const before = await fleet.admit("a");
  const watch = await fleet.watch();
  await fleet.client.remove(fleet.nodePath("a"));
  const put = await watch.first(({ kind }) => kind === "put");
  assert.ok(put.kind === "put" && put.item.revision > before.revision);
  assert.notEqual(put.item.index, before.index, "its SAs of before are others");
  const kinds = watch.events.map(({ kind }) => kind);
  assert.ok(kinds.indexOf("removed") < kinds.indexOf("put"), "the removal comes first");
});

fleetTest("what a leader announced and did not write, the next one writes first", async (fleet) => {
  const stop = fleet.lead();
  const entry = await fleet.admit("a");
  stop();
  const { version, ledger } = await readLedger(fleet.client, false);
  const { revision: _revision, ...rest } = entry;
  const numbers = { nextNumber: 1, superseded: [] };
  const name = nodeName("b");
  const record = { ...rest, schemaVersion: 1 as const, name, index: 1 as typeof rest.index, numbers };
  const intents = [
    { name: "b", revision: 2, record },
    { name: "a", revision: 3, record: null },
  ];
  await writeLedger(fleet.client, version, { ...ledger, revision: 3, nextIndex: 2, intents });
  const registration = {
    apiVersion: "spindle.dev/v1alpha1",
    kind: "SpindleReport",
    metadata: { name: "b" },
    spec: { schemaVersion: 1, incarnationId: incarnation(1), addresses: rest.addresses, attempt: "1" },
  };
  const reports = resourcePath(fleet.client.namespace, "spindlereports");
  await fleet.client.send({ method: "POST", path: reports, body: registration });
  await fleet.client.remove(`${reports}/a`);
  fleet.lead();
  const again = await fleet.admit("c", 3);
  assert.deepEqual([again.revision, again.index], [4, 2], "nothing is given out twice");
  const b = await fleet.admit("b");
  assert.deepEqual([b.revision, b.index], [2, 1]);
  assert.deepEqual(await fleet.names(), ["b", "c"], "and the removal is done");
});

fleetTest("two leaders at once give nothing out twice", async (fleet) => {
  fleet.lead();
  fleet.lead();
  const names = Array.from({ length: 40 }, (_, serial) => `node-${serial}`);
  const entries = await Promise.all(names.map((name, serial) => fleet.admit(name, serial + 1)));
  assert.equal(new Set(entries.map(({ index }) => index)).size, 40);
  assert.equal(new Set(entries.map(({ revision }) => revision)).size, 40);
});

fleetTest("without its ledger nobody is admitted", async (fleet) => {
  const stop = fleet.lead();
  await fleet.admit("a");
  stop();
  await fleet.client.remove(`${configMapsPath(fleet.client.namespace)}/${ledgerName}`);
  fleet.lead();
  await fleet.codes.first((code) => code === "REGISTRY_LEDGER_LOST");
  assert.deepEqual(await fleet.names(), ["a"]);
});

fleetTest("a ledger from a backup gives nothing out twice", async (fleet) => {
  const stop = fleet.lead();
  await fleet.admit("a", 1);
  const backup = await readLedger(fleet.client, false);
  const newest = [await fleet.admit("b", 2), await fleet.admit("c", 3)];
  stop();
  const { version } = await readLedger(fleet.client, false);
  await writeLedger(fleet.client, version, backup.ledger);
  fleet.lead();
  const d = await fleet.admit("d", 4);
  assert.ok(newest.every(({ revision }) => revision < d.revision), "revisions go on");
  assert.ok(newest.every(({ index }) => index !== d.index), "and so do indices");
  assert.deepEqual(await fleet.names(), ["a", "b", "c", "d"]);
});

fleetTest("most reports gone at one look take nobody off the roster", async (fleet) => {
  const stop = fleet.lead();
  const names = Array.from({ length: 12 }, (_, serial) => `node-${serial}`);
  await Promise.all(names.map((name, serial) => fleet.admit(name, serial + 1)));
  stop();
  const reports = resourcePath(fleet.client.namespace, "spindlereports");
  await Promise.all(names.map((name) => fleet.client.remove(`${reports}/${name}`)));
  fleet.lead();
  await fleet.codes.first((code) => code === "ROSTER_DELETIONS_HELD");
  const back = await fleet.admit("node-3", 4);
  assert.equal((await fleet.names()).length, 12);
  assert.ok(back.revision <= 12, "who returns has its old entry");
  await fleet.client.remove(fleet.nodePath("node-5"));
  const watch = new Recorder<WatchEvent<RosterEntry>>();
  fleet.registry.watchRoster(watch.listener);
  await watch.until(() => listingHas(watch, 11) || watch.events.some(({ kind }) => kind === "removed"));
});

function listingHas(watch: Recorder<WatchEvent<RosterEntry>>, count: number): boolean {
  const [first] = watch.events;
  return first?.kind === "listing" && first.items.length === count;
}
