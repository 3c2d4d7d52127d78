/**
 * The runs that recordings of this version are kept of: three nodes, a rotation with a kill -9 and a restart within it,
 * a rotation that is aborted, a
 * reboot, an operation that fails, a write that comes too late, a partition; behind a barrier and pairwise. And behind a
 * barrier again, a rotation that waits for the proof of a path, a fleet whose encryption is turned on and off, and one whose
 * controller makes the next key.
 */
import type { AgentInput } from "../../src/runtime/agent-input.js";
import type { ControllerInput } from "../../src/runtime/controller-input.js";
import type { NodeName } from "../../src/core/node.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import type { ControllerPorts } from "../../src/runtime/controller-loop.js";
import { makePrng } from "../../src/core/prng.js";
import { KeySecret } from "../sim/key-secret.js";
import { testKey } from "../support/fleet-snapshot.js";
import { makeRecordings, type Recordings } from "../support/sim-recordings.js";
import { ask, askLevel, giveKeys, holds, isAtLevel, isOn, startFleet, waitFor } from "../sim/scripted.js";

const names = ["a", "b", "c"] as NodeName[];
const [a, b, c] = names as [NodeName, NodeName, NodeName];

export type RecordedSet = "barrier" | "pairwise" | "paths" | "levels" | "generated";

export function recordRun(set: RecordedSet, program: string): Recordings["lines"] {
  if (set === "paths") return recordProof(program);
  if (set === "generated") return recordGenerated(program);
  return set === "levels" ? recordLevels(program) : recordFaults(set, program);
}

/** The Secret cannot be written at first; one key is asked for, and the one after it is due. */
function recordGenerated(program: string): Recordings["lines"] {
  const { lines, around } = makeRecordings(program);
  const secret = new KeySecret(testKey(1), makePrng(1));
  const generate = { everyMs: 20_000 };
  const wrapControllerPorts = (_name: string, ports: ControllerPorts): ControllerPorts => ({ ...ports, nextKey: secret.port(() => true) });
  const options = { coordination: "barrier", nodes: [a, b], packetIntervalMs: 50, controller: { generate }, wrapControllerPorts } as const;
  const fleet = startFleet(around(options));
  secret.mountedBy(fleet);
  secret.isAway = true;
  ask(fleet, "rotate", testKey(9));
  waitFor(fleet, "the problem is told", () => (fleet.registry.fleet?.awaited?.problem ?? null) !== null);
  secret.isAway = false;
  for (const keyId of [2, 3]) waitFor(fleet, `rest on key ${keyId}`, () => fleet.registry.fleet?.current?.keyId === keyId && isSteady(fleet), 60_000);
  return new Map([...lines].filter(([name]) => name.startsWith("controller")));
}

function isSteady({ registry }: SimFleet): boolean {
  return registry.fleet?.phase === "steady";
}

function recordProof(program: string): Recordings["lines"] {
  const { lines, around } = makeRecordings(program);
  const fleet = startFleet(around({ coordination: "barrier", nodes: names, packetIntervalMs: 50, agent: { provesPaths: true } }));
  fleet.garble(a, b, testKey(2).keyId);
  for (const name of names) giveKeys(fleet, name, 1, 2);
  fleet.run(5_000);
  fleet.node(b).kernel.clearPaths();
  waitFor(fleet, "rest on key 2", () => isOn(fleet, testKey(2)));
  for (const name of names) fleet.killAgent(name);
  return lines;
}

/** The agent of b is killed and started again on the way up. */
function recordLevels(program: string): Recordings["lines"] {
  const { lines, around } = makeRecordings(program);
  const agent = { policyLevel: "accept", drainMs: 500 } as const;
  const fleet = startFleet(around({ coordination: "barrier", nodes: names, packetIntervalMs: 50, isOpen: true, agent }));
  askLevel(fleet, "require");
  waitFor(fleet, "prefer is taken", () => fleet.registry.fleet?.levels?.level === "prefer");
  fleet.killAgent(b);
  fleet.run(200);
  fleet.startAgent(b);
  waitFor(fleet, "everybody is at require", () => isAtLevel(fleet, "require"));
  askLevel(fleet, "off");
  waitFor(fleet, "everybody is at off", () => isAtLevel(fleet, "off"));
  for (const name of names) fleet.killAgent(name);
  return lines;
}

function recordFaults(coordination: "barrier" | "pairwise", program: string): Recordings["lines"] {
  const { lines, around } = makeRecordings(program);
  const options = { coordination, nodes: names, packetIntervalMs: 50, agent: { drainMs: 500 }, wrapControllerPorts: loseFirstWrite };
  const fleet = startFleet(around(options));
  rotateThroughRestart(fleet);
  abortRotation(fleet);
  disturb(fleet);
  for (const name of names) fleet.killAgent(name);
  return lines;
}

/** As if another controller had been quicker, once. */
function loseFirstWrite(_name: string, ports: ControllerPorts): ControllerPorts {
  const { registry } = ports;
  let isFirst = true;
  const writeFleet: RegistryPort["writeFleet"] = (record, version, done) => {
    registry.writeFleet(record, isFirst ? version + 1 : version, done);
    isFirst = false;
  };
  return { ...ports, registry: { ...registry, writeFleet } };
}

function rotateThroughRestart(fleet: SimFleet): void {
  for (const name of names) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "b holds 2", () => holds(fleet, b, testKey(2)));
  fleet.killAgent(b);
  fleet.run(200);
  fleet.startAgent(b);
  waitFor(fleet, "rest on key 2", () => isOn(fleet, testKey(2)));
  for (const name of names) giveKeys(fleet, name, 2);
}

/** C's file names the key only after the others have staged it, so nobody has given up the old one. */
function abortRotation(fleet: SimFleet): void {
  for (const name of [a, b]) giveKeys(fleet, name, 2, 3);
  waitFor(fleet, "a and b hold 3", () => holds(fleet, a, testKey(3)) && holds(fleet, b, testKey(3)));
  ask(fleet, "abort", testKey(3));
  fleet.run(200);
  for (const name of names) giveKeys(fleet, name, 2);
  waitFor(fleet, "rest on key 2", () => isOn(fleet, testKey(2)));
}

function disturb(fleet: SimFleet): void {
  const { kernel } = fleet.node(a);
  kernel.fails = () => true;
  fleet.reboot(b);
  fleet.run(300);
  kernel.fails = () => false;
  waitFor(fleet, "b is back", () => isOn(fleet, testKey(2)));
  fleet.partition(c);
  giveKeys(fleet, c, 2, 4);
  fleet.run(600);
  fleet.heal(c);
  giveKeys(fleet, c, 2);
  fleet.run(1_500);
}

/** All kinds there are: the compiler asks for a new one here, and the test for its recording. */
export const agentInputKinds: Readonly<Record<AgentInput["kind"], true>> = {
  roster: true,
  reports: true,
  fleet: true,
  request: true,
  dataplane: true,
  keys: true,
  "state-saved": true,
  "checkpoint-saved": true,
  admitted: true,
  applied: true,
  dumped: true,
  probed: true,
  "report-published": true,
  failed: true,
  "retry-due": true,
};

export const controllerInputKinds: Readonly<Record<ControllerInput["kind"], true>> = {
  roster: true,
  reports: true,
  fleet: true,
  request: true,
  leading: true,
  leases: true,
  audit: true,
  "fleet-written": true,
  "rotation-put": true,
  "request-cleared": true,
  "next-key-written": true,
  failed: true,
  "retry-due": true,
};
