import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../core/node.js";
import type { FailedOperation } from "../ports/kernel.js";
import { failuresByPeer, unexplained } from "./plan-failures.js";

const [a, b, c] = ["a", "b", "c"] as unknown as [NodeName, NodeName, NodeName];

function failureAt(address: string): FailedOperation {
  const remote = { address, udpPort: null };
  return { operation: { kind: "delete-policy", policy: { direction: "out", family: "ipv4", remote } }, code: "ENOBUFS", message: "" };
}

const at: Readonly<Record<string, NodeName>> = { "10.0.0.1": a, "10.0.0.2": b, "10.0.0.3": c };

const cases: readonly { name: string; peers: readonly NodeName[]; failed: readonly string[]; held: readonly NodeName[] }[] = [
  { name: "a failure holds back its peer alone", peers: [a, b], failed: ["10.0.0.2"], held: [b] },
  { name: "two failures of one peer are one", peers: [a, b], failed: ["10.0.0.1", "10.0.0.1"], held: [a] },
  { name: "an unexplained SA at a known address", peers: [unexplained], failed: ["10.0.0.2"], held: [unexplained] },
  { name: "an unexplained SA beside a peer's", peers: [a, unexplained], failed: ["10.0.0.2"], held: [unexplained] },
  { name: "an address that nobody has any more", peers: [a, b], failed: ["10.0.0.9"], held: [a, b] },
  { name: "an address that has another owner by now", peers: [a], failed: ["10.0.0.3"], held: [a] },
];

for (const { name, peers, failed, held } of cases) {
  test(`failed operations: ${name}`, () => {
    const failures = failuresByPeer(peers, failed.map(failureAt), (operation) => {
      return (operation.kind === "delete-policy" && at[operation.policy.remote.address]) || unexplained;
    });
    assert.deepEqual([...failures.keys()], held);
  });
}
