import assert from "node:assert/strict";
import { test } from "node:test";
import { controllerDefaults } from "../sim/defaults.js";
import type { ControllerInput } from "./controller-input.js";
import { ControllerMachine } from "./controller-machine.js";

const roster: ControllerInput = { kind: "roster", event: { kind: "listing", revision: 1, items: [] } };
const reports: ControllerInput = { kind: "reports", event: { kind: "listing", revision: 1, items: [] } };
const rosterLost: ControllerInput = { kind: "roster", event: { kind: "disconnected", reason: "" } };
const reportsLost: ControllerInput = { kind: "reports", event: { kind: "disconnected", reason: "" } };

function watchingSince(...inputs: readonly ControllerInput[]): number | null {
  const machine = new ControllerMachine({ ...controllerDefaults, name: "controller" });
  for (const [atMs, input] of [{ kind: "leading", leads: true } as const, ...inputs].entries()) machine.take(input, atMs);
  return machine.observe("").watchingSinceMs;
}

test("controller: it sees the fleet from the later of its listings on, and no longer when a watch is lost", () => {
  assert.equal(watchingSince(roster), null);
  assert.equal(watchingSince(roster, reports), 2);
  assert.equal(watchingSince(roster, reports, rosterLost), null);
  assert.equal(watchingSince(roster, reports, reportsLost), null);
  assert.equal(watchingSince(roster, reports, rosterLost, reportsLost, roster), null);
});

test("controller: a watch that is lost after the other came back takes nothing from that one (swarm seed 949)", () => {
  assert.equal(watchingSince(roster, reports, rosterLost, roster, reportsLost, reports), 6);
  assert.equal(watchingSince(roster, reports, reportsLost, reports, rosterLost, roster), 6);
});
