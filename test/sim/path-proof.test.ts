/**
 * A peer goes over to a new key only when a probe with that key was answered: what something on the way does to one SPI
 * costs no packet, and is said with its reason.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { whyBehind } from "../../src/core/fleet/stragglers.js";
import { sameKey, type KeyId } from "../../src/core/key-id.js";
import { splitSpi } from "../../src/core/spi.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { mutantNamed } from "../../src/sim/mutants/named-mutants.js";
import { testKey } from "../support/fleet-snapshot.js";
import {
  a,
  ask,
  b,
  c,
  logged,
  offer,
  recordOf,
  reusedOutbound,
  runsOnly,
  settledFleet,
  slotsOf,
  stateOf,
  viewOf,
  waitUntil,
  type SceneOptions,
} from "../support/sim-scenes.js";
import { askLevel } from "./scripted.js";

const [one, two] = [testKey(1), testKey(2)];
const proving = { agent: { provesPaths: true } } as const;

function fleetOf(options: SceneOptions): SimFleet {
  return settledFleet({ packetIntervalMs: 1, ...options, agent: { ...proving.agent, ...options.agent } });
}

/** The key that packets from a to a peer go with, between whichever networks. */
function sentTo(fleet: SimFleet, peer: typeof b): number | null {
  const policies = [...fleet.node(a).kernel.policies()].filter(({ direction, peer: to }) => direction === "out" && to === peer);
  const keyIds = new Set(policies.map(({ action }) => (action.kind === "protect" ? splitSpi(action.spi).keyId : null)));
  const [keyId = null] = keyIds;
  return keyIds.size === 1 ? keyId : null;
}

const shapes = [
  { coordination: "barrier" },
  { coordination: "pairwise" },
  { coordination: "barrier", networks: 2 },
  { coordination: "pairwise", networks: 2 },
] as const satisfies readonly SceneOptions[];

for (const shape of shapes) {
  const words = [shape.coordination, ..."networks" in shape ? ["tunnels"] : []].join(", ");

  test(`path proof: who does not get through with the new key stays on the old one, and says why (${words})`, () => {
    const fleet = fleetOf(shape);
    fleet.garble(a, b, two.keyId);
    offer(fleet, [1, 2]);
    waitUntil(fleet, "a sends to c with key 2", () => sentTo(fleet, c) === 2);
    fleet.run(10_000);
    assert.equal(sentTo(fleet, b), 1);
    assert.deepEqual(fleet.registry.report(a)?.unproven, { count: 1, peer: b, why: "simulated: no answer" });
    assert.equal(fleet.registry.report(b)?.unproven, undefined);
    assert.equal(logged(fleet, "probe failed, the peer stays on the old key").length, 1, "told once");
    assert.deepEqual(slotsOf(fleet, b, one).length, 4, "b keeps what a sends with");
    fleet.node(b).kernel.clearPaths();
    waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, two));
    assert.equal(logged(fleet, "path proven").length, 1);
    assert.deepEqual(fleet.losses(), []);
    assert.deepEqual(reusedOutbound(fleet), []);
  });

  test(`path proof: switch-without-proof loses what goes with the new key (${words})`, () => {
    const fleet = fleetOf({ ...shape, ...mutantNamed("switch-without-proof").changes });
    fleet.garble(a, b, two.keyId);
    offer(fleet, [1, 2]);
    waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, two));
    assert.ok(fleet.losses().length > 0);
  });

  test(`path proof: a rotation whose paths are in order ends in about the same time (${words})`, () => {
    const tookMs = [false, true].map((provesPaths) => {
      const fleet = fleetOf({ ...shape, agent: { provesPaths } });
      const beganMs = fleet.time.nowMs;
      offer(fleet, [1, 2]);
      waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, two));
      return fleet.time.nowMs - beganMs;
    });
    assert.ok((tookMs[1] ?? 0) < (tookMs[0] ?? 0) + 200, tookMs.join(" and "));
  });

  test(`path proof: a compromised key is left without a proof (${words})`, () => {
    const fleet = fleetOf(shape);
    fleet.garble(a, b, two.keyId);
    offer(fleet, [1, 2]);
    waitUntil(fleet, "a waits for its proof", () => stateOf(fleet, a).tally.unanswered === 1);
    ask(fleet, "rotate", { compromised: one });
    waitUntil(fleet, "everybody runs key 2 alone", () => runsOnly(fleet, two));
  });

  test(`path proof: a first key needs none, as there is nothing to stay on (${words})`, () => {
    const fleet = fleetOf({ ...shape, nodes: [a, b] });
    fleet.reboot(b);
    fleet.garble(a, b, one.keyId);
    waitUntil(fleet, "b is back", () => fleet.registry.entry(b)?.incarnationNumber === 1 && runsOnly(fleet, one));
    assert.equal(sentTo(fleet, b), 1);
  });
}

test("path proof: the straggler is named with the peer that it does not reach", () => {
  const fleet = fleetOf({ coordination: "barrier" });
  fleet.garble(a, b, two.keyId);
  offer(fleet, [1, 2]);
  fleet.run(3_000);
  assert.equal(recordOf(fleet).phase, "staged");
  const reports = new Map(fleet.live().flatMap((name) => {
    const report = fleet.registry.report(name);
    return report === undefined ? [] : [[name, report] as const];
  }));
  const reasons = fleet.live().map((name) => {
    const entry = fleet.registry.entry(name);
    return entry === undefined ? null : whyBehind(recordOf(fleet), { reports }, entry);
  });
  assert.deepEqual(reasons, ["keeps b on the old key: simulated: no answer", null, null]);
});

/** A has asked its kernel for a probe with key 2 when the rotation is aborted, and its kernel has no time for it. */
function abortWhileProbing(options: Partial<SceneOptions>): SimFleet {
  const fleet = fleetOf({ coordination: "barrier", nodes: [a, b], operationMs: () => 5, ...options });
  offer(fleet, [1, 2]);
  waitUntil(fleet, "a asks for a probe", () => viewOf(fleet, a).world.inFlight.has("probe"));
  fleet.node(a).kernel.hold();
  fleet.run(100);
  ask(fleet, "abort", { abort: two });
  fleet.run(1_000);
  fleet.node(a).kernel.release();
  waitUntil(fleet, "everybody runs key 1 alone", () => runsOnly(fleet, one));
  fleet.run(1_000);
  return fleet;
}

test("path proof: a key is refused only when no probe with it is on its way", () => {
  assert.deepEqual(abortWhileProbing({}).losses(), []);
});

test("path proof: refuse-while-probing loses the probe, whose SA is gone when it comes", () => {
  const losses = abortWhileProbing(mutantNamed("refuse-while-probing").changes).losses();
  assert.deepEqual(losses.map(({ from, reason }) => ({ from, reason })), [{ from: a, reason: "XfrmInNoStates" }]);
});

test("path proof: in a large fleet some peers are probed, and others for another key", () => {
  const nodes = Array.from({ length: 70 }, (_, i) => `n${i}`);
  const fleet = fleetOf({ coordination: "barrier", nodes, packetIntervalMs: 1_000 });
  const probed = (keyId: number): readonly string[] => {
    offer(fleet, [keyId - 1, keyId]);
    waitUntil(fleet, `everybody runs key ${keyId} alone`, () => runsOnly(fleet, testKey(keyId)), 60_000);
    const { proofs } = viewOf(fleet, nodes[0] as typeof a).world;
    return [...proofs].filter(([, known]) => known.some(({ probe }) => sameKey(probe.key, testKey(keyId)))).map(([name]) => name);
  };
  const [first, second] = [probed(2), probed(3)];
  for (const { length } of [first, second]) assert.ok(length >= 16 && length < 64, `${length}`);
  assert.ok(first.some((name) => !second.includes(name)));
});

test("path proof: in a large fleet a peer whose probe failed stays plain with the next key too, drawn or not", () => {
  const nodes = Array.from({ length: 70 }, (_, i) => `n${i}`);
  const agent = { provesPaths: true, policyLevel: "accept" } as const;
  const fleet = settledFleet({ coordination: "barrier", nodes, packetIntervalMs: 100, isOpen: true, agent });
  const [from, ...others] = nodes as (typeof a)[];
  for (const to of others) fleet.garble(from!, to, testKey(1).keyId);
  askLevel(fleet, "prefer");
  const plainPeers = (): readonly string[] =>
    [...fleet.node(from!).kernel.policies()].filter(({ direction, action }) => direction === "out" && action.kind === "pass").map(({ peer }) => peer).sort();
  fleet.run(20_000);
  const before = plainPeers() as readonly (typeof a)[];
  for (const to of before) for (const keyId of [2, 3, 4]) fleet.garble(from!, to, keyId as KeyId);
  assert.ok(before.length >= 16 && before.length < 69, `${before.length}`);
  for (const keyId of [2, 3, 4]) {
    offer(fleet, [keyId - 1, keyId]);
    waitUntil(fleet, `everybody runs key ${keyId} alone`, () => runsOnly(fleet, testKey(keyId)), 60_000);
    fleet.run(5_000);
    assert.deepEqual(before.filter((name) => !plainPeers().includes(name)), []);
  }
});
