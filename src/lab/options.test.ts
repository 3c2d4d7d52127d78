import assert from "node:assert/strict";
import { test } from "node:test";
import { checkLabOptions, labDefaults, type LabOptions } from "./options.js";

const refused: readonly { readonly changes: Partial<LabOptions>; readonly why: RegExp }[] = [
  { changes: { nodes: 1 }, why: /--nodes must be from 2 to 64/ },
  { changes: { nodes: 65 }, why: /--nodes/ },
  { changes: { nodes: 2.5 }, why: /--nodes/ },
  { changes: { rotations: 0 }, why: /--rotations/ },
  { changes: { rate: 0 }, why: /--rate/ },
  { changes: { ipsecMode: "tunnel" }, why: /--ipsec-mode tunnel needs --dataplane kernel/ },
  { changes: { encapsulation: "none" }, why: /--encapsulation none needs --dataplane kernel/ },
  { changes: { ipv6: true }, why: /--ipv6 needs --dataplane kernel/ },
  {
    changes: { order: "advertise-first", coordination: "barrier" },
    why: /--order advertise-first needs --coordination pairwise: with a barrier/,
  },
];

for (const { changes, why } of refused) {
  test(`lab options: refused is ${JSON.stringify(changes)}`, () => {
    const result = checkLabOptions({ ...labDefaults, ...changes });
    assert.ok(!result.ok);
    assert.match(result.error, why);
  });
}

test("lab options: the defaults, and today's order pairwise, may run", () => {
  assert.ok(checkLabOptions(labDefaults).ok);
  assert.ok(checkLabOptions({ ...labDefaults, ipv6: true, dataplane: "kernel" }).ok);
  const pairwise = { ...labDefaults, coordination: "pairwise", order: "advertise-first" } as const;
  assert.ok(checkLabOptions(pairwise).ok);
});
