/** When a word about the policy level is given and taken back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyReport, testKey } from "../../../test/support/fleet-snapshot.js";
import { newFleet, type FleetLevels, type FleetPhase } from "../fleet/record.js";
import type { NodeName } from "../node.js";
import { PersistentMap } from "../persistent-map.js";
import type { Report } from "../report.js";
import type { Observation } from "./observation.js";
import { publishAtMs } from "./publish.js";
import { startAgent, type AgentOptions, type AgentState } from "./state.js";

const nowMs = 10_000;
const epoch = 4;
const said: Report = { ...steadyReport(1, testKey(1)), exclusionEpoch: epoch, level: { applied: "prefer", sendsPlain: false } };
const asked = { by: "somebody", at: "", reason: "test" };
const moving: FleetLevels = { level: "prefer", wanted: "require", applied: false, asked };
const reached: FleetLevels = { level: "prefer", wanted: "prefer", applied: true, asked };
const options = { name: "node-1" as NodeName, coordination: "barrier", reportIntervalMs: 1_000, jitter: { enabled: false } } as AgentOptions;
const observation = { publishedReport: said, publishedAtMs: nowMs, roster: { entries: new Map() }, request: null } as unknown as Observation;

function stateIn(phase: FleetPhase, levels: FleetLevels): AgentState {
  const fresh = startAgent(null, PersistentMap.empty());
  return { ...fresh, durable: { ...fresh.durable, fleet: { version: 1, record: { ...newFleet, phase, levels } } } };
}

function atMs(changes: Partial<Report>, phase: FleetPhase, levels: FleetLevels): number | null {
  return publishAtMs({ ...said, ...changes }, stateIn(phase, levels), observation, nowMs, options);
}

test("publish: another level is spoken of when it is applied, not before", () => {
  assert.equal(atMs({ exclusionEpoch: epoch + 1, level: undefined }, "steady", moving), null);
  assert.equal(atMs({ exclusionEpoch: epoch + 1, level: { applied: "require", sendsPlain: false } }, "steady", moving), nowMs);
});

test("publish: a word about the level of now is taken back at once while the fleet moves", () => {
  assert.equal(atMs({ level: undefined }, "steady", moving), nowMs);
});

test("publish: a rotation hears of its epoch, whatever the level", () => {
  assert.equal(atMs({ exclusionEpoch: epoch + 1, level: undefined }, "staged", moving), nowMs);
});

test("publish: in a fleet that has reached its level such a word is spaced, as joins take it back all the time", () => {
  const spacedMs = atMs({ level: undefined }, "steady", reached) ?? 0;
  assert.ok(spacedMs >= nowMs + options.reportIntervalMs, `${spacedMs} ms`);
});
