import assert from "node:assert/strict";
import { test } from "node:test";
import { testEntry } from "../../test/support/fleet-snapshot.js";
import type { IncarnationId } from "./node.js";
import { endsOf } from "./node-ends.js";

const entry = { ...testEntry(1), addresses: { ipv4: "10.0.0.1", ipv6: null, udpPort: 4500 } };

test("ends: made once per entry", () => {
  assert.equal(endsOf(entry), endsOf(entry));
  const { name, index, incarnationId } = entry;
  assert.deepEqual(endsOf(entry), { key: { name, index, incarnationId }, ipv4: { address: "10.0.0.1", udpPort: 4500 }, ipv6: null });
});

test("ends: another life of a node has its own", () => {
  endsOf(entry);
  const reborn = { ...entry, incarnationId: "f".repeat(32) as IncarnationId };
  assert.equal(endsOf(reborn).key.incarnationId, reborn.incarnationId);
});
