/** Fleets for scripted runs: quick and even, so that a test decides who is late. */
import assert from "node:assert/strict";
import type { FleetPhase } from "../../src/core/fleet/record.js";
import { includesKey, sameKey, type KeyIdentity } from "../../src/core/key-id.js";
import { isSettled } from "../../src/core/fleet/levels.js";
import type { PolicyLevel } from "../../src/core/policy-level.js";
import type { NodeName } from "../../src/core/node.js";
import { SimFleet } from "../../src/sim/fleet.js";
import type { SimOptions } from "../../src/sim/options.js";
import { testKey } from "../support/fleet-snapshot.js";

export interface Script extends Partial<SimOptions> {
  readonly coordination: "barrier" | "pairwise";
  readonly nodes?: readonly string[];
}

/** A fleet that runs key 1, with a packet per millisecond and pair. */
export function startFleet({ nodes = ["a", "b"], ...options }: Script): SimFleet {
  const fleet = new SimFleet({
    seed: 1,
    registryDelayMs: () => 1,
    operationMs: () => 0.1,
    packetIntervalMs: 1,
    ...options,
  });
  if (options.coordination === "barrier") fleet.addController();
  for (const node of nodes) fleet.addNode(node, [testKey(1)]);
  waitFor(fleet, "the first key is in use", () => isOn(fleet, testKey(1)));
  fleet.run(500);
  return fleet;
}

/** Runs on to half a millisecond within the event that makes `holds` true; fails the test when it never comes. */
export function waitFor(fleet: SimFleet, what: string, holds: () => boolean, limitMs = 30_000): void {
  const endMs = fleet.time.nowMs + limitMs;
  while (!holds()) {
    assert.ok(fleet.time.nowMs < endMs, `waited ${limitMs} ms in vain: ${what}`);
    fleet.run(0.5);
  }
}

/** Every live node holds `key` alone and sends with it alone. */
export function isOn(fleet: SimFleet, key: KeyIdentity): boolean {
  return fleet.live().every((name) => {
    const report = fleet.registry.report(name);
    return report?.holds.length === 1 && sameKey(report.holds[0] ?? null, key) && report.sendingOldest === key.keyId;
  });
}

export function holds(fleet: SimFleet, name: string, key: KeyIdentity): boolean {
  return includesKey(fleet.registry.report(name as NodeName)?.holds ?? [], key);
}

/** By its own word: the only key it sends with. */
export function sendsOnly(fleet: SimFleet, name: string, key: KeyIdentity): boolean {
  const report = fleet.registry.report(name as NodeName);
  return report?.sendingOldest === key.keyId && report.sendingNewest === key.keyId;
}

export function isPhase(fleet: SimFleet, phase: FleetPhase): boolean {
  return fleet.registry.fleet?.phase === phase;
}

export function giveKeys(fleet: SimFleet, name: string, ...keyIds: readonly number[]): void {
  fleet.setKeys(name as NodeName, keyIds.map((keyId) => testKey(keyId)));
}

export function askLevel(fleet: SimFleet, level: PolicyLevel): void {
  const texts = { id: `level-${level}-${fleet.time.nowMs}`, reason: "script", by: "script", at: "" };
  fleet.registry.setRequest({ schemaVersion: 1, ...texts, kind: "level", compromised: null, abort: null, level });
}

/** The record says that everybody is at the level that was asked for last. */
export function isAtLevel(fleet: SimFleet, level: PolicyLevel): boolean {
  const levels = fleet.registry.fleet?.levels;
  return levels?.level === level && isSettled(levels);
}

export function ask(fleet: SimFleet, kind: "rotate" | "abort", key: KeyIdentity): void {
  fleet.registry.setRequest({
    schemaVersion: 1,
    id: `${kind}-${key.keyId}-${fleet.time.nowMs}`,
    kind,
    reason: "script",
    by: "script",
    at: "",
    compromised: kind === "rotate" ? key : null,
    abort: kind === "abort" ? key : null,
  });
}
