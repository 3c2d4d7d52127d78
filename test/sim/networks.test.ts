/** Tunnel mode in a live fleet: the networks behind a node change, or move to another node, while its life goes on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, b, c, runsOnly, settledFleet, waitUntil } from "../support/sim-scenes.js";

const cidrsOf = (fleet: SimFleet, name: NodeName): readonly string[] => fleet.node(name).addresses.cidrs ?? [];

/** The address to which a sends what is for this network; null while nothing goes there. */
function leadsTo(fleet: SimFleet, network: string): string | null {
  const found = [...fleet.node(a).kernel.policies()].find(({ direction, remote }) => direction === "out" && remote.address === network);
  return found?.action.kind === "protect" ? (found.action.outer ?? null) : null;
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`networks: a node that gets one more keeps its life, and nothing is lost (${coordination})`, () => {
    const fleet = settledFleet({ coordination, networks: 1, packetIntervalMs: 1 });
    const before = fleet.registry.entry(b);
    fleet.renumber(b, [...cidrsOf(fleet, b), "10.9.0.0/24"]);
    waitUntil(fleet, "a sends to the new network", () => leadsTo(fleet, "10.9.0.0/24") === fleet.node(b).addresses.ipv4);
    fleet.run(2_000);
    const after = fleet.registry.entry(b);
    assert.deepEqual(after?.addresses.cidrs, cidrsOf(fleet, b));
    assert.equal(after?.incarnationId, before?.incarnationId);
    assert.deepEqual(fleet.losses(), []);
  });

  test(`networks: one that moves to another node is sent to there (${coordination})`, () => {
    const fleet = settledFleet({ coordination, networks: 2, packetIntervalMs: 1 });
    const [kept = "", moved = ""] = cidrsOf(fleet, b);
    assert.equal(leadsTo(fleet, moved), fleet.node(b).addresses.ipv4);
    fleet.renumber(b, [kept]);
    fleet.renumber(c, [...cidrsOf(fleet, c), moved]);
    waitUntil(fleet, "a sends to c what is for it", () => leadsTo(fleet, moved) === fleet.node(c).addresses.ipv4);
    waitUntil(fleet, "all is at rest", () => runsOnly(fleet, testKey(1)));
  });

  test(`networks: a node that comes with its first is in another mode, and begins a new life (${coordination})`, () => {
    const fleet = settledFleet({ coordination });
    const before = fleet.registry.entry(a);
    for (const [i, name] of fleet.live().entries()) fleet.renumber(name, [`10.1.${i}.0/24`]);
    waitUntil(fleet, "a sends to b's network", () => leadsTo(fleet, "10.1.1.0/24") === fleet.node(b).addresses.ipv4);
    assert.notEqual(fleet.registry.entry(a)?.incarnationId, before?.incarnationId);
  });
}
