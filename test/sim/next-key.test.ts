/**
 * Controllers that make the keys, in virtual time: asked and by schedule, with controllers that all believe to lead, die
 * and come back at any moment, and operators who abort. No id is ever given to two keys, no rotation has two keys, nothing
 * is lost, and every guard taken away shows.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makePrng, type Prng } from "../../src/core/prng.js";
import { SimFleet } from "../../src/sim/fleet.js";
import { alwaysLeading } from "../../src/sim/mutants/coordination.js";
import type { SimOptions } from "../../src/sim/options.js";
import { testKey } from "../support/fleet-snapshot.js";
import { KeySecret, type MissingGuard } from "./key-secret.js";
import { isPhase, waitFor } from "./scripted.js";

const nodes = ["a", "b", "c"];
const names = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `controller-${index}`);

interface World {
  readonly fleet: SimFleet;
  readonly secret: KeySecret;
}

interface Rules {
  readonly everyMs?: number;
  readonly start?: "auto" | "manual";
  readonly controllers?: number;
  readonly allLead?: boolean;
  readonly without?: MissingGuard | null;
}

function startWorld(seed: number, { everyMs, start = "manual", controllers = 1, allLead = false, without = null }: Rules = {}): World {
  const prng = makePrng(seed ^ 0x5ec2e7);
  const secret = new KeySecret(testKey(1), prng, without);
  const options: SimOptions = {
    seed,
    coordination: "barrier",
    registryDelayMs: () => 1 + prng.below(20),
    operationMs: () => 0.1,
    packetIntervalMs: 5,
    agent: { drainMs: 200 },
    controller: { start, generate: { everyMs: everyMs ?? null }, keyDistributionMs: 2_000, drainMs: 200 },
    wrapControllerPorts: (name, ports) => {
      const index = Number(name.split("-").at(-1));
      const nextKey = secret.port(() => fleet.controllers[index]?.alive ?? false);
      const clock = { ...ports.clock, wallAt: () => new Date(fleet.time.nowMs).toISOString() };
      return { ...ports, nextKey, clock, registry: allLead ? alwaysLeading(ports.registry) : ports.registry };
    },
  };
  const fleet: SimFleet = new SimFleet(options);
  secret.mountedBy(fleet);
  for (const _ of names(controllers)) fleet.addController();
  for (const node of nodes) fleet.addNode(node, [testKey(1)]);
  waitFor(fleet, "the first key is offered", () => nodes.every((node) => fleet.registry.report(node as never) !== undefined));
  ask(fleet, "rotate");
  waitFor(fleet, "the first key is in use", () => isSteadyOn(fleet, 1));
  fleet.run(500);
  return { fleet, secret };
}

let asked = 0;

function ask(fleet: SimFleet, kind: "rotate" | "abort"): void {
  asked += 1;
  const texts = { id: `${kind}-${asked}`, reason: "script", by: "script", at: "" };
  fleet.registry.setRequest({ schemaVersion: 1, ...texts, kind, compromised: null, abort: null });
}

function isSteadyOn(fleet: SimFleet, keyId: number): boolean {
  const { phase, current, awaited } = fleet.registry.fleet ?? {};
  return phase === "steady" && current?.keyId === keyId && awaited === undefined;
}

function idsOf({ secret }: World): readonly number[] {
  return secret.written.map(({ keyId }) => keyId);
}

test("next key, simulated: asked for, written, rotated to, without a loss; two requests are two keys", () => {
  const world = startWorld(1);
  for (const keyId of [2, 3]) {
    ask(world.fleet, "rotate");
    waitFor(world.fleet, `rest on key ${keyId}`, () => isSteadyOn(world.fleet, keyId));
  }
  assert.deepEqual(idsOf(world), [1, 2, 3]);
  assert.deepEqual(world.fleet.losses(), []);
});

test("next key, simulated: by schedule, each key in use for nine tenths of the time at least", () => {
  const everyMs = 60_000;
  const world = startWorld(2, { everyMs, start: "auto" });
  const begun: number[] = [];
  let rotation = world.fleet.registry.fleet?.rotation ?? 0;
  for (let key = 2; key <= 4; key += 1) {
    waitFor(world.fleet, `rotation ${rotation + 1}`, () => (world.fleet.registry.fleet?.rotation ?? 0) > rotation, 2 * everyMs);
    begun.push(world.fleet.time.nowMs);
    rotation += 1;
    waitFor(world.fleet, `rest on key ${key}`, () => isSteadyOn(world.fleet, key));
  }
  for (const [index, atMs] of begun.entries()) {
    const beforeMs = begun[index - 1];
    if (beforeMs !== undefined) assert.ok(atMs - beforeMs > 0.9 * everyMs && atMs - beforeMs < everyMs + 15_000, `${atMs - beforeMs}`);
  }
  assert.deepEqual(idsOf(world), [1, 2, 3, 4]);
  assert.deepEqual(world.fleet.losses(), []);
});

test("next key, simulated: a schedule goes on where it was when controllers come and go", () => {
  const everyMs = 60_000;
  const world = startWorld(3, { everyMs, controllers: 1 });
  const { fleet } = world;
  for (let index = 0; index < 4; index += 1) {
    fleet.run(10_000);
    fleet.killController(index);
    fleet.addController();
  }
  assert.deepEqual(idsOf(world), [1], "40 s in, none is due");
  waitFor(fleet, "rest on key 2", () => isSteadyOn(fleet, 2), 40_000);
});

test("next key, simulated: what cannot be written is tried again until it can, and the fleet stays as it is", () => {
  const world = startWorld(4);
  const { fleet, secret } = world;
  secret.isAway = true;
  ask(fleet, "rotate");
  waitFor(fleet, "the problem is told", () => fleet.registry.fleet?.awaited?.problem?.code === "SECRET_FORBIDDEN");
  const before = fleet.registry.writes.fleet;
  fleet.run(120_000);
  assert.equal(fleet.registry.writes.fleet, before, "it is told once");
  assert.deepEqual([idsOf(world), isPhase(fleet, "steady")], [[1], true]);
  secret.isAway = false;
  waitFor(fleet, "rest on key 2", () => isSteadyOn(fleet, 2), 60_000);
});

/** Two or three controllers that may all lead, killed and started at any time, and an operator who rotates and aborts. */
function disturb({ fleet }: World, prng: Prng): void {
  for (let action = 0; action < 14; action += 1) {
    const running = fleet.controllers.flatMap(({ alive }, index) => (alive ? [index] : []));
    const chance = prng.below(10);
    if (chance < 5 && fleet.registry.fleet?.phase === "steady") ask(fleet, "rotate");
    else if (chance < 7 && fleet.registry.fleet?.phase !== "steady") ask(fleet, "abort");
    else if (chance < 9) fleet.killController(running[prng.below(running.length)] ?? 0);
    if (fleet.controllers.filter(({ alive }) => alive).length < 2) fleet.addController();
    fleet.run(prng.below(600));
  }
  fleet.addController();
}

/** @returns what is wrong, null for nothing */
function faultOf(seed: number, without: MissingGuard | null): string | null {
  const prng = makePrng(seed);
  const world = startWorld(seed, { controllers: 2, allLead: true, start: prng.below(2) === 0 ? "auto" : "manual", without });
  const { fleet, secret } = world;
  disturb(world, prng);
  const isCalm = (): boolean => {
    const { fleet: record, request } = fleet.registry;
    return record?.phase === "steady" && record.awaited === undefined && request === null;
  };
  const ended = fleet.runUntil(isCalm, 120_000);
  const ids = secret.written.map(({ keyId }) => keyId);
  if (new Set(ids).size < ids.length) return `an id was given out twice: ${ids.join()}`;
  if (!ended) return "it does not come to rest";
  const rotations = fleet.registry.fleet?.rotation ?? 0;
  if (ids.length - 1 > rotations) return `${ids.length - 1} keys for ${rotations} rotations`;
  return fleet.losses().length > 0 ? "packets were lost" : null;
}

const first = Number(process.env["SWARM_FROM"] ?? 1);
const last = Number(process.env["SWARM_TO"] ?? 60);

test("next key, simulated: whoever leads, dies or aborts, no id is given out twice and nothing is lost", () => {
  for (let seed = first; seed <= last; seed += 1) {
    assert.equal(faultOf(seed, null), null, `SWARM_FROM=${seed} SWARM_TO=${seed}`);
  }
});

for (const without of ["compare-and-set", "there already", "refused ids"] as const) {
  test(`next key, simulated: without ${without} it shows`, () => {
    const caught = Array.from({ length: last - first + 1 }, (_, index) => first + index).some((seed) => faultOf(seed, without) !== null);
    assert.ok(caught);
  });
}
