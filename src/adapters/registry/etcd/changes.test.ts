import assert from "node:assert/strict";
import { test } from "node:test";
import { changesOf, countDelta } from "./changes.js";
import { eventDelete, type WatchedEvent } from "./api.js";

function event(type: number, key: string, modRevision: number, version: number): WatchedEvent {
  const kv = { key: `/f/${key}`, createRevision: 0, modRevision, version, value: key, lease: 0 };
  return { type, kv };
}

test("etcd changes: those of one revision come together, in order, without the prefix", () => {
  const events = [event(0, "a", 7, 1), event(eventDelete, "b", 7, 0), event(0, "a", 9, 2)];
  assert.deepEqual(changesOf(events, "/f/"), [
    {
      kind: "changes",
      revision: 7,
      changes: [
        { key: "a", value: "a" },
        { key: "b", value: null },
      ],
    },
    { kind: "changes", revision: 9, changes: [{ key: "a", value: "a" }] },
  ]);
  assert.deepEqual(changesOf([], "/f/"), []);
});

test("etcd changes: what is new counts one, what is gone minus one, what is written again nothing", () => {
  assert.equal(countDelta([event(0, "a", 7, 1), event(0, "b", 8, 1), event(0, "a", 9, 2)]), 2);
  assert.equal(countDelta([event(0, "a", 7, 1), event(eventDelete, "a", 8, 0)]), 0);
});
