/** Steps of a scripted run of a simulated fleet: who offers which key, what is asked, what is. */
import assert from "node:assert/strict";
import type { FleetRecord, OperatorRequest } from "../../src/core/fleet/record.js";
import { includesKey, type KeyIdentity } from "../../src/core/key-id.js";
import type { NodeName } from "../../src/core/node.js";
import type { AgentState } from "../../src/core/rotation/state.js";
import type { SaSlot } from "../../src/core/sa.js";
import { splitSpi } from "../../src/core/spi.js";
import { SimFleet, type LogLine } from "../../src/sim/fleet.js";
import type { SimOptions } from "../../src/sim/options.js";
import type { AgentView } from "../../src/runtime/agent-loop.js";
import { testKey } from "./fleet-snapshot.js";

export const [a, b, c, d] = ["a", "b", "c", "d"] as unknown as readonly [
  NodeName,
  NodeName,
  NodeName,
  NodeName,
];

export interface SceneOptions extends Omit<SimOptions, "seed"> {
  readonly nodes?: readonly string[];
  /** Tunnel mode: so many networks behind each node. */
  readonly networks?: number;
}

/** A fleet that runs key 1 and has come to rest; with a controller in barrier coordination. */
export function settledFleet({ nodes = [a, b, c], networks = 0, ...options }: SceneOptions): SimFleet {
  const fleet = new SimFleet({ seed: 1, packetIntervalMs: 100, ...options });
  if (options.coordination === "barrier") fleet.addController();
  for (const [i, name] of nodes.entries()) fleet.addNode(name, [testKey(1)], networks === 0 ? undefined : inTunnels(i, networks));
  waitUntil(fleet, "the fleet runs key 1", () => runsOnly(fleet, testKey(1)));
  fleet.run(1_000);
  return fleet;
}

function inTunnels(i: number, networks: number): string {
  const cidrs = Array.from({ length: networks }, (_, place) => `10.${place + 1}.${i}.0/24`);
  return [`10.0.0.${i + 1}`, ...cidrs].join();
}

/** Fails the test when `holds` has not come true within `limitMs`. */
export function waitUntil(
  fleet: SimFleet,
  what: string,
  holds: () => boolean,
  limitMs = 20_000,
): void {
  const endMs = fleet.time.nowMs + limitMs;
  while (!holds() && fleet.time.nowMs < endMs) fleet.run(1);
  assert.ok(holds(), `not within ${limitMs} ms: ${what}`);
}

/** Gives these nodes a key file, at once. */
export function offer(
  fleet: SimFleet,
  keyIds: readonly number[],
  names: readonly NodeName[] = fleet.live(),
): void {
  for (const name of names) fleet.setKeys(name, keyIds.map((keyId) => testKey(keyId)));
}

/** Asks the fleet for a rotation or an abort, as `spindle rotate` and `spindle abort` do. */
export function ask(
  fleet: SimFleet,
  kind: OperatorRequest["kind"],
  keys: Partial<Pick<OperatorRequest, "compromised" | "abort">>,
): void {
  const texts = { id: "request-1", reason: "leak", by: "test", at: "" };
  fleet.registry.setRequest({
    schemaVersion: 1,
    ...texts,
    kind,
    compromised: null,
    abort: null,
    ...keys,
  });
}

export function recordOf(fleet: SimFleet): FleetRecord {
  assert.ok(fleet.registry.fleet !== null, "there is a fleet record");
  return fleet.registry.fleet;
}

export function isExcluded(fleet: SimFleet, name: NodeName): boolean {
  return recordOf(fleet).excluded.some((one) => one.name === name);
}

export function viewOf(fleet: SimFleet, name: NodeName): AgentView {
  const view = fleet.node(name).agent?.loop.inspect() ?? null;
  assert.ok(view !== null, `the agent of ${name} runs`);
  return view;
}

export function stateOf(fleet: SimFleet, name: NodeName): AgentState {
  return viewOf(fleet, name).state;
}

export function isStaging(fleet: SimFleet, name: NodeName, keyId: number): boolean {
  return stateOf(fleet, name).durable.staging?.keyId === keyId;
}

/** By its own word, as the registry has it. */
export function reportsHolding(fleet: SimFleet, name: NodeName, key: KeyIdentity): boolean {
  return includesKey(fleet.registry.report(name)?.holds ?? [], key);
}

/** Does every node hold and send with `key` alone, by its own word? */
export function runsOnly(
  fleet: SimFleet,
  key: KeyIdentity,
  names: readonly NodeName[] = fleet.live(),
): boolean {
  return names.every((name) => {
    const report = fleet.registry.report(name);
    const isAlone = report?.holds.length === 1 && reportsHolding(fleet, name, key);
    return isAlone && report.sendingOldest === key.keyId;
  });
}

/** SAs of a key in a node's kernel, as they are. */
export function slotsOf(fleet: SimFleet, name: NodeName, key: KeyIdentity): readonly SaSlot[] {
  const slots = [...fleet.node(name).kernel.slots()];
  return slots.filter((slot) => splitSpi(slot.spi).keyId === key.keyId);
}

/** Outbound SAs that were installed a second time under the same key: S4 says none. */
export function reusedOutbound(fleet: SimFleet): readonly string[] {
  return fleet.live().flatMap((name) => fleet.node(name).kernel.reusedOutbound);
}

export function logged(fleet: SimFleet, message: string): readonly LogLine[] {
  return fleet.logs.filter((line) => line.message === message);
}
