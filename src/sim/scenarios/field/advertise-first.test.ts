import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckValue, KeyId, KeyIdentity } from "../../../core/key-id.js";
import { stepAgent } from "../../../core/rotation/step.js";
import type { StepAgent } from "../../../runtime/agent-loop.js";
import { SimFleet } from "../../fleet.js";
import { advertiseFirst } from "./advertise-first.js";

function key(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: keyId.toString(16).padStart(32, "0") as CheckValue };
}

/**
 * Four nodes in virtual time that go from key 1 to key 2; now and then an operation takes long, at
 * any of them.
 */
function rotate(step: StepAgent): SimFleet {
  const fleet = new SimFleet({
    seed: 5,
    coordination: "pairwise",
    step: () => step,
    operationMs: (prng) => (prng.below(10) === 0 ? 500 : 0.1),
  });
  for (const name of ["a", "b", "c", "d"]) fleet.addNode(name, [key(1)]);
  fleet.run(5_000);
  assert.deepEqual(fleet.losses(), [], "nothing is lost at the start");
  for (const name of fleet.live()) fleet.setKeys(name, [key(1), key(2)]);
  const isOver = (): boolean => {
    return fleet.live().every((name) => {
      const view = fleet.node(name).agent?.loop.inspect();
      return view?.state.durable.current?.keyId === 2 && view.state.durable.next === null;
    });
  };
  assert.ok(fleet.runUntil(isOver, 30_000), "the rotation ends");
  fleet.run(2_000);
  return fleet;
}

test("advertise-first: peers send before the SA exists, and no other packet is lost", () => {
  const lost = rotate(advertiseFirst(stepAgent)).losses();
  assert.ok(lost.length > 0, "today's order loses packets");
  assert.deepEqual([...new Set(lost.map(({ reason }) => reason))], ["XfrmInNoStates"]);
  assert.deepEqual([...new Set(lost.map(({ keyId }) => keyId))], [2]);
});

test("advertise-first: the same fleet with the agent's own step loses nothing", () => {
  assert.deepEqual(rotate(stepAgent).losses(), []);
});
