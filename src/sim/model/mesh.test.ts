import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../core/node.js";
import { ringMesh } from "./mesh.js";

const names = Array.from({ length: 9 }, (_, i) => `node-${i}` as NodeName);

test("mesh: a node's peers are the nearest on the ring, as many on either side", () => {
  const mesh = ringMesh(names, 4);
  assert.deepEqual([...mesh.peersOf("node-0" as NodeName)].sort(), ["node-1", "node-2", "node-7", "node-8"]);
});

test("mesh: symmetric at every size and degree, also where the far ends meet", () => {
  for (let nodes = 2; nodes <= names.length; nodes += 1) {
    for (const degree of [2, 4, 6, 8]) {
      const fleet = names.slice(0, nodes);
      const mesh = ringMesh(fleet, degree);
      for (const name of fleet) {
        const peers = mesh.peersOf(name);
        assert.equal(peers.length, Math.min(degree, nodes - 1), `${nodes} nodes, degree ${degree}`);
        assert.ok(!peers.includes(name));
        for (const peer of peers) assert.ok(mesh.peersOf(peer).includes(name), `${peer} knows ${name}`);
      }
    }
  }
});

test("mesh: who is not on the ring has no peers", () => {
  assert.deepEqual(ringMesh(names, 2).peersOf("stranger" as NodeName), []);
});
