/** Small valid records for the registry's contract. */
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../src/core/fleet/record.js";
import type { CheckValue, KeyId, KeyIdentity } from "../../src/core/key-id.js";
import type {
  IncarnationId,
  NodeName,
  RosterEntry,
  RosterRevision,
} from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { RegisterRequest } from "../../src/ports/registry.js";

export function nodeName(text: string): NodeName {
  return text as NodeName;
}

export function incarnation(serial: number): IncarnationId {
  return serial.toString(16).padStart(32, "0") as IncarnationId;
}

export function key(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: keyId.toString(16).padStart(32, "0") as CheckValue };
}

export function admission(name: string, serial = 1, ipv4 = "10.0.0.1"): RegisterRequest {
  return {
    name: nodeName(name),
    incarnationId: incarnation(serial),
    addresses: { ipv4, ipv6: "fd00::1", udpPort: 4500 },
  };
}

export function behindNode(name: string, cidrs: readonly string[], serial = 1): RegisterRequest {
  const request = admission(name, serial);
  return { ...request, addresses: { ...request.addresses, cidrs } };
}

/** The report of an entry's node that has applied the roster up to `through` and holds `keyIds`. */
export function reportOf(entry: RosterEntry, through: number, ...keyIds: number[]): Report {
  const keys = keyIds.map(key);
  return {
    schemaVersion: 1,
    node: entry.name,
    incarnationId: entry.incarnationId,
    available: keys,
    holds: keys,
    sendingOldest: keys[0]?.keyId ?? null,
    sendingNewest: keys.at(-1)?.keyId ?? null,
    refused: [],
    exclusionEpoch: 0,
    stagingMs: null,
    through: through as RosterRevision,
    waitingFor: null,
    waitingMs: null,
    retired: null,
    level: { applied: "prefer", sendsPlain: true },
  };
}

export function fleetRecord(rotation: number, currentId = 1): FleetRecord {
  return {
    schemaVersion: 1,
    rotation,
    phase: "steady",
    current: key(currentId),
    target: null,
    through: [{ key: key(currentId), revision: 1 as RosterRevision }],
    excluded: [{ name: nodeName("x"), incarnationId: incarnation(9) }],
    exclusionEpoch: 0,
    leftBehind: false,
    refused: [],
    emergency: false,
    purge: false,
    retireMs: 1_000,
    drainMs: 100,
    answer: null,
    levels: {
      level: "prefer",
      wanted: "require",
      applied: false,
      asked: { by: "tester", at: "2026-11-21T00:00:00.000Z", reason: "migration" },
    },
  };
}

export function operatorRequest(id: string): OperatorRequest {
  return {
    schemaVersion: 1,
    id,
    kind: "rotate",
    reason: "quarterly",
    by: "tester",
    at: "2026-11-21T00:00:00.000Z",
    compromised: null,
    abort: null,
  };
}

export function rotationRecord(rotation: number, reason = "quarterly"): RotationRecord {
  return {
    schemaVersion: 1,
    rotation,
    from: key(1),
    to: key(2),
    reason,
    by: "tester",
    emergency: false,
    startedAt: "2026-11-21T00:00:00.000Z",
    endedAt: null,
    outcome: "running",
    preflight: { fits: true, nodes: 5, estimateMs: 4_000, notes: [] },
    phases: [{ phase: "staging", at: "2026-11-21T00:00:00.000Z", afterMs: 0 }],
    stragglers: [{ name: nodeName("x"), kind: "slow", why: "staging" }],
    forcedRetires: 0,
    errors: 0,
  };
}
