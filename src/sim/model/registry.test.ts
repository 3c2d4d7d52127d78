import assert from "node:assert/strict";
import { test } from "node:test";
import type { IncarnationId, NodeName, RosterEntry } from "../../core/node.js";
import type { WatchEvent } from "../../ports/registry.js";
import { VirtualTime } from "../engine/virtual-time.js";
import { ringMesh, type Mesh } from "./mesh.js";
import { SimRegistry, type Link } from "./registry.js";

const names = Array.from({ length: 6 }, (_, i) => `node-${i}` as NodeName);

interface Watched {
  readonly link: Link;
  readonly events: string[];
}

/** A registry, and somebody who watches its roster: a node, or null for a controller. */
function watching(mesh: Mesh | null, owner: NodeName | null): { registry: SimRegistry; time: VirtualTime } & Watched {
  const time = new VirtualTime();
  const registry = new SimRegistry(time, () => 1, mesh);
  const link: Link = { owner, isAlive: () => true, isPartitioned: false, held: new Set() };
  const events: string[] = [];
  registry.port(link).watchRoster((event) => events.push(tell(event)));
  time.runUntil(10);
  return { registry, time, link, events };
}

function tell(event: WatchEvent<RosterEntry>): string {
  switch (event.kind) {
    case "listing":
      return `listing of ${event.items.length} at ${event.revision}`;
    case "put":
      return `${event.item.name} at ${event.revision}`;
    case "removed":
      return `not ${event.name} at ${event.revision}`;
    case "disconnected":
      return "disconnected";
  }
}

function join(registry: SimRegistry, time: VirtualTime, joining: readonly NodeName[]): void {
  const link: Link = { owner: null, isAlive: () => true, isPartitioned: false, held: new Set() };
  for (const name of joining) {
    const addresses = { ipv4: `10.0.0.${names.indexOf(name)}`, ipv6: null, udpPort: null };
    registry.port(link).register({ name, incarnationId: "1".padStart(32, "0") as IncarnationId, addresses }, () => undefined);
  }
  time.runUntil(time.nowMs + 10);
}

test("registry: with a mesh a node sees its peers, and soon how far the roster has come", () => {
  const { registry, time, events } = watching(ringMesh(names, 2), names[0] ?? null);
  join(registry, time, names);
  assert.deepEqual(events, ["listing of 0 at 0", "node-0 at 1", "node-1 at 2", "node-5 at 6"]);
  registry.remove("node-3" as NodeName);
  time.runUntil(time.nowMs + 102);
  assert.deepEqual(events.slice(4), ["not node-3 at 7"], "somebody it does not know is not there");
  time.runUntil(time.nowMs + 10_000);
  assert.equal(events.length, 5, "and then silence");
});

test("registry: with a mesh a controller sees all, and without one everybody does", () => {
  for (const [mesh, owner] of [[ringMesh(names, 2), null], [null, names[0] ?? null]] as const) {
    const { registry, time, events } = watching(mesh, owner);
    join(registry, time, names);
    time.runUntil(time.nowMs + 1_000);
    assert.deepEqual(events.slice(1), names.map((name, i) => `${name} at ${i + 1}`));
  }
});

test("registry: who falls behind a compaction gets a listing, who does not gets every event", () => {
  for (const isCompacted of [false, true]) {
    const { registry, time, link, events } = watching(null, null);
    link.held.add("roster");
    join(registry, time, names.slice(0, 2));
    if (isCompacted) registry.compact();
    join(registry, time, names.slice(2, 4));
    assert.deepEqual(events, ["listing of 0 at 0"]);
    registry.release(link, "roster");
    time.runUntil(time.nowMs + 10);
    const each = [1, 2, 3, 4].map((revision) => `node-${revision - 1} at ${revision}`);
    assert.deepEqual(events.slice(1), isCompacted ? ["listing of 4 at 4"] : each);
    join(registry, time, names.slice(4, 5));
    assert.equal(events.at(-1), "node-4 at 5", "and from then on events again");
  }
});

test("registry: a compaction that nobody is behind changes nothing", () => {
  const { registry, time, events } = watching(null, null);
  registry.compact();
  join(registry, time, names.slice(0, 1));
  assert.deepEqual(events, ["listing of 0 at 0", "node-0 at 1"]);
});
