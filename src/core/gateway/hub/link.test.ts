import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../limits.js";
import { credentialsOf, nextOf, pairIndex, pairOf, recordOf } from "../fixtures.js";
import type { LinkRecord, Rotation } from "../record.js";
import { applied, begun, isValidityShort, planned, retryAfterMs } from "./link.js";
import { pairInWork, type Verdict } from "./pair.js";

const rotation: Rotation = {
  reason: "schedule",
  why: "",
  round: { number: 3, dueWallMs: 100 },
  planned: [pairIndex(0), pairIndex(1)],
  done: [],
  outcome: "running",
  startedWallMs: 1_000,
  endedWallMs: null,
  failures: 0,
  retryWallMs: null,
  cause: null,
};

function apply(record: LinkRecord, verdict: Verdict): LinkRecord {
  const pair = pairInWork(record);
  assert.ok(pair !== null);
  return applied(record, pair, verdict, 9_000);
}

const first = recordOf([pairOf(0, credentialsOf(1), nextOf(credentialsOf(3, 1), "removing")), pairOf(1, credentialsOf(2))], { rotation });

test("hub, link: one pair of two done is not the rotation done, and the round is not either", () => {
  const after = apply(first, { kind: "done" });
  assert.equal(after.rotation?.outcome, "running");
  assert.equal(after.round.number, 1);
  const next = planned(after);
  assert.equal(next.pairs[1]?.next?.number, 4);
  assert.equal(next.pairs[1]?.next?.slot, 1, "the place that the present generation does not have");
});

test("hub, link: a rotation that planned no pair is never done", () => {
  const empty = { ...first, rotation: { ...rotation, planned: [] } };
  assert.equal(apply(empty, { kind: "done" }).rotation?.outcome, "running");
});

test("hub, link: both pairs done ends rotation and round, and old roots go", () => {
  const roots = [...first.roots, { fingerprint: "ff" as (typeof first.roots)[number]["fingerprint"], pem: "old" }];
  const last = recordOf([pairOf(0, credentialsOf(3)), pairOf(1, credentialsOf(2), nextOf(credentialsOf(4), "removing"))], {
    rotation: { ...rotation, done: [pairIndex(0)] },
    roots,
  });
  const after = apply(last, { kind: "done" });
  assert.equal(after.rotation?.outcome, "done");
  assert.equal(after.round.number, 3);
  assert.deepEqual(after.roots, first.roots);
  assert.equal(after.history[0]?.outcome, "done");
});

test("hub, link: an undone pair keeps the old generation, remembers why, and its number is never used again", () => {
  const cause = { code: "GATEWAY_TUNNEL_DOWN", message: "no handshake", pair: pairIndex(0), side: "client" as const };
  const back = apply({ ...first, pairs: first.pairs.map((pair) => (pair.next === null ? pair : { ...pair, next: { ...pair.next, phase: "issued" } })) }, { kind: "undo", cause });
  assert.equal(back.lastErrorWallMs, 9_000);
  const after = apply(back, { kind: "undone" });
  assert.equal(after.pairs[0]?.current?.number, 1);
  assert.equal(after.pairs[0]?.next, null);
  assert.equal(after.rotation?.outcome, "rolled-back");
  assert.deepEqual(after.history[0]?.cause, cause);
  const again = planned(begun(after, { record: after, reason: "schedule", why: "", round: null, request: null }, 99_000));
  assert.equal(again.pairs[0]?.next?.number, 4);
});

test("hub, link: attempts are spaced from one minute to half an hour, and called failed after five", () => {
  assert.deepEqual([1, 2, 5, 6, 50].map(retryAfterMs), [60_000, 120_000, 960_000, 1_800_000, 1_800_000]);
  let record: LinkRecord = first;
  for (let i = 1; i <= limits.gatewayAttemptsMax; i += 1) {
    record = apply({ ...first, rotation: record.rotation }, { kind: "undone" });
    assert.equal(record.rotation?.failures, i);
    assert.equal(record.rotation?.outcome, i < limits.gatewayAttemptsMax ? "rolled-back" : "failed");
  }
});

test("hub, link: the alarm comes when half of the validity that was left is gone", () => {
  assert.equal(isValidityShort(rotation, 11_000, 5_999), false);
  assert.equal(isValidityShort(rotation, 11_000, 6_000), true);
  assert.equal(isValidityShort(rotation, Infinity, 1e15), false);
});
