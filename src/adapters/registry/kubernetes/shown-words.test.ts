import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckValue, KeyId, KeyIdentity } from "../../../core/key-id.js";
import type { Report } from "../../../core/report.js";
import { reportWords } from "./shown-words.js";

function key(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: "0".repeat(32) as CheckValue };
}

function words(changes: Partial<Report>): readonly string[] {
  const steady = {
    available: [key(1)],
    holds: [key(1)],
    sendingOldest: 1 as KeyId,
    sendingNewest: 1 as KeyId,
    refused: [],
    waitingFor: null,
  } as unknown as Report;
  const { shownPhase, shownKeys, shownSending } = reportWords({ ...steady, ...changes });
  return [shownPhase, shownKeys, shownSending];
}

test("words of a report: each stand of a rotation has one", () => {
  const both = { available: [key(1), key(2)] };
  const table: readonly (readonly [Partial<Report>, readonly string[]])[] = [
    [{}, ["steady", "1", "1"]],
    [{ ...both, waitingFor: key(2) }, ["waiting", "1", "1"]],
    [both, ["staging", "1", "1"]],
    [{ ...both, holds: both.available }, ["staged", "1, 2", "1"]],
    [
      { ...both, holds: both.available, sendingNewest: 2 as KeyId },
      ["switching", "1, 2", "1, 2"],
    ],
    [
      { ...both, holds: both.available, sendingOldest: 2 as KeyId, sendingNewest: 2 as KeyId },
      ["switched", "1, 2", "2"],
    ],
    [{ ...both, refused: [key(2)] }, ["aborting", "1", "1"]],
    [
      { available: [], holds: [], sendingOldest: null, sendingNewest: null },
      ["no key", "none", "none"],
    ],
  ];
  for (const [changes, expected] of table) assert.deepEqual(words(changes), expected);
});
