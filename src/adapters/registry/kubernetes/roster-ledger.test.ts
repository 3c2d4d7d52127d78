import assert from "node:assert/strict";
import { test } from "node:test";
import { notBehind, type Ledger } from "./roster-ledger.js";

const stored: Ledger = {
  schemaVersion: 1,
  revision: 7,
  nextIndex: 3,
  released: [{ index: 1, after: 5 }, { index: 2, after: 6 }],
  intents: [],
};

test("ledger: one that is current stays as it is", () => {
  assert.deepEqual(notBehind(stored, { revision: 7, indices: new Set([0]) }), stored);
  assert.deepEqual(notBehind(stored, { revision: 0, indices: new Set() }), stored);
});

test("ledger: an older one is raised to what the roster and the fleet record show", () => {
  const raised = notBehind(stored, { revision: 12, indices: new Set([0, 2, 8]) });
  assert.deepEqual([raised.revision, raised.nextIndex], [12, 9]);
  assert.deepEqual(raised.released, [{ index: 1, after: 5 }], "an index in use is not given out again");
});
