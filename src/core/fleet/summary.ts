/**
 * Where a fleet stands, for people: one summary of everything that the registry shows. Pure, and
 * true for the moment of the snapshot. It decides nothing, and the same code serves `status`,
 * `rotate --wait` and `abort`.
 */
import { includesKey, isNewer, type KeyIdentity, type KeyRing } from "../key-id.js";
import type { NodeName, RosterRevision } from "../node.js";
import { nextLevel, type PolicyLevel } from "../policy-level.js";
import type { Report } from "../report.js";
import type { Roster } from "../roster.js";
import type { IncarnationNumber, NodeIndex } from "../spi.js";
import { countedNodes, type CountedNode } from "./barrier.js";
import type { ObservedLease } from "./controller-state.js";
import { isUsable } from "./offers.js";
import { findExceptions, type NodeException } from "./exceptions.js";
import { isSettled, whyLevelHeld, whyNotApplied } from "./levels.js";
import { countSteps, nodeStep, type NodeStep, type StepCounts } from "./node-step.js";
import { derivePairwise, isFulfilled } from "./pairwise-view.js";
import { newFleet, type AwaitedRotation, type FleetPhase, type FleetRecord, type OperatorRequest, type RotationRecord } from "./record.js";

/** Everything the registry shows, at one moment. */
export interface FleetSnapshot {
  readonly coordination: "barrier" | "pairwise";
  readonly ring: KeyRing;
  readonly roster: Roster;
  readonly reports: ReadonlyMap<NodeName, Report>;
  /** Null before the first controller wrote it, and always in pairwise coordination. */
  readonly fleet: FleetRecord | null;
  /** The newest rotation that left a record. */
  readonly rotation: RotationRecord | null;
  readonly request: OperatorRequest | null;
  /** Null when they could not be read. */
  readonly leases: ReadonlyMap<NodeName, ObservedLease> | null;
  /**
   * Milliseconds from a wall-clock time (ISO 8601) to the moment of the snapshot; null for what is
   * no time.
   */
  readonly ageMs: (at: string) => number | null;
}

export interface FleetSummary {
  readonly coordination: "barrier" | "pairwise";
  readonly phase: FleetPhase;
  readonly phaseForMs: number | null;
  /** Counts rotations; null in pairwise coordination, where nobody does. */
  readonly rotation: number | null;
  readonly emergency: boolean;
  readonly current: KeyIdentity | null;
  readonly target: KeyIdentity | null;
  /** Nodes on the roster, and those of them that count: not the excluded ones. */
  readonly nodes: number;
  readonly counted: number;
  readonly steps: StepCounts;
  /** The newest key that files offer and nothing uses yet, and how many offer it. */
  readonly offered: { readonly key: KeyIdentity; readonly nodes: number } | null;
  /** A rotation that waits for a key which the controller makes; null when none does. */
  readonly awaited: AwaitedSummary | null;
  /**
   * What the pre-flight estimate leaves; 0 when it takes longer; null when nothing runs or nothing
   * was estimated.
   */
  readonly timeLeftMs: number | null;
  /** Null until somebody asked for a level: each node goes by its own configuration. */
  readonly level: LevelSummary | null;
  readonly exceptions: readonly NodeException[];
  /** An operator's request that nobody has answered, or that stands (pairwise). */
  readonly request: Pick<OperatorRequest, "kind" | "by" | "reason"> | null;
  readonly lastRotation: LastRotation | null;
  /** How the last key went, by the reports of the nodes. */
  readonly lastRetire: RetireLosses;
  readonly rows: readonly NodeRow[];
}

export interface AwaitedSummary extends Pick<AwaitedRotation, "by" | "reason" | "keyId" | "problem"> {
  readonly forMs: number | null;
}

export interface LevelSummary {
  /** That agents apply; null while they are asked which one their configurations set. */
  readonly level: PolicyLevel | null;
  readonly wanted: PolicyLevel;
  /** Counted nodes that have applied it. */
  readonly appliedBy: number;
  /** Everybody has, and it is the wanted one. */
  readonly isSettled: boolean;
  /** What holds the next step up besides the nodes among the exceptions; null for nothing. */
  readonly why: string | null;
  readonly asked: { readonly by: string; readonly reason: string; readonly forMs: number | null };
}

export interface RetireLosses {
  /** Nodes that deleted it at the deadline, without evidence that nobody sends with it. */
  readonly forcedRetires: number;
  /** Packet errors that the nodes counted while it was replaced. */
  readonly errors: number;
}

export interface LastRotation {
  readonly rotation: number;
  readonly keyId: number;
  readonly outcome: RotationRecord["outcome"];
  /** Null while it runs. */
  readonly endedForMs: number | null;
  readonly durationMs: number | null;
  readonly by: string;
  readonly reason: string;
}

export interface NodeRow {
  readonly node: NodeName;
  readonly index: NodeIndex;
  readonly incarnation: IncarnationNumber;
  readonly step: NodeStep | "excluded";
  /** Key ids, oldest first. */
  readonly holds: readonly number[];
  /**
   * Oldest and newest key id it sends with; one when they are the same, none when it sends to
   * nobody.
   */
  readonly sending: readonly number[];
  readonly through: RosterRevision | null;
  readonly lease: "alive" | "ended" | "unknown";
  /** That it has applied; null while it says none. */
  readonly level: PolicyLevel | null;
}

export function summarizeFleet(snapshot: FleetSnapshot): FleetSummary {
  const { roster, reports } = snapshot;
  const record = recordOf(snapshot);
  const nodes = countedNodes(roster, reports, []);
  const counted = countedNodes(roster, reports, record.excluded);
  const audit = snapshot.rotation?.rotation === record.rotation ? snapshot.rotation : null;
  const phaseForMs = phaseAge(record, audit, snapshot);
  const timeLeftMs = timeLeft(record, audit, snapshot);
  const isLate = timeLeftMs === 0;
  return {
    coordination: snapshot.coordination,
    phase: record.phase,
    phaseForMs,
    rotation: snapshot.coordination === "barrier" ? record.rotation : null,
    emergency: record.emergency,
    current: record.current,
    target: record.target,
    nodes: nodes.length,
    counted: counted.length,
    steps: countSteps(counted.map((node) => nodeStep(node, record, counted.length - 1))),
    offered: newestOffer(record, counted, snapshot.ring),
    awaited: awaitedOf(record, snapshot),
    timeLeftMs,
    level: levelOf(record, counted, snapshot),
    exceptions: findExceptions({ record, nodes, leases: snapshot.leases, phaseForMs, isLate, levelForMs: levelAge(record, snapshot) }),
    request: openRequest(snapshot, nodes, record),
    lastRotation: describeRotation(snapshot),
    lastRetire: lossesOf(counted),
    rows: nodes.map((node) => rowOf(node, record, nodes.length - 1, snapshot.leases)),
  };
}

/** The record as the registry has it, or as the reports tell it. */
export function recordOf(snapshot: FleetSnapshot): FleetRecord {
  const { coordination, roster, reports, request, ring } = snapshot;
  if (coordination === "barrier") return snapshot.fleet ?? newFleet;
  const derived = derivePairwise(countedNodes(roster, reports, []), ring);
  const compromised = request?.compromised ?? null;
  const emergency =
    compromised !== null && derived.current !== null && includesKey([derived.current], compromised);
  return emergency ? { ...derived, emergency } : derived;
}

/** In pairwise coordination nobody clears an order whose author stopped waiting. */
function openRequest(
  { request, coordination }: FleetSnapshot,
  nodes: readonly CountedNode[],
  { current }: FleetRecord,
): FleetSummary["request"] {
  if (request === null) return null;
  if (coordination === "pairwise" && isFulfilled(request, nodes, current)) return null;
  return { kind: request.kind, by: request.by, reason: request.reason };
}

function phaseAge(
  record: FleetRecord,
  audit: RotationRecord | null,
  { ageMs }: FleetSnapshot,
): number | null {
  const entered = audit?.phases.at(-1);
  return entered?.phase === record.phase ? ageMs(entered.at) : null;
}

function timeLeft(
  record: FleetRecord,
  audit: RotationRecord | null,
  { ageMs }: FleetSnapshot,
): number | null {
  if (audit === null || record.phase === "steady" || record.phase === "aborting") return null;
  const elapsedMs = ageMs(audit.startedAt);
  return elapsedMs === null
    ? null
    : Math.max(0, Math.round(audit.preflight.estimateMs - elapsedMs));
}

function levelAge({ levels }: FleetRecord, { ageMs }: FleetSnapshot): number | null {
  return levels === undefined ? null : ageMs(levels.asked.at);
}

function levelOf(record: FleetRecord, counted: readonly CountedNode[], snapshot: FleetSnapshot): LevelSummary | null {
  const { levels, phase } = record;
  if (levels === undefined) return null;
  const { level, wanted, asked } = levels;
  const hold = level === null ? null : whyLevelHeld(record, counted, nextLevel(level, wanted));
  const isPaused = phase !== "steady" && !isSettled(levels);
  return {
    level,
    wanted,
    appliedBy: counted.filter(({ report }) => whyNotApplied(record, report) === null).length,
    isSettled: isSettled(levels),
    why: isPaused ? "a rotation runs" : hold?.node === null ? hold.why : null,
    asked: { by: asked.by, reason: asked.reason, forMs: levelAge(record, snapshot) },
  };
}

function awaitedOf({ phase, awaited }: FleetRecord, { ageMs }: FleetSnapshot): AwaitedSummary | null {
  if (phase !== "steady" || awaited === undefined) return null;
  const { by, reason, keyId, problem, at } = awaited;
  return { by, reason, keyId, problem, forMs: ageMs(at) };
}

function newestOffer(
  record: FleetRecord,
  nodes: readonly CountedNode[],
  ring: KeyRing,
): FleetSummary["offered"] {
  const { target } = record;
  const offers = nodes.flatMap(({ report }) => report?.available.slice(-1) ?? []);
  const fresh = offers.filter((key) => {
    const isAhead = target === null || isNewer(key.keyId, target.keyId, ring);
    return isAhead && isUsable(record, key, ring);
  });
  const [first, ...rest] = fresh;
  if (first === undefined) return null;
  const key = rest.reduce(
    (best, one) => (isNewer(one.keyId, best.keyId, ring) ? one : best),
    first,
  );
  return { key, nodes: fresh.filter((one) => includesKey([key], one)).length };
}

function describeRotation({ rotation, ageMs }: FleetSnapshot): LastRotation | null {
  if (rotation === null) return null;
  const { endedAt, startedAt } = rotation;
  const endedForMs = endedAt === null ? null : ageMs(endedAt);
  const startedForMs = ageMs(startedAt);
  const isTimed = endedForMs !== null && startedForMs !== null;
  return {
    rotation: rotation.rotation,
    keyId: rotation.to.keyId,
    outcome: rotation.outcome,
    endedForMs,
    durationMs: isTimed ? Math.max(0, startedForMs - endedForMs) : null,
    by: rotation.by,
    reason: rotation.reason,
  };
}

function lossesOf(nodes: readonly CountedNode[]): RetireLosses {
  const retired = nodes.flatMap(({ report }) => report?.retired ?? []);
  return {
    forcedRetires: retired.filter(({ forced }) => forced).length,
    errors: retired.reduce((sum, { errors }) => sum + errors, 0),
  };
}

function rowOf(
  node: CountedNode,
  record: FleetRecord,
  peers: number,
  leases: FleetSnapshot["leases"],
): NodeRow {
  const { entry, report } = node;
  const isExcluded = record.excluded.some(({ name }) => name === entry.name);
  const sent = [report?.sendingOldest ?? null, report?.sendingNewest ?? null].filter(
    (id) => id !== null,
  );
  return {
    node: entry.name,
    index: entry.index,
    incarnation: entry.incarnationNumber,
    step: isExcluded ? "excluded" : nodeStep(node, record, peers),
    holds: report?.holds.map(({ keyId }) => keyId) ?? [],
    sending: [...new Set(sent)],
    through: report?.through ?? null,
    lease: leases === null ? "unknown" : leases.has(entry.name) ? "alive" : "ended",
    level: report?.level?.applied ?? null,
  };
}
