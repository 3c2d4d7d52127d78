import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CheckValue, KeyId, KeyIdentity } from "./key-id.js";
import type { IncarnationId, NodeName, RosterEntry, RosterRevision } from "./node.js";
import type { Report } from "./report.js";
import {
  allotIndex,
  allotNumber,
  firstNumbers,
  keysInUse,
  supersede,
  type NumberLedger,
  type ReleasedIndex,
  type ReuseEvidence,
  type Witness,
} from "./roster-allotment.js";
import { succeed } from "./result.js";
import type { IncarnationNumber, NodeIndex } from "./spi.js";

const bounds = { indexMax: 3, numberMax: 2 };

function key(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: String(keyId).padStart(32, "0") as CheckValue };
}

function incarnation(serial: number): IncarnationId {
  return serial.toString(16).padStart(32, "0") as IncarnationId;
}

function entryOf(name: string, serial = 1, index = 0, number = 0, revision = 1): RosterEntry {
  return {
    name: name as NodeName,
    index: index as NodeIndex,
    incarnationId: incarnation(serial),
    incarnationNumber: number as IncarnationNumber,
    addresses: { ipv4: "10.0.0.1", ipv6: null, udpPort: null },
    revision: revision as RosterRevision,
  };
}

function reportOf(
  entry: RosterEntry,
  through: number,
  holds: readonly number[],
  available = holds,
): Report {
  return {
    schemaVersion: 1,
    node: entry.name,
    incarnationId: entry.incarnationId,
    available: available.map(key),
    holds: holds.map(key),
    sendingOldest: null,
    sendingNewest: null,
    refused: [],
    exclusionEpoch: 0,
    stagingMs: null,
    through: through as RosterRevision,
    waitingFor: null,
    waitingMs: null,
    retired: null,
  };
}

function evidence(witnesses: readonly Witness[], inUse: number[] | null = null): ReuseEvidence {
  return { witnesses, keysInUse: inUse as KeyId[] | null };
}

function released(index: number, after: number): ReleasedIndex {
  return { index: index as NodeIndex, after: after as RosterRevision };
}

test("allotment: fresh values come first, without looking at evidence", () => {
  const index = allotIndex({ nextIndex: 3, oldestReleased: released(0, 1) }, null, bounds);
  assert.deepEqual(index, { ok: true, value: { index: 3, nextIndex: 4, reused: false } });
  const ledger = supersede(firstNumbers, 0 as IncarnationNumber, 1 as RosterRevision);
  const number = allotNumber({ ...ledger, nextNumber: 2 }, null, bounds);
  assert.ok(number.ok);
  assert.equal(number.value.number, 2);
  assert.equal(number.value.ledger.nextNumber, 3);
});

test("allotment: 2^20 indices and 16 numbers exist", () => {
  const last = allotIndex({ nextIndex: 2 ** 20 - 1, oldestReleased: null }, null);
  assert.ok(last.ok && last.value.index === 0xf_ffff);
  const none = allotIndex({ nextIndex: 2 ** 20, oldestReleased: null }, evidence([]));
  assert.ok(!none.ok && none.error.code === "ROSTER_NO_FREE_INDEX");
  const sixteenth = allotNumber({ nextNumber: 15, superseded: [] }, null);
  assert.ok(sixteenth.ok && sixteenth.value.number === 15);
});

const now = entryOf("b", 2);
const before = entryOf("b", 1);
const silent = reportOf(now, 3, [1]);
const witnessCases: readonly {
  readonly name: string;
  readonly report: Report | undefined;
  readonly inUse: number[] | null;
  readonly free: boolean;
}[] = [
  { name: "applied the change", report: reportOf(now, 8, [1]), inUse: null, free: true },
  { name: "applied only what was before", report: reportOf(now, 7, [1]), inUse: null, free: false },
  { name: "applied it before a boot", report: reportOf(before, 9, [1]), inUse: null, free: false },
  { name: "never reported", report: undefined, inUse: [2], free: false },
  { name: "is silent, its keys are gone", report: silent, inUse: [2], free: true },
  { name: "is silent, its key is in use", report: silent, inUse: [1, 2], free: false },
  {
    name: "is silent, its file offers the new key",
    report: reportOf(now, 3, [1], [1, 2]),
    inUse: [2],
    free: false,
  },
  {
    name: "is silent, refused the key and keeps its inbound",
    report: { ...silent, refused: [key(2)] },
    inUse: [2],
    free: false,
  },
  { name: "is silent, and no key is known in use", report: silent, inUse: null, free: false },
];

for (const { name, report, inUse, free } of witnessCases) {
  test(`allotment: a released value is ${free ? "free" : "kept"} when a node ${name}`, () => {
    const proof = evidence([{ entry: now, report }], inUse);
    const index = allotIndex({ nextIndex: 4, oldestReleased: released(2, 7) }, proof, bounds);
    assert.equal(index.ok, free);
    const used: NumberLedger = {
      nextNumber: 3,
      superseded: [{ number: 1 as IncarnationNumber, after: 7 as RosterRevision }],
    };
    const number = allotNumber(used, proof, bounds);
    assert.equal(number.ok, free);
    if (!number.ok) assert.match(number.error.message, /node b has not applied/);
  });
}

test("allotment: keys in use are the fleet's current and target", () => {
  const record = { current: key(4), target: key(5) };
  assert.deepEqual(keysInUse(record), [4, 5]);
  assert.deepEqual(keysInUse({ ...record, target: null }), [4]);
  assert.equal(keysInUse({ ...record, current: null }), null);
  assert.equal(keysInUse(null), null);
});

/** The slow model: the kernel of every node on the roster, SA by SA. */
interface Model {
  revision: number;
  nextIndex: number;
  released: readonly ReleasedIndex[];
  serial: number;
  keyId: number;
  reused: number;
  readonly nodes: Map<string, ModelNode>;
}

interface ModelNode {
  readonly entry: RosterEntry;
  readonly numbers: NumberLedger;
  through: number;
  keyId: number;
  report: Report | undefined;
  /** SPIs of the inbound SAs that the node holds. */
  kernel: ReadonlySet<string>;
}

type Command =
  | { readonly kind: "register" | "remove" | "apply" | "report"; readonly name: string }
  | { readonly kind: "rotate"; readonly away: readonly string[] };

const names = ["a", "b", "c", "d", "e"];
const nodeCommand = (kind: "register" | "remove" | "apply" | "report") =>
  fc.record({ kind: fc.constant(kind), name: fc.constantFrom(...names) });
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: nodeCommand("register") },
  { weight: 2, arbitrary: nodeCommand("remove") },
  { weight: 6, arbitrary: nodeCommand("apply") },
  { weight: 6, arbitrary: nodeCommand("report") },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rotate"), away: fc.subarray(names) }) },
);

test("allotment: no live value is shared or returns too early, by a model of all kernels", () => {
  let reused = 0;
  const runs = fc.property(fc.array(command, { minLength: 40, maxLength: 160 }), (commands) => {
    const model: Model = {
      revision: 0, nextIndex: 0, released: [], serial: 0, keyId: 1, reused: 0, nodes: new Map(),
    };
    for (const one of commands) obey(model, one);
    reused += model.reused;
  });
  fc.assert(runs, { numRuns: 300 });
  assert.ok(reused > 100, `released values were used again (${reused} times)`);
});

function obey(model: Model, one: Command): void {
  if (one.kind === "rotate") return rotate(model, one.away);
  const node = model.nodes.get(one.name);
  if (one.kind === "register") return register(model, one.name, node);
  if (node === undefined) return;
  if (one.kind === "remove") return remove(model, one.name, node);
  if (one.kind === "apply") return apply(model, node);
  node.report = reportOf(node.entry, node.through, [node.keyId]);
}

/** A first admission, or a reboot after which the kernel may still hold anything. */
function register(model: Model, name: string, known: ModelNode | undefined): void {
  const proof = proofFor(model, name);
  const oldestReleased = model.released[0] ?? null;
  const { nextIndex: next } = model;
  const allotted =
    known === undefined
      ? allotIndex({ nextIndex: next, oldestReleased }, proof, bounds)
      : succeed({ index: known.entry.index, nextIndex: next, reused: false });
  const past = known === undefined ? firstNumbers : numbersAfter(known, model.revision);
  const number = allotNumber(past, proof, bounds);
  if (!allotted.ok || !number.ok) return;
  const { index, nextIndex, reused } = allotted.value;
  if (reused) model.released = model.released.slice(1);
  if (reused || past.nextNumber === number.value.ledger.nextNumber) model.reused += 1;
  model.nextIndex = nextIndex;
  model.revision += 1;
  model.serial += 1;
  const entry = entryOf(name, model.serial, index, number.value.number, model.revision);
  const blank = { through: 0, keyId: model.keyId, report: undefined, kernel: new Set<string>() };
  const kept = known ?? blank;
  model.nodes.set(name, { ...kept, entry, numbers: number.value.ledger });
  assertNoCollision(model, entry);
}

function numbersAfter(known: ModelNode, revision: number): NumberLedger {
  return supersede(known.numbers, known.entry.incarnationNumber, revision as RosterRevision);
}

function remove(model: Model, name: string, node: ModelNode): void {
  model.released = [...model.released, released(node.entry.index, model.revision)];
  model.revision += 1;
  model.nodes.delete(name);
}

/** Takes the roster over: deletes the SAs of what left it and installs those of what came. */
function apply(model: Model, node: ModelNode): void {
  const others = [...model.nodes.values()].filter((other) => other.entry.name !== node.entry.name);
  node.kernel = new Set(others.map((other) => spiText(node.keyId, other.entry)));
  node.through = model.revision;
}

/** A rotation, start to end: who is away keeps its old key, its old roster and its old report. */
function rotate(model: Model, away: readonly string[]): void {
  model.keyId += 1;
  for (const [name, node] of model.nodes) {
    if (away.includes(name)) continue;
    node.keyId = model.keyId;
    apply(model, node);
    node.report = reportOf(node.entry, node.through, [node.keyId]);
  }
}

function proofFor(model: Model, name: string): ReuseEvidence {
  const others = [...model.nodes.values()].filter((node) => node.entry.name !== name);
  return evidence(others.map(({ entry, report }) => ({ entry, report })), [model.keyId]);
}

function assertNoCollision(model: Model, entry: RosterEntry): void {
  for (const other of model.nodes.values()) {
    if (other.entry.name === entry.name) continue;
    assert.notEqual(other.entry.index, entry.index, "two live entries share an index");
    const holds = other.kernel.has(spiText(model.keyId, entry));
    assert.ok(!holds, `${other.entry.name} still holds an SA of that SPI`);
  }
}

function spiText(keyId: number, entry: RosterEntry): string {
  return `${keyId} ${entry.index} ${entry.incarnationNumber}`;
}
