import assert from "node:assert/strict";
import { test } from "node:test";
import { policiesOf, sasOf, viewsOf } from "../../test/support/peer-states.js";
import { testKey } from "../../test/support/fleet-snapshot.js";
import { saSlot } from "../core/rotation/held.js";
import { policySlotOf, type Operation, type PolicySlot, type SaSlot } from "../core/sa.js";
import type { Spi } from "../core/spi.js";
import { TouchedSlots } from "./touched-slots.js";

const sa = saSlot(first(sasOf("in", testKey(1))));
const policy = policySlotOf(first(policiesOf("out", { kind: "block" })));
const touched = new TouchedSlots([
  { kind: "delete-sa", slot: sa } satisfies Operation,
  { kind: "delete-policy", policy } satisfies Operation,
]);

function first<T>(items: readonly T[]): T {
  const [item] = items;
  assert.ok(item !== undefined);
  return item;
}

test("touched slots: an equal slot is touched, whoever made it", () => {
  assert.ok(touched.hasSa({ ...sa, remote: { ...sa.remote } }));
  assert.ok(touched.hasPolicy({ ...policy, remote: { ...policy.remote } }));
});

test("touched slots: a slot that differs in anything is not", () => {
  const others: readonly SaSlot[] = [
    { ...sa, direction: "out" },
    { ...sa, spi: (sa.spi + 1) as Spi },
    { ...sa, remote: { ...sa.remote, address: "192.0.2.200" } },
    { ...sa, remote: { ...sa.remote, udpPort: 4_501 } },
  ];
  for (const slot of others) assert.ok(!touched.hasSa(slot), JSON.stringify(slot));
  const policies: readonly PolicySlot[] = [
    { ...policy, direction: "in" },
    { ...policy, family: "ipv6" },
    { ...policy, local: "10.1.0.0/24" },
    { ...policy, remote: { ...policy.remote, address: "192.0.2.200" } },
    { ...policy, remote: { ...policy.remote, udpPort: 4_501 } },
  ];
  for (const slot of policies) assert.ok(!touched.hasPolicy(slot), JSON.stringify(slot));
});

test("touched slots: installing and setting touch as deleting does", () => {
  const [view] = viewsOf("in", testKey(1));
  assert.ok(view?.key);
  const here = { address: "192.0.2.1", udpPort: null };
  const { direction, spi, remote } = view.slot;
  const installed = new TouchedSlots([
    { kind: "install-sa", sa: { direction, spi, source: remote, destination: here, key: view.key } },
    {
      kind: "set-policy",
      policy: { ...policy, peer: view.key.from.name, action: { kind: "block" } },
    },
  ]);
  assert.ok(installed.hasSa(view.slot));
  assert.ok(installed.hasPolicy(policy));
});
