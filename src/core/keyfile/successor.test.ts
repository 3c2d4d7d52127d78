import assert from "node:assert/strict";
import test from "node:test";
import type { KeyId, KeyRing } from "../key-id.js";
import type { KeyFile } from "./key-file.js";
import { planSuccessor } from "./successor.js";

function fileOf(ids: readonly number[]): KeyFile {
  const bytes = new Uint8Array(20);
  const key = { kind: "aead", algorithm: "rfc4106(gcm(aes))", bytes, icvBits: 128 } as const;
  return { lines: ids.map((id) => ({ keyId: id as KeyId, plus: true, key })) };
}

interface Case {
  readonly name: string;
  readonly ids: readonly number[];
  readonly ring: KeyRing;
  readonly running?: number;
  /** The id that stays and the new id. */
  readonly expected: readonly [number, number] | "refused";
}

const cases: readonly Case[] = [
  { name: "one line", ids: [3], ring: 255, expected: [3, 4] },
  { name: "two lines: the oldest goes", ids: [3, 4], ring: 255, expected: [4, 5] },
  { name: "the end of our ring", ids: [255], ring: 255, expected: [255, 1] },
  { name: "the end of Cilium's ring", ids: [15], ring: 15, expected: [15, 1] },
  { name: "strongSwan's ids are skipped", ids: [191], ring: 255, expected: [191, 208] },
  { name: "the fleet runs the newest", ids: [3, 4], ring: 255, running: 4, expected: [4, 5] },
  { name: "after an abort", ids: [3, 4], ring: 255, running: 3, expected: [3, 5] },
  { name: "the fleet runs another", ids: [3, 4], ring: 255, running: 9, expected: [4, 5] },
  { name: "half a ring away", ids: [1, 5, 8], ring: 15, running: 1, expected: "refused" },
];

for (const { name, ids, ring, running, expected } of cases) {
  test(`next key: ${name}`, () => {
    const planned = planSuccessor(fileOf(ids), ring, (running ?? null) as KeyId | null);
    const outcome = planned.ok ? [planned.value.kept.keyId, planned.value.keyId] : "refused";
    assert.deepEqual(outcome, expected);
  });
}
