/**
 * One real agent of a large fleet at rest: its own loop over a simulated kernel, with peers that only exist as roster
 * entries and reports. What it knows and what it decided last is what a bench steps from.
 */
import { newFleet } from "../src/core/fleet/record.js";
import type { KeyIdentity } from "../src/core/key-id.js";
import type { IncarnationId, NodeName, RosterRevision } from "../src/core/node.js";
import type { Observation } from "../src/core/rotation/observation.js";
import type { AgentOptions, AgentState } from "../src/core/rotation/state.js";
import { stepAgent } from "../src/core/rotation/step.js";
import type { Report } from "../src/core/report.js";
import type { RegistryPort } from "../src/ports/registry.js";
import { SimFleet } from "../src/sim/fleet.js";
import { steadyReport, testKey } from "../test/support/fleet-snapshot.js";

export interface SettledAgent {
  readonly state: AgentState;
  readonly observation: Observation;
  readonly nowMs: number;
  readonly options: AgentOptions;
}

export const farRevision = 1_000_000 as RosterRevision;

/** The agent in its fleet, to go on with. */
export interface LoneAgent {
  readonly fleet: SimFleet;
  readonly port: RegistryPort;
  /** What its last step saw and gave. */
  readonly last: () => SettledAgent;
  /** How long each step took so far, milliseconds. */
  readonly stepsMs: number[];
}

export function settleAgent(coordination: "barrier" | "pairwise", peers: number): SettledAgent {
  return checked(settleFleet(coordination, peers).last(), peers);
}

export function settleFleet(coordination: "barrier" | "pairwise", peers: number): LoneAgent {
  const key = testKey(1);
  let last: SettledAgent | null = null;
  const stepsMs: number[] = [];
  const fleet = new SimFleet({
    seed: 1,
    coordination,
    registryDelayMs: () => 1,
    operationMs: () => 0.001,
    packetIntervalMs: 60_000,
    step: () => (state, observation, nowMs, options) => {
      const startMs = performance.now();
      const step = stepAgent(state, observation, nowMs, options);
      stepsMs.push(performance.now() - startMs);
      last = { state: step.state, observation, nowMs, options };
      return step;
    },
  });
  const port = fleet.registry.port({ owner: null, isAlive: () => true, isPartitioned: false, held: new Set() });
  for (let i = 0; i < peers; i += 1) admitPeer(port, i, key);
  if (coordination === "barrier") writeFleet(port, key);
  fleet.run(100);
  fleet.addNode("self", [key]);
  fleet.run(60_000);
  return { fleet, port, stepsMs, last: () => lastOf(last) };
}

function lastOf(last: SettledAgent | null): SettledAgent {
  if (last === null) throw new Error("the agent never stepped");
  return last;
}

function checked(settled: SettledAgent, peers: number): SettledAgent {
  const { tally, toDo, phase } = settled.state;
  const isSettled = tally.peers === peers && tally.onCurrent === peers && toDo.size === 0 && phase === "steady";
  if (!isSettled) throw new Error(`the agent has not settled: ${JSON.stringify({ ...tally, phase })}`);
  return settled;
}

function admitPeer(port: RegistryPort, i: number, key: KeyIdentity): void {
  const { node: name, incarnationId } = peerReport(i, key, []);
  const addresses = { ipv4: `10.1.${i >> 8}.${i & 255}`, ipv6: null, udpPort: null };
  port.register({ name, incarnationId, addresses }, () => undefined);
  port.publishReport(peerReport(i, key, [key]), () => undefined);
}

/** The report of the peer of number `i`, which sends with `sending` alone. */
export function peerReport(i: number, sending: KeyIdentity, holds: readonly KeyIdentity[]): Report {
  const node = `peer-${i}.rack-${i % 40}.example` as NodeName;
  const incarnationId = (i + 1).toString(16).padStart(32, "0") as IncarnationId;
  return { ...steadyReport(1, sending), node, incarnationId, holds, through: farRevision };
}

function writeFleet(port: RegistryPort, key: KeyIdentity): void {
  const through = [{ key, revision: farRevision }];
  port.writeFleet({ ...newFleet, rotation: 1, current: key, through }, 0, () => undefined);
}
