/** A roster entry that is there and cannot be read: nobody may go on as if it were not there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName, RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, b, c, d, logged, offer, recordOf, runsOnly, settledFleet, waitUntil } from "../support/sim-scenes.js";

/** Sees the entry of `hidden`, and not what is in it. */
function withUnreadable(registry: RegistryPort, hidden: NodeName): RegistryPort {
  const hide = (event: WatchEvent<RosterEntry>): WatchEvent<RosterEntry> | null => {
    if (event.kind === "put" && event.item.name === hidden) return null;
    if (event.kind !== "listing") return event;
    const items = event.items.filter(({ name }) => name !== hidden);
    return items.length === event.items.length ? event : { ...event, items, unreadable: [hidden] };
  };
  return {
    ...registry,
    watchRoster: (listener) =>
      registry.watchRoster((event) => {
        const seen = hide(event);
        if (seen !== null) listener(seen);
      }),
  };
}

test("unreadable: no barrier is passed while the controller cannot read an entry, and it says so", () => {
  let isBlind = false;
  const fleet = settledFleet({
    coordination: "barrier",
    wrapControllerPorts: (_name, ports) => (isBlind ? { ...ports, registry: withUnreadable(ports.registry, c) } : ports),
  });
  fleet.killController(0);
  isBlind = true;
  const blind = fleet.addController();
  offer(fleet, [1, 2], [a, b]);
  fleet.run(10_000);
  assert.deepEqual([recordOf(fleet).phase, recordOf(fleet).target], ["steady", null]);
  assert.ok(logged(fleet, "condition").some(({ fields }) => fields["code"] === "ROSTER_UNREADABLE"));
  assert.deepEqual(fleet.losses(), []);
  fleet.killController(blind);
  isBlind = false;
  fleet.addController();
  offer(fleet, [1, 2]);
  waitUntil(fleet, "the fleet runs key 2", () => runsOnly(fleet, testKey(2)));
  assert.deepEqual(fleet.losses(), []);
});

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`unreadable: an agent that cannot read an entry does not say that it can receive from it (${coordination})`, () => {
    const fleet = settledFleet({
      coordination,
      nodes: [a, b],
      wrapAgentPorts: (name, ports) => (name === a ? { ...ports, registry: withUnreadable(ports.registry, d) } : ports),
    });
    fleet.killAgent(a);
    fleet.addNode(d, [testKey(1)]);
    waitUntil(fleet, "d is admitted", () => fleet.registry.entry(d) !== undefined);
    fleet.startAgent(a);
    fleet.run(5_000);
    const through = fleet.registry.report(a)?.through ?? 0;
    assert.ok(through < (fleet.registry.entry(d)?.revision ?? 0), "a's word ends before d");
    assert.deepEqual(fleet.losses(), [], "and d sends it nothing that would be lost");
  });
}
