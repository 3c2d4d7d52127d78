import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckValue, KeyId, KeyIdentity } from "../key-id.js";
import type { IncarnationId, NodeName, RosterEntry, RosterRevision } from "../node.js";
import { makePrng } from "../prng.js";
import type { Report } from "../report.js";
import type { IncarnationNumber, NodeIndex } from "../spi.js";
import { provenThrough, type CountedNode } from "./barrier.js";

const key: KeyIdentity = { keyId: 2 as KeyId, check: "2".padStart(32, "0") as CheckValue };

/** @param through up to which it reports the key held; null for a node that does not hold it */
function counted(revision: number, through: number | null): CountedNode {
  const [name, incarnationId] = [`node-${revision}` as NodeName, "1".padStart(32, "0") as IncarnationId];
  const entry: RosterEntry = {
    name,
    incarnationId,
    addresses: { ipv4: "10.0.0.1", ipv6: null, udpPort: null },
    index: revision as NodeIndex,
    incarnationNumber: 0 as IncarnationNumber,
    revision: revision as RosterRevision,
  };
  const report = { node: name, incarnationId, holds: through === null ? [] : [key], refused: [], through: through ?? 0 };
  return { entry, report: report as unknown as Report };
}

/** The definition: everyone up to it has proven it. */
function isProven(nodes: readonly CountedNode[], revision: number): boolean {
  return nodes.every(({ entry, report }) => {
    const proven = report !== undefined && report.holds.length > 0 ? report.through : -1;
    return entry.revision > revision || proven >= revision;
  });
}

test("barrier: what is proven is the largest revision that everyone up to it holds", () => {
  const prng = makePrng(1);
  for (let round = 0; round < 500; round += 1) {
    const last = 1 + prng.below(8);
    const nodes = Array.from({ length: last }, (_, i) => counted(i + 1, prng.below(4) === 0 ? null : prng.below(last + 1)));
    const proven = provenThrough(nodes, key, last as RosterRevision);
    const largest = Array.from({ length: last + 1 }, (_, i) => last - i).find((revision) => isProven(nodes, revision));
    assert.equal(proven, largest, JSON.stringify(nodes.map(({ report }) => report)));
  }
});

test("barrier: a large fleet of which nobody has reported is counted and does not overflow the stack", () => {
  const nodes = Array.from({ length: 200_000 }, (_, i) => counted(i + 1, null));
  assert.equal(provenThrough(nodes, key, 200_000 as RosterRevision), 0);
});
