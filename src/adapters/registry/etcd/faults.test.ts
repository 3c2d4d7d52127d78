import assert from "node:assert/strict";
import { test } from "node:test";
import { type status } from "@grpc/grpc-js";
import { faultOf, faultOfStatus, toPortError, type FaultKind } from "./faults.js";

/** As etcd 3.4 and gRPC for Node.js say it; what comes of it at the port, and whether it was sent. */
const table: readonly (readonly [status, string, FaultKind, string, boolean])[] = [
  [14, "No connection established. Last error: connect ECONNREFUSED", "away", "REGISTRY_UNREACHABLE", true],
  [14, "No connection established. Last error: certificate has expired", "untrusted", "REGISTRY_TLS_FAILED", true],
  [14, "etcdserver: no leader", "away", "REGISTRY_UNREACHABLE", true],
  [14, "etcdserver: leader changed", "away", "REGISTRY_UNREACHABLE", false],
  [14, "etcdserver: request timed out", "away", "REGISTRY_UNREACHABLE", false],
  [4, "Deadline exceeded after 5.0s", "away", "REGISTRY_UNREACHABLE", false],
  [13, "Received RST_STREAM with code 2", "away", "REGISTRY_UNREACHABLE", false],
  [16, "etcdserver: invalid auth token", "token", "REGISTRY_DENIED", true],
  [3, "etcdserver: revision of auth store is old", "token", "REGISTRY_DENIED", true],
  [3, "etcdserver: user name is empty", "token", "REGISTRY_DENIED", true],
  [7, "etcdserver: permission denied", "denied", "REGISTRY_DENIED", true],
  [3, "etcdserver: authentication failed, invalid user ID or password", "denied", "REGISTRY_DENIED", true],
  [11, "etcdserver: mvcc: required revision has been compacted", "compacted", "REGISTRY_UNREACHABLE", true],
  [11, "etcdserver: mvcc: required revision is a future revision", "compacted", "REGISTRY_UNREACHABLE", true],
  [3, "etcdserver: request is too large", "too-large", "REGISTRY_RECORD_TOO_LARGE", true],
  [8, "Received message larger than max (9 vs. 8)", "too-large", "REGISTRY_RECORD_TOO_LARGE", true],
  [8, "etcdserver: mvcc: database space exceeded", "full", "REGISTRY_STORE_FULL", true],
  [8, "etcdserver: too many requests", "busy", "REGISTRY_BUSY", true],
  [1, "Cancelled on client", "cancelled", "REGISTRY_CLOSED", true],
];

for (const [code, details, kind, portCode, isUnsent] of table) {
  test(`etcd faults: "${details}" is ${kind}`, () => {
    const fault = faultOfStatus(code, details);
    assert.deepEqual([fault.kind, fault.isUnsent], [kind, isUnsent]);
    assert.equal(toPortError(fault, "127.0.0.1:2379").code, portCode);
  });
}

test("etcd faults: what is no answer of the way is our own bug", () => {
  const bug = new TypeError("x is not a function");
  assert.throws(() => faultOf(bug), bug);
});
