/** What `spindle probe` gets from an agent: the paths that packets take now, and what is kept back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPaths } from "../../src/cli/daemon/path-check.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";
import { a, b, c, offer, settledFleet, stateOf, waitUntil } from "../support/sim-scenes.js";

async function check(fleet: SimFleet, asked: readonly string[] | null): Promise<unknown> {
  const { agent, kernel } = fleet.node(a);
  const port = kernel.port(() => true);
  assert.ok(agent !== null && port.probe !== undefined);
  const found = checkPaths(agent.loop, port.probe, a, asked);
  fleet.run(2_000);
  const answer = await found;
  return answer === null || "unknown" in answer ? answer : { ok: answer.ok, paths: answer.paths.map((path) => Object.values(path)) };
}

for (const coordination of ["barrier", "pairwise"] as const) {
  test(`path check: each peer with the key in use, and a peer that is kept on the old one with the reason (${coordination})`, async () => {
    const fleet = settledFleet({ coordination, agent: { provesPaths: true } });
    assert.deepEqual(await check(fleet, null), { ok: true, paths: [[b, "ipv4", 1, 2, null], [c, "ipv4", 1, 2, null]] });
    fleet.garble(a, b, testKey(2).keyId);
    offer(fleet, [1, 2]);
    waitUntil(fleet, "a cannot prove its path to b", () => stateOf(fleet, a).tally.unanswered === 1);
    const paths = [[b, "ipv4", 1, 2, null], [b, "ipv4", 2, null, "simulated: no answer"]];
    assert.deepEqual(await check(fleet, [b]), { ok: false, paths });
  });
}

test("path check: a peer is known by its address as well", async () => {
  const fleet = settledFleet({ coordination: "barrier" });
  const { ipv4 } = fleet.node(b).addresses;
  assert.deepEqual(await check(fleet, [ipv4 ?? ""]), { ok: true, paths: [[b, "ipv4", 1, 2, null]] });
});

test("path check: who is not on the roster, and the node itself, are no peers", async () => {
  const fleet = settledFleet({ coordination: "barrier" });
  assert.deepEqual(await check(fleet, [b, a, "x"]), { unknown: [a, "x"] });
});

test("path check: a node that is not admitted has no paths", async () => {
  const fleet = settledFleet({ coordination: "barrier" });
  fleet.killAgent(a);
  fleet.startAgent(a);
  assert.equal(await check(fleet, null), null);
});
