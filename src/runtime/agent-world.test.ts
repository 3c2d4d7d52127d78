import assert from "node:assert/strict";
import { test } from "node:test";
import { peer, self, viewsOf } from "../../test/support/peer-states.js";
import { testEntry, testKey } from "../../test/support/fleet-snapshot.js";
import type { IncarnationId, RosterEntry } from "../core/node.js";
import { PersistentMap } from "../core/persistent-map.js";
import { noDurableState } from "../core/rotation/durable.js";
import type { SaView } from "../core/sa.js";
import { AgentWorld } from "./agent-world.js";

const [one, two] = [testKey(1), testKey(2)];
const third = testEntry(3);
const start = { rosterComplete: true, selfIncarnationId: self.incarnationId };
const identity = { bootId: "boot", networkNamespace: "net", instance: "one" };

function worldOf(...items: readonly RosterEntry[]): AgentWorld {
  const world = new AgentWorld(self.name, noDurableState, PersistentMap.empty());
  world.seeRoster({ kind: "listing", revision: 9, items });
  world.observe("" as IncarnationId, 0);
  return world;
}

function dump(world: AgentWorld, sas: readonly SaView[]): ReturnType<AgentWorld["observe"]> {
  world.seeDump({ identity, sas, policies: [], counters: {} }, start, 0);
  return world.observe("" as IncarnationId, 0);
}

test("agent world: packets of a key are counted over the inbound SAs of live peers, at a dump", () => {
  const world = worldOf(self, peer);
  const sas = [
    ...viewsOf("in", one, peer, 7),
    ...viewsOf("out", one, peer, 90),
    ...viewsOf("in", two, peer, 500),
    ...viewsOf("in", one, third, 1_000),
  ];
  const { kernel } = dump(world, sas);
  assert.deepEqual([...kernel.packetsIn], [[one.keyId, 7], [two.keyId, 500]]);
});

test("agent world: a dump touches those alone whose SAs are others", () => {
  const world = worldOf(self, peer, third);
  const [mine, others] = [viewsOf("in", one, peer), viewsOf("in", one, third)];
  assert.deepEqual(dump(world, [...mine, ...others]).touched, new Set([peer.name, third.name]));
  assert.deepEqual(dump(world, [...mine, ...others]).touched, new Set());
  assert.deepEqual(dump(world, [...mine, ...viewsOf("in", one, third, 5)]).touched, new Set());
  assert.deepEqual(dump(world, mine).touched, new Set([third.name]));
});
