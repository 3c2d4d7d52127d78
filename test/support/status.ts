/** A status of each kind, in the middle of a rotation, for tests. */
import type { CheckValue, KeyId, KeyIdentity } from "../../src/core/key-id.js";
import type { AgentStatus, ControllerStatus, RegistryWrites } from "../../src/http/status.js";

function key(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: String(keyId).repeat(32).slice(0, 32) as CheckValue };
}

const registryWrites: RegistryWrites = {
  roster: 1,
  report: 3,
  fleet: 4,
  request: 0,
  rotation: 2,
  lease: 50,
};

export const agentStatus: AgentStatus = {
  schemaVersion: 1,
  kind: "agent",
  version: "1.2.3",
  node: "node-1",
  incarnationId: "0123456789abcdef0123456789abcdef",
  coordination: "barrier",
  phase: "staged",
  phaseForMs: 1_500,
  keys: { previous: null, current: key(7), next: key(8) },
  keysInUse: 2,
  peers: { total: 4, covered: 3, behind: 1, blocked: 0, plain: 2, unproven: 1 },
  exceptions: [{ peer: "slow-peer", why: "does not hold key 8", forMs: 1_200 }],
  counters: { XfrmInNoStates: 0 },
  policy: { level: "require", cidrs: [] },
  sas: { in: 8, out: 4 },
  policies: { in: 4, out: 4 },
  highestSequence: 1_234,
  keyUse: [
    { keyId: 7, direction: "in", sas: 4, packets: 70, bytes: 7_000, idleMs: null, highestSequence: 71, sequenceShare: 0.25 },
    { keyId: 7, direction: "out", sas: 4, packets: 80, bytes: 8_000, idleMs: 60_000, highestSequence: 81, sequenceShare: 0.5 },
  ],
  checkpointAgeMs: 800,
  forcedRetires: 1,
  lastStage: { keyId: 8, sas: 8, stagingMs: 125 },
  keyFile: { ok: true, message: null },
  registry: { connected: true, forMs: 90_000 },
  dataplane: {
    connected: true,
    forMs: 90_000,
    identity: { bootId: "boot", networkNamespace: "net", instance: "one" },
  },
  registryWrites,
};

export const controllerStatus: ControllerStatus = {
  schemaVersion: 1,
  kind: "controller",
  version: "1.2.3",
  name: "controller-1",
  leading: true,
  coordination: "barrier",
  rotation: 3,
  phase: "staging",
  phaseForMs: 2_000,
  current: key(7),
  target: key(8),
  nodes: 5,
  excluded: [{ node: "silent-peer", why: "lease unchanged", forMs: 31_000 }],
  stragglers: [
    { node: "slow-peer", kind: "slow", why: "does not hold key 8", forMs: 1_200 },
    { node: "other-slow-peer", kind: "slow", why: "does not hold key 8", forMs: 900 },
  ],
  timeLeftMs: 4_000,
  conditions: [{ code: "KEY_CONFLICT", message: "two keys under id 8", node: null }],
  registry: { connected: true, forMs: 90_000 },
  registryWrites,
};
