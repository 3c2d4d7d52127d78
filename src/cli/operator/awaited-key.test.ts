import assert from "node:assert/strict";
import { test } from "node:test";
import { newFleet, type FleetRecord } from "../../core/fleet/record.js";
import type { CheckValue, KeyId, KeyIdentity } from "../../core/key-id.js";
import { keyStanding, type KeyStanding } from "./awaited-key.js";

function key(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: "0".repeat(32) as CheckValue };
}

const steady: FleetRecord = { ...newFleet, rotation: 5, current: key(1) };
const awaited = { keyId: 2 as KeyId, ring: 255, before: 5 } as const;

const cases: readonly (readonly [string, Partial<FleetRecord>, KeyStanding])[] = [
  ["nothing has happened since", {}, "offered"],
  ["a rotation to it runs", { rotation: 6, phase: "staging", target: key(2) }, "running"],
  ["its rotation is being aborted", { rotation: 6, phase: "aborting", target: key(2) }, "running"],
  ["its rotation ended", { rotation: 6, current: key(2) }, "done"],
  ["the rotation after it runs", { rotation: 7, phase: "staged", current: key(2), target: key(3) }, "done"],
  ["its rotation was aborted", { rotation: 6, refused: [key(2)] }, "aborted"],
  ["another rotation runs first", { rotation: 6, phase: "staging", target: key(254) }, "between"],
  ["another rotation ended, with an older key", { rotation: 6, current: key(254) }, "offered"],
  ["a newer key runs while it was staged", { rotation: 7, phase: "staging", target: key(3) }, "between"],
  ["a newer key came instead", { rotation: 7, current: key(3) }, "replaced"],
  ["it was aborted, and a newer key came", { rotation: 7, current: key(3), refused: [key(2)] }, "replaced"],
];

test("awaited key: the end of another rotation is never taken for the end of its own", () => {
  for (const [name, change, standing] of cases) {
    assert.equal(keyStanding({ ...steady, ...change }, awaited), standing, name);
  }
  assert.equal(keyStanding(null, awaited), "offered");
});
