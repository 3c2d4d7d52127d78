/**
 * Snapshots of a fleet as the registry shows it, for tests: all nodes alike, but for what a test
 * changes.
 */
import { newFleet, type FleetRecord, type RotationRecord } from "../../src/core/fleet/record.js";
import type { FleetSnapshot } from "../../src/core/fleet/summary.js";
import type { CheckValue, KeyId, KeyIdentity } from "../../src/core/key-id.js";
import type { IncarnationId, NodeName, RosterEntry, RosterRevision } from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { IncarnationNumber, NodeIndex } from "../../src/core/spi.js";

/** @param bytes tells keys of one id apart */
export function testKey(keyId: number, bytes = "0"): KeyIdentity {
  const check = `${keyId}${bytes}`.padStart(32, "0") as CheckValue;
  return { keyId: keyId as KeyId, check };
}

export function testEntry(index: number): RosterEntry {
  return {
    name: `node-${index}` as NodeName,
    index: index as NodeIndex,
    incarnationId: `${index}`.padStart(32, "a") as IncarnationId,
    incarnationNumber: 0 as IncarnationNumber,
    addresses: { ipv4: `192.0.2.${index}`, ipv6: null, udpPort: 4500 },
    revision: index as RosterRevision,
  };
}

/** A node that runs `key` and is done with it. */
export function steadyReport(index: number, key: KeyIdentity): Report {
  const { name, incarnationId } = testEntry(index);
  return {
    schemaVersion: 1,
    node: name,
    incarnationId,
    available: [key],
    holds: [key],
    sendingOldest: key.keyId,
    sendingNewest: key.keyId,
    refused: [],
    exclusionEpoch: 0,
    stagingMs: null,
    through: 9 as RosterRevision,
    waitingFor: null,
    waitingMs: null,
    retired: null,
  };
}

export interface SnapshotParts {
  readonly nodes: number;
  /** Overlaid on a steady report of `current`; null for a node without a report. */
  readonly report?: (index: number) => Partial<Report> | null;
  readonly current: KeyIdentity;
  readonly fleet?: Partial<FleetRecord>;
  readonly rest?: Partial<FleetSnapshot>;
}

/** Barrier, steady on `current`, everybody alive, unless the parts say otherwise. */
export function testSnapshot({
  nodes,
  report,
  current,
  fleet,
  rest,
}: SnapshotParts): FleetSnapshot {
  const entries = Array.from({ length: nodes }, (_, index) => testEntry(index + 1));
  const reports = entries.flatMap(({ name, index }) => {
    const change = report === undefined ? {} : report(index);
    return change === null ? [] : [[name, { ...steadyReport(index, current), ...change }] as const];
  });
  const alive = entries.map(
    ({ name, incarnationId }) => [name, { incarnationId, beat: 1 }] as const,
  );
  return {
    coordination: "barrier",
    ring: 255,
    roster: {
      complete: true,
      unreadable: new Set(),
      revision: 9 as RosterRevision,
      entries: new Map(entries.map((entry) => [entry.name, entry] as const)),
    },
    reports: new Map(reports),
    fleet: { ...newFleet, rotation: 3, current, ...fleet },
    rotation: null,
    request: null,
    leases: new Map(alive),
    ageMs: ageMs,
    ...rest,
  };
}

/** Times are written as milliseconds before the snapshot: `-1500`. */
function ageMs(at: string): number | null {
  const wallMs = Number(at);
  return Number.isNaN(wallMs) ? null : -wallMs;
}

export function testRotation(rotation: number, from: KeyIdentity, to: KeyIdentity): RotationRecord {
  return {
    schemaVersion: 1,
    rotation,
    from,
    to,
    reason: "test",
    by: "someone",
    emergency: false,
    startedAt: "-2000",
    endedAt: null,
    outcome: "running",
    preflight: { fits: true, nodes: 3, estimateMs: 5_000, notes: [] },
    phases: [{ phase: "staging", at: "-2000", afterMs: 0 }],
    stragglers: [],
    forcedRetires: 0,
    errors: 0,
  };
}
