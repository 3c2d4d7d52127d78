/** Rotations to keys that the controller makes: when one is awaited, when its key is asked for, and when it begins. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey, testRotation, testSnapshot } from "../../../test/support/fleet-snapshot.js";
import type { KeyId, KeyIdentity } from "../key-id.js";
import type { RosterRevision } from "../node.js";
import type { Report } from "../report.js";
import {
  newController,
  type ControllerEffect,
  type ControllerObservation,
  type ControllerOptions,
  type ControllerState,
} from "./controller-state.js";
import { dueAfterMs } from "./next-key.js";
import type { AwaitedRotation, FleetRecord, OperatorRequest } from "./record.js";
import { stepController } from "./step.js";

const [seven, eight, nine] = [testKey(7), testKey(8), testKey(9)];
const everyMs = 1_000_000;
const startedMs = 50_000_000;

const options: ControllerOptions = {
  name: "one",
  ring: 255,
  start: "manual",
  slow: "wait",
  silent: "exclude",
  silentMs: 30_000,
  excludeShareMax: 0.1,
  stageDeadlineMs: 600_000,
  retireDeadlineMs: 600_000,
  emergencyDeadlineMs: 30_000,
  drainMs: 3_000,
  jitterMaxMs: 0,
  jitterMinNodes: 50,
  keyDistributionMs: 60_000,
  generate: { everyMs },
};

const awaited: AwaitedRotation = {
  by: "olive",
  at: "",
  reason: "quarterly",
  scheduled: false,
  compromised: null,
  keyId: null,
  problem: null,
};

function request(kind: "rotate" | "abort", compromised: KeyIdentity | null = null): OperatorRequest {
  return { schemaVersion: 1, id: "r", kind, reason: "quarterly", by: "olive", at: "", compromised, abort: null };
}

interface Scene {
  readonly fleet?: Partial<FleetRecord>;
  readonly observation?: Partial<ControllerObservation>;
  readonly report?: (index: number) => Partial<Report>;
  readonly options?: Partial<ControllerOptions>;
  readonly state?: Partial<ControllerState>;
  readonly nowMs?: number;
}

/** Three nodes that run key 7 since rotation 3. */
function stepIn(scene: Scene): ReturnType<typeof stepController> {
  const { report } = scene;
  const fleet = { through: [{ key: seven, revision: 9 as RosterRevision }], ...scene.fleet };
  const snapshot = testSnapshot({ nodes: 3, current: seven, ...(report === undefined ? {} : { report }), fleet });
  const observation: ControllerObservation = {
    leading: true,
    watchingSinceMs: startedMs,
    roster: snapshot.roster,
    reports: snapshot.reports,
    leases: snapshot.leases ?? new Map(),
    fleet: { version: 5, record: snapshot.fleet },
    request: null,
    audit: { ...testRotation(3, testKey(6), seven), outcome: "done", endedAt: "2026-01-01T00:00:00.000Z" },
    keyWrite: null,
    inFlight: new Set(),
    wallAt: "2026-01-01T00:00:00.000Z",
    ...scene.observation,
  };
  return stepController({ ...newController, ...scene.state }, observation, scene.nowMs ?? startedMs, { ...options, ...scene.options });
}

function writtenBy(effects: readonly ControllerEffect[]): FleetRecord | null {
  const effect = effects.find(({ kind }) => kind === "write-fleet");
  return effect?.kind === "write-fleet" ? effect.record : null;
}

function asksForKey(scene: Scene): boolean {
  return stepIn(scene).effects.some(({ kind }) => kind === "write-next-key");
}

const offers = (key: KeyIdentity, ...indexes: readonly number[]) => (index: number): Partial<Report> =>
  indexes.includes(index) ? { available: [seven, key] } : {};

test("next key: an operator's request is awaited first, and accepted; nothing is written before the record says so", () => {
  const { effects } = stepIn({ observation: { request: request("rotate") } });
  const record = writtenBy(effects);
  assert.deepEqual(record?.awaited, awaited);
  assert.deepEqual([record?.phase, record?.answer?.accepted], ["steady", true]);
  assert.deepEqual(effects.map(({ kind }) => kind), ["write-fleet"]);
});

test("next key: without a place to write it to, a request is refused as ever", () => {
  const { effects } = stepIn({ observation: { request: request("rotate") }, options: { generate: undefined } });
  assert.match(writtenBy(effects)?.answer?.why ?? "", /no node offers a newer key/);
});

test("next key: what a rotation could not keep is refused before a key is made", () => {
  const { effects } = stepIn({ observation: { request: request("rotate") }, options: { stageDeadlineMs: 1_000 } });
  const record = writtenBy(effects);
  assert.deepEqual([record?.awaited, record?.answer?.code], [undefined, "PREFLIGHT_REFUSED"]);
});

test("next key: it is asked for with what it must follow", () => {
  const { effects } = stepIn({ fleet: { awaited, refused: [eight] } });
  assert.deepEqual(effects, [{ kind: "write-next-key", rotation: 3, current: 7, refused: [8] }]);
});

const written = { kind: "written", rotation: 3, keyId: 8 as KeyId } as const;
const problem = { code: "SECRET_FORBIDDEN", why: "no" };
const elsewhere = testKey(7, "1");

const silences: readonly (readonly [string, Scene])[] = [
  ["nothing is awaited", {}],
  ["it is written", { fleet: { awaited: { ...awaited, keyId: 8 as KeyId } } }],
  ["this process has written it, and the record does not say so yet", { fleet: { awaited }, observation: { keyWrite: written } }],
  ["it is being written", { fleet: { awaited }, observation: { inFlight: new Set(["write-next-key"] as const) } }],
  ["a node offers a newer one", { fleet: { awaited }, report: offers(eight, 2) }],
  ["key files disagree", { fleet: { awaited }, report: offers(elsewhere, 2) }],
  ["a rotation runs", { fleet: { awaited, phase: "staging", target: eight }, report: offers(eight, 1, 2, 3) }],
  ["an abort runs", { fleet: { awaited, phase: "aborting", target: eight } }],
  ["this controller makes none", { fleet: { awaited }, options: { generate: undefined } }],
  ["it does not lead", { fleet: { awaited }, observation: { leading: false } }],
  ["it is only due, and a node is excluded", { fleet: { awaited: { ...awaited, scheduled: true }, excluded: [excludedNode(2)] }, report: lacksKey }],
];

/** The second node has yet to stage the key in use. */
function lacksKey(index: number): Partial<Report> {
  return index === 2 ? { holds: [] } : {};
}

function excludedNode(index: number): FleetRecord["excluded"][number] {
  const [entry] = [...testSnapshot({ nodes: 3, current: seven }).roster.entries.values()].slice(index - 1);
  assert.ok(entry !== undefined);
  return { name: entry.name, incarnationId: entry.incarnationId };
}

for (const [name, scene] of silences) {
  test(`next key: none is asked for while ${name}`, () => {
    assert.ok(asksForKey({ fleet: { awaited } }), "otherwise one is");
    assert.equal(asksForKey(scene), false);
  });
}

test("next key: one that an operator asked for is made beside an excluded node", () => {
  const excluded = [excludedNode(2)];
  assert.ok(asksForKey({ fleet: { awaited, excluded }, report: lacksKey }));
});

test("next key: what became of the writing stands in the record, and is written once", () => {
  const failed = { kind: "failed", rotation: 3, problem } as const;
  const told = writtenBy(stepIn({ fleet: { awaited }, observation: { keyWrite: failed } }).effects);
  assert.deepEqual(told?.awaited, { ...awaited, problem });
  const again = stepIn({ fleet: { awaited: { ...awaited, problem } }, observation: { keyWrite: failed } });
  assert.equal(writtenBy(again.effects), null, "the same again is no news");
  assert.deepEqual(again.state.conditions.map(({ code }) => code), ["SECRET_FORBIDDEN"]);
  assert.ok(again.effects.some(({ kind }) => kind === "write-next-key"), "and it is tried again");
  const done = writtenBy(stepIn({ fleet: { awaited: { ...awaited, problem } }, observation: { keyWrite: written } }).effects);
  assert.deepEqual(done?.awaited, { ...awaited, keyId: 8 });
  const older = { ...written, rotation: 2 };
  assert.equal(writtenBy(stepIn({ fleet: { awaited }, observation: { keyWrite: older } }).effects), null, "of another rotation");
});

test("next key: the rotation begins when a node offers the key, also where rotations are started by hand", () => {
  const waiting = { ...awaited, keyId: 8 as KeyId };
  assert.equal(writtenBy(stepIn({ fleet: { awaited: waiting } }).effects), null);
  const begun = writtenBy(stepIn({ fleet: { awaited: waiting }, report: offers(eight, 3) }).effects);
  assert.deepEqual([begun?.phase, begun?.rotation, begun?.target], ["staging", 4, eight]);
  assert.deepEqual(begun?.awaited, waiting, "who asked for it stays until it ends");
});

test("next key: the rotation's record says who asked and why; when it has ended nothing is awaited", () => {
  const running = { awaited: { ...awaited, keyId: 8 as KeyId }, phase: "staging", target: eight, rotation: 4 } as const;
  const { effects } = stepIn({ fleet: running, report: offers(eight, 1, 2, 3) });
  const audit = effects.find((effect) => effect.kind === "put-rotation")?.rotation;
  assert.deepEqual([audit?.by, audit?.reason], ["olive", "quarterly"]);
  const onEight = { available: [eight], holds: [eight], sendingOldest: eight.keyId, sendingNewest: eight.keyId };
  const ended = writtenBy(stepIn({ fleet: { ...running, phase: "draining" }, report: () => onEight }).effects);
  assert.deepEqual([ended?.phase, ended?.current, ended?.awaited], ["steady", eight, undefined]);
  const back = writtenBy(stepIn({ fleet: { ...running, phase: "aborting", purge: true } }).effects);
  assert.deepEqual([back?.phase, back?.refused, back?.awaited], ["steady", [eight], undefined]);
});

test("next key: a key that leaked starts its deadline when everybody has the new one, or has had the time for it", () => {
  const leaked = { ...awaited, compromised: seven, keyId: 8 as KeyId };
  const keyWritten = { keyId: 8 as KeyId, sinceMs: startedMs };
  const at = (nowMs: number, ...indexes: readonly number[]): string | undefined => {
    const scene = { fleet: { awaited: leaked }, report: offers(eight, ...indexes), state: { keyWritten } };
    const step = stepIn({ ...scene, nowMs: startedMs + nowMs, observation: { watchingSinceMs: startedMs + nowMs } });
    const record = writtenBy(step.effects);
    return record?.emergency === true ? record.phase : undefined;
  };
  assert.equal(at(0, 1, 2), undefined);
  assert.equal(at(0, 1, 2, 3), "staging");
  assert.equal(at(options.keyDistributionMs, 1), "staging");
});

test("next key: a second request is told of the first; an urgent one, or one for what was only due, takes its place", () => {
  const ask = (before: AwaitedRotation, compromised: KeyIdentity | null = null): FleetRecord | null =>
    writtenBy(stepIn({ fleet: { awaited: before }, observation: { request: request("rotate", compromised) } }).effects);
  assert.deepEqual(ask(awaited)?.answer?.accepted, false);
  const urgent = ask({ ...awaited, keyId: 8 as KeyId }, seven);
  assert.deepEqual(urgent?.awaited, { ...awaited, keyId: 8, compromised: seven });
  const due = { ...awaited, by: "controller one", reason: "due", scheduled: true };
  assert.deepEqual(ask(due)?.awaited, awaited);
});

test("next key: what only waits for its key can be called off, unless nodes would take the key up by themselves", () => {
  const abort = (keyId: number | null, start: "auto" | "manual"): FleetRecord | null => {
    const fleet = { awaited: { ...awaited, keyId: keyId as KeyId | null } };
    return writtenBy(stepIn({ fleet, observation: { request: request("abort") }, options: { start } }).effects);
  };
  for (const record of [abort(null, "auto"), abort(null, "manual"), abort(8, "manual")]) {
    assert.deepEqual([record?.answer?.accepted, record?.awaited], [true, undefined]);
  }
  const late = abort(8, "auto");
  assert.deepEqual([late?.answer?.accepted, late?.awaited?.keyId], [false, 8]);
});

test("next key: one that no node offers is said to be missing", () => {
  const keyWritten = { keyId: 8 as KeyId, sinceMs: startedMs };
  const codesAt = (nowMs: number): readonly string[] => {
    const fleet = { awaited: { ...awaited, keyId: 8 as KeyId } };
    const scene = { fleet, state: { keyWritten }, observation: { watchingSinceMs: startedMs + nowMs } };
    return stepIn({ ...scene, nowMs: startedMs + nowMs }).state.conditions.map(({ code }) => code);
  };
  assert.deepEqual(codesAt(2 * options.keyDistributionMs - 1), []);
  assert.deepEqual(codesAt(2 * options.keyDistributionMs), ["NEXT_KEY_NOT_OFFERED"]);
  const nobody = stepIn({ fleet: { awaited }, options: { generate: undefined } });
  assert.deepEqual(nobody.state.conditions.map(({ code }) => code), ["NEXT_KEY_NOT_WRITTEN"]);
});

/** A process that sees the end of rotation 3 at `endedAt`, so long after. */
function isDue(agoMs: number, scene: Scene = {}): boolean {
  const nowMs = startedMs + agoMs;
  const state = { ...scene.state, ended: { rotation: 3, atMs: startedMs } };
  const observation = { watchingSinceMs: nowMs, ...scene.observation };
  const record = writtenBy(stepIn({ ...scene, state, observation, nowMs }).effects);
  return record?.awaited?.scheduled === true;
}

test("next key: due before a key is so old, by a share of chance that every controller knows", () => {
  const afterMs = dueAfterMs(everyMs, seven, 3);
  assert.ok(afterMs > 0.9 * everyMs && afterMs <= everyMs);
  assert.notEqual(afterMs, dueAfterMs(everyMs, testKey(7, "1"), 3), "another fleet, another time");
  assert.equal(isDue(afterMs - 1), false);
  assert.equal(isDue(afterMs), true);
});

const undue: readonly (readonly [string, Scene])[] = [
  ["no schedule is set", { options: { generate: { everyMs: null } } }],
  ["a rotation runs", { fleet: { phase: "staging", target: eight }, report: offers(eight, 1, 2, 3) }],
  ["an abort runs", { fleet: { phase: "aborting", target: eight } }],
  ["a node is excluded", { fleet: { excluded: [excludedNode(2)] }, report: lacksKey }],
  ["nodes are silent, and too many to exclude", { state: { beats: heardOf() }, observation: { watchingSinceMs: startedMs } }],
  ["an operator asks for something", { observation: { request: request("abort") } }],
  ["one is awaited already", { fleet: { awaited } }],
  ["key files disagree", { report: offers(elsewhere, 2) }],
  ["the fleet has no key", { fleet: { current: null } }],
  ["the last rotation is not known yet", { observation: { audit: undefined } }],
];

/** Everybody, for the last time when rotation 3 ended. */
function heardOf(): ControllerState["beats"] {
  const entries = [...testSnapshot({ nodes: 3, current: seven }).roster.entries.values()];
  return new Map(entries.map(({ name, incarnationId }) => [name, { incarnationId, beat: 1, sinceMs: startedMs }] as const));
}

for (const [name, scene] of undue) {
  test(`next key: none is due while ${name}`, () => {
    assert.equal(isDue(2 * everyMs), true, "otherwise one is");
    assert.equal(isDue(2 * everyMs, scene), false);
  });
}

test("next key: a level on its way comes first", () => {
  const levels = { level: "prefer", wanted: "require", applied: false, asked: { by: "", at: "", reason: "" } } as const;
  assert.equal(isDue(2 * everyMs, { fleet: { levels } }), false);
});

test("next key: a rotation that would not fit is not awaited, and said", () => {
  const scene = { options: { stageDeadlineMs: 1_000 } };
  assert.equal(isDue(2 * everyMs, scene), false);
  const state = { ended: { rotation: 3, atMs: startedMs } };
  const nowMs = startedMs + 2 * everyMs;
  const { conditions } = stepIn({ ...scene, state, nowMs, observation: { watchingSinceMs: nowMs } }).state;
  assert.deepEqual(conditions.map(({ code }) => code), ["PREFLIGHT_REFUSED"]);
});

const ends: readonly (readonly [string, Partial<ControllerObservation>, number])[] = [
  ["just now", {}, 0],
  ["an hour ago", { wallAt: "2026-01-01T00:00:10.000Z" }, 10_000],
  ["longer ago than counts", { wallAt: "2031-01-01T00:00:00.000Z" }, everyMs],
  ["in the future, by a clock that was wrong", { wallAt: "2025-01-01T00:00:00.000Z" }, 0],
  ["at no time", { wallAt: "" }, 0],
  ["in another rotation than is on record", { audit: testRotation(2, testKey(5), testKey(6)), wallAt: "2031-01-01T00:00:00.000Z" }, 0],
];

for (const [when, observation, agoMs] of ends) {
  test(`next key: a controller that takes over sees the last rotation end ${when}`, () => {
    assert.deepEqual(stepIn({ observation }).state.ended, { rotation: 3, atMs: startedMs - agoMs });
  });
}

test("next key: a wall clock that jumps makes nothing due", () => {
  const state = { ended: { rotation: 3, atMs: startedMs } };
  assert.deepEqual(stepIn({ state, observation: { wallAt: "2031-01-01T00:00:00.000Z" } }).state.ended, state.ended);
});

test("next key: the newest key that nodes offer is taken, whoever made it", () => {
  const begun = writtenBy(stepIn({ fleet: { awaited: { ...awaited, keyId: 8 as KeyId } }, report: offers(nine, 1) }).effects);
  assert.deepEqual(begun?.target, nine);
});
