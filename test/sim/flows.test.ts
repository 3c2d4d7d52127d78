/** Traffic as flows, against packets one by one; and losses that no packet saw. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import { stepAgent } from "../../src/core/rotation/step.js";
import { LossChecker } from "../../src/sim/checkers/loss.js";
import { watchedFleet } from "../../src/sim/checkers/history.js";
import { SimFleet } from "../../src/sim/fleet.js";
import { packetsWithin } from "../../src/sim/model/flow.js";
import { packetsOf } from "../../src/sim/model/losses.js";
import { advertiseFirst } from "../../src/sim/scenarios/field/advertise-first.js";
import { a, b, c, d, offer } from "../support/sim-scenes.js";
import { testKey } from "../support/fleet-snapshot.js";
import { flowsOf, PacketReference } from "./packet-reference.js";

const intervalMs = 7;

test("flows: packets within a time, however it is cut", () => {
  for (const [phaseMs, everyMs] of [[0.3, 7], [6.9, 7], [100.25, 101]] as const) {
    const times = Array.from({ length: 200 }, (_, k) => phaseMs + k * everyMs);
    for (const [fromMs, toMs] of [[0, 0.2], [0, 100], [6.9, 1_000], [0.3, 0.3], [0.3, 7.3]] as const) {
      const expected = times.filter((atMs) => atMs >= fromMs && atMs < toMs).length;
      assert.equal(packetsWithin(fromMs, toMs, phaseMs, everyMs), expected, `${fromMs} to ${toMs} of ${phaseMs} + k ${everyMs}`);
      const middleMs = (fromMs + toMs) / 3;
      const parts = packetsWithin(fromMs, middleMs, phaseMs, everyMs) + packetsWithin(middleMs, toMs, phaseMs, everyMs);
      assert.equal(parts, expected, "in two parts");
    }
  }
});

/** A busy life: a rotation under way, kernels that lose their state, nodes that leave, move and come. */
function live(fleet: SimFleet, reference: PacketReference): void {
  const then = (forMs: number, act: () => void): void => {
    act();
    reference.follow();
    fleet.run(forMs);
  };
  then(400, () => [a, b, c, d].forEach((name) => fleet.addNode(name, [testKey(1)])));
  then(60, () => offer(fleet, [1, 2]));
  then(300, () => fleet.reboot(a));
  then(300, () => fleet.leave(d));
  then(300, () => fleet.moveTo(c, "10.9.0.1"));
  then(300, () => fleet.killAgent(b));
  then(300, () => fleet.rebootHost(a));
  then(500, () => fleet.startAgent(b));
  then(500, () => fleet.startAgent(a));
  then(500, () => fleet.addNode("e", [testKey(1), testKey(2)]));
  then(900, () => fleet.moveTo(d, "10.9.0.2"));
}

for (const coordination of ["barrier", "pairwise"] as const) {
  for (const seed of [1, 2, 3]) {
    test(`flows: the same counts as packet by packet (${coordination}, seed ${seed})`, () => {
      const step = coordination === "pairwise" ? { step: () => advertiseFirst(stepAgent) } : {};
      const fleet = new SimFleet({ seed, coordination, packetIntervalMs: intervalMs, agent: { drainMs: 200 }, ...step });
      if (coordination === "barrier") fleet.addController();
      const reference = new PacketReference(fleet, intervalMs);
      live(fleet, reference);
      const { sent, delivered, blocked } = fleet.traffic.count();
      assert.deepEqual({ sent, delivered, blocked }, { sent: reference.sent, delivered: reference.delivered, blocked: reference.blocked });
      const dropped = [...reference.dropped.values()].reduce((sum, packets) => sum + packets, 0);
      assert.ok(dropped > 0 && blocked > 0 && delivered > 1_000, `${dropped} dropped, ${blocked} blocked, ${delivered} delivered`);
      assert.equal(packetsOf(fleet.traffic.lost.filter(({ keyId }) => keyId !== 0)), dropped);
      for (const [reason, packets] of reference.dropped) {
        assert.equal(packetsOf(fleet.traffic.lost.filter((window) => window.reason === reason)), packets, reason);
      }
      let compared = 0;
      for (const { near, far } of flowsOf(fleet)) {
        for (const sa of [...near.sas, ...far.sas]) {
          assert.equal(sa.packets, reference.counted.get(sa) ?? 0);
          compared += sa.packets > 0 ? 1 : 0;
        }
      }
      assert.ok(compared > 10, `${compared} SAs compared`);
    });
  }
}

test("flows: a loss that no packet met is a violation all the same", () => {
  const { fleet, history } = watchedFleet({ seed: 1, coordination: "pairwise", packetIntervalMs: 1_000_000 });
  const checker = new LossChecker(fleet, history, null);
  fleet.addNode("a", [testKey(1)]);
  fleet.addNode("b", [testKey(1)]);
  fleet.run(2_000);
  assert.deepEqual(fleet.losses(), []);
  takeAway(fleet, a);
  const [window] = fleet.losses();
  assert.equal(window?.packets, 0);
  assert.ok(window.toMs - window.fromMs > 0 && window.toMs - window.fromMs < 1_000, "as long as it lasted");
  const [violation] = checker.finish();
  assert.match(violation?.message ?? "", /^would have lost packets, for at most .* from b to a by XfrmInNoStates/);
});

/** An inbound SA goes, by a request that nothing excuses. */
function takeAway(fleet: SimFleet, name: NodeName): void {
  const { kernel } = fleet.node(name);
  const slot = [...kernel.slots()].find(({ direction }) => direction === "in");
  assert.ok(slot !== undefined);
  kernel.port(() => true).apply([[{ kind: "delete-sa", slot }]], () => null, () => undefined);
  fleet.run(100);
}
