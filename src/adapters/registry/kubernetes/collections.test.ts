import assert from "node:assert/strict";
import { test } from "node:test";
import type { RosterRecord } from "../schemas.js";
import { digestOf, parseNode, seeNode } from "./collections.js";
import type { KubeObject } from "./kube-object.js";

const record = {
  schemaVersion: 1,
  name: "a",
  index: 3,
  incarnationId: "0".repeat(31) + "1",
  incarnationNumber: 2,
  addresses: { ipv4: "10.0.0.1", ipv6: null, udpPort: null },
  numbers: { nextNumber: 3, superseded: [] },
} as unknown as RosterRecord;

function specOf(content: object, name = "a"): object {
  return { ...content, digest: digestOf(name, content) };
}

function objectOf(spec: unknown, name = "a"): KubeObject {
  const metadata = { name, uid: "u", resourceVersion: "77", generation: 1, annotations: {} };
  return { metadata, spec };
}

const admitted = { state: "admitted", revision: 5, record };

test("SpindleNode: its revision is the leader's, not the version of the object", () => {
  const seen = seeNode(objectOf(specOf(admitted)));
  assert.equal(seen.revision, 5);
  assert.deepEqual(JSON.parse(seen.value ?? ""), record);
});

test("SpindleNode: the order of fields and nulls that went do not change the digest", () => {
  const { addresses, ...rest } = record;
  const stored = { ...rest, addresses: { ipv4: addresses.ipv4 } };
  const spec = { digest: digestOf("a", admitted), record: stored, revision: 5, state: "admitted" };
  const parsed = parseNode("a", spec);
  assert.equal(parsed.kind, "node");
  assert.deepEqual(parsed.kind === "node" && parsed.node.record, record);
});

test("SpindleNode: a change by hand is a fault, whatever is changed", () => {
  const spec = specOf(admitted);
  const changes: readonly object[] = [
    { ...spec, revision: 6 },
    { ...spec, state: "removed" },
    { ...spec, record: { ...record, index: 4 } },
    { ...spec, record: { ...record, addresses: { ...record.addresses, ipv6: "fd00::1" } } },
    { ...spec, digest: "0".repeat(64) },
    {},
  ];
  for (const changed of changes) {
    const seen = seeNode(objectOf(changed));
    assert.match(seen.fault ?? "", /changed by hand/);
    assert.equal(seen.revision, 0, "a fault has no revision to go by");
  }
  assert.match(seeNode(objectOf(spec, "b")).fault ?? "", /by hand/, "a copy under another name");
});

test("SpindleNode: a record of a newer version is a fault, not an entry", () => {
  const newer = { ...admitted, record: { ...record, schemaVersion: 3 } };
  assert.match(seeNode(objectOf(specOf(newer))).fault ?? "", /cannot be read by this version/);
});

test("SpindleNode: the mark of a removal shows its revision and no entry", () => {
  const mark = specOf({ state: "removed", revision: 9, record: null });
  const { value, revision, fault } = seeNode(objectOf(mark));
  assert.deepEqual([value, revision, fault], [null, 9, undefined]);
});
