/**
 * Records in etcd that somebody edited by hand, under the programs of a lab: each is said in the log of everybody who reads
 * it, nothing is lost, nobody ends, and once they are put right the fleet rotates. Kubernetes: test/kubernetes/bad-input.test.ts.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdKv } from "../../src/adapters/registry/etcd/etcd-kv.js";
import { systemClock } from "../../src/adapters/system/clock.js";
import type { KvOperation } from "../../src/adapters/registry/kv.js";
import { seal } from "../../src/adapters/registry/sealed-kv.js";
import { startLab, type Lab } from "../../src/lab/lab.js";
import { labDefaults } from "../../src/lab/options.js";
import { EtcdLabRegistry } from "../../src/lab/registry/etcd.js";
import { skipWithoutEtcd } from "../support/etcd.js";
import { quietHost } from "../support/lab.js";

const skip = await skipWithoutEtcd();
const saidMsMax = 15_000;
const recentMs = 1_500;

function ofNewerVersion(record: string): string {
  return record.replace(/"schemaVersion":\d/, '"schemaVersion":9');
}

interface Edit {
  readonly edit: (record: string) => string;
  readonly readers: "all" | "controller";
  /** Not with a digest of its own, which is refused before anything else is looked at. */
  readonly isByHand?: boolean;
}

const byHand = "changed by hand";

/** As a program would have written it. */
function sealed(edit: (record: string) => string): (record: string) => string {
  return (record) => seal(edit(record.replace(/"digest":"[0-9a-f]{64}",/, "")));
}

/** What is written, by key, and who reads it. */
const edits: Readonly<Record<string, Edit>> = {
  "roster/node-1": { edit: sealed((record) => record.replace('"node-1"', `"${"x".repeat(1_000_000)}"`)), readers: "all" },
  "roster/node-2": { edit: sealed(ofNewerVersion), readers: "all" },
  "roster/node-3": { edit: (record) => record.slice(0, -9), readers: "all", isByHand: true },
  // Obeyed, peers would send to nobody.
  "roster/node-4": { edit: (record) => record.replace(/"udpPort":\d+/, '"udpPort":9'), readers: "all", isByHand: true },
  "reports/node-1": { edit: sealed(ofNewerVersion), readers: "controller" },
  fleet: { edit: sealed(ofNewerVersion), readers: "all" },
  request: { edit: () => '{"schemaVersion":1,"kind":"dance"}', readers: "controller" },
};

test("bad records in etcd: said by everyone who reads them, nothing lost, nobody ends, and put right the fleet goes on", { skip }, async () => {
  let registry: EtcdLabRegistry | null = null;
  const makeRegistry = ({ directory }: Lab["layout"]): EtcdLabRegistry =>
    (registry = new EtcdLabRegistry({ directory, endpoints: [], size: 1 }));
  const options = { ...labDefaults, nodes: 4, rotations: 1, drainMs: 500 };
  const lab = await startLab(options, { ...quietHost, makeRegistry });
  try {
    const kv = kvOf(registry);
    const before = await recordsOf(kv);
    const processes = processesOf(lab);
    await kv.transaction([], Object.entries(edits).map(([key, { edit }]) => put(key, edit(before.get(key) ?? ""))));
    for (const [key, { readers, isByHand = false }] of Object.entries(edits)) {
      const logs = readers === "all" ? [controllerLog(lab), ...agentLogs(lab)] : [controllerLog(lab)];
      for (const log of logs) await untilSaid(log, `"key":"${key}"`, isByHand);
    }
    await untilSaid(controllerLog(lab), "ROSTER_UNREADABLE", false);
    await lab.rest(recentMs);
    assert.equal(lab.ledger.pairsAlive(systemClock.nowMs() - recentMs), lab.openPairs.all, "traffic goes on");
    assert.deepEqual(processesOf(lab), processes, "nobody ended");
    await kv.transaction([], [...before].filter(([key]) => key in edits).map(([key, value]) => put(key, value)));
    await kv.transaction([], [{ kind: "delete", key: "request" }]);
    kv.close();
    assert.equal((await lab.rotate()).stuck, null);
    assert.deepEqual(processesOf(lab), processes, "nobody ended");
    const { packets, validity } = await lab.finish();
    assert.deepEqual(packets.lostByReason, {});
    assert.deepEqual(validity.problems, []);
  } finally {
    await lab.abandon();
  }
});

function kvOf(registry: EtcdLabRegistry | null): EtcdKv {
  assert.ok(registry !== null);
  return new EtcdKv({ endpoints: registry.endpoints, prefix: registry.prefix, tls: null, login: null });
}

async function recordsOf(kv: EtcdKv): Promise<ReadonlyMap<string, string>> {
  const { items } = await kv.get(Object.keys(edits));
  return new Map(items.map(({ key, value }) => [key, value]));
}

function put(key: string, value: string): KvOperation {
  return { kind: "put", key, value };
}

function controllerLog({ layout }: Lab): string {
  return join(layout.controllerDirectory, "controller.log");
}

function agentLogs({ layout }: Lab): readonly string[] {
  return layout.nodes.map(({ directory }) => join(directory, "agent.log"));
}

function processesOf({ nodes, controller }: Lab): readonly (number | null)[] {
  return [controller.pid, ...nodes.map(({ agent }) => agent.pid)];
}

/** A log is no watch. */
async function untilSaid(log: string, words: string, isByHand: boolean): Promise<void> {
  const untilMs = performance.now() + saidMsMax;
  const says = (line: string): boolean => line.includes(words) && line.includes(byHand) === isByHand && !line.includes("xxxxxxxxxx");
  while (!readFileSync(log, "utf8").split("\n").some(says)) {
    assert.ok(performance.now() < untilMs, `${log} says ${words}`);
    await sleep(50);
  }
}
