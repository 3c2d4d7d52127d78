import assert from "node:assert/strict";
import { test } from "node:test";
import type { IncarnationId, NodeName } from "./node.js";
import type { KeyId } from "./key-id.js";
import {
  policySlotKey,
  sameAction,
  sameKeyRef,
  saSlotKey,
  saSlotOf,
  type KeyRef,
  type PolicyAction,
  type SaSpec,
} from "./sa.js";
import type { NodeIndex, Spi } from "./spi.js";

const ref: KeyRef = {
  keyId: 3 as KeyId,
  from: { name: "a" as NodeName, index: 1 as NodeIndex, incarnationId: "a".repeat(32) as IncarnationId },
  to: { name: "b" as NodeName, index: 2 as NodeIndex, incarnationId: "b".repeat(32) as IncarnationId },
  family: "ipv4",
  mode: "transport",
};

test("sa: a key reference differs in everything that the key is derived from", () => {
  assert.ok(sameKeyRef(ref, structuredClone(ref)));
  assert.ok(sameKeyRef(null, null) && !sameKeyRef(ref, null) && !sameKeyRef(null, ref));
  const others: readonly KeyRef[] = [
    { ...ref, keyId: 4 as KeyId },
    { ...ref, family: "ipv6" },
    { ...ref, mode: "tunnel" },
    { ...ref, from: ref.to, to: ref.from },
    { ...ref, from: { ...ref.from, name: "c" as NodeName } },
    { ...ref, from: { ...ref.from, index: 9 as NodeIndex } },
    { ...ref, to: { ...ref.to, incarnationId: "c".repeat(32) as IncarnationId } },
  ];
  for (const other of others) assert.ok(!sameKeyRef(ref, other), JSON.stringify(other));
});

test("sa: a slot is direction, SPI and the peer's end, whichever that is", () => {
  const source = { address: "10.0.0.1", udpPort: 4500 };
  const destination = { address: "10.0.0.2", udpPort: null };
  const sa = (direction: "in" | "out"): SaSpec => {
    return { direction, spi: 0x0100_0010 as Spi, source, destination, key: ref };
  };
  assert.equal(saSlotKey(saSlotOf(sa("in"))), "in 16777232 10.0.0.1#4500");
  assert.equal(saSlotKey(saSlotOf(sa("out"))), "out 16777232 10.0.0.2");
  const slot = { direction: "out", family: "ipv4", remote: destination } as const;
  assert.equal(policySlotKey(slot), "out ipv4 10.0.0.2");
});

test("sa: actions are the same when the packets' way is", () => {
  const actions: readonly PolicyAction[] = [
    { kind: "block" },
    { kind: "accept" },
    { kind: "protect", spi: 1 as Spi },
    { kind: "protect", spi: 2 as Spi },
  ];
  for (const [i, one] of actions.entries()) {
    for (const [j, other] of actions.entries()) assert.equal(sameAction(one, { ...other }), i === j, `${i} ${j}`);
  }
});
