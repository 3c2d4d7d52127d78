/**
 * What a run of the lab found, as the JSON that users and checks rely on (design 8, `schemaVersion`
 * 1). Everything in it was measured: packets by the numbers in their payload, times by the agents'
 * own words, registry counts by its counters.
 */
import type { IpsecMode } from "../core/node.js";
import type { XfrmCounters } from "../core/xfrm-counters.js";
import type { FinishedRotation } from "./lab.js";
import {
  explainLosses,
  peerDown,
  unread,
  type Loss,
  type LossContext,
  type Outage,
} from "./ledger/losses.js";
import { findPlaces, type LossPlace } from "./ledger/loss-places.js";
import type { Ledger } from "./ledger/ledger.js";
import { checkValidity, type Validity } from "./ledger/validity.js";
import { add, noCounts, type RegistryCounts } from "./fleet/registry-load.js";
import type { BulkReport } from "./kernel/bulk-stream.js";
import type { CountedDrops } from "./ledger/counted-drops.js";
import type { Coordination, Encapsulation, LabDataplane, LabOptions, Order } from "./options.js";

export interface PacketReport {
  /** Tried, kept back by policy included. */
  readonly sent: number;
  readonly received: number;
  /** All of them, also those that are excused. */
  readonly lost: number;
  readonly lostByReason: Readonly<Record<string, number>>;
}

export interface RegistryReport {
  /** Transactions that changed something, without lease renewals. */
  readonly writes: number;
  readonly watchEvents: number;
  readonly writesByClass: Readonly<Record<string, number>>;
  readonly leaseRenewals: number;
}

export interface RotationReport {
  readonly keyId: number;
  /** From the new key in the first key file, until the last node did it; null when one did not. */
  readonly stagedMs: number | null;
  readonly switchedMs: number | null;
  readonly retiredMs: number | null;
  readonly durationMs: number | null;
  readonly forcedRetires: number;
  /** Sent between the start of this rotation and the next. */
  readonly packets: PacketReport;
  readonly registry: RegistryReport;
  /** Why it did not end, null when it did. */
  readonly stuck: string | null;
}

export interface LabReport {
  readonly schemaVersion: 1;
  readonly nodes: number;
  readonly coordination: Coordination;
  readonly order: Order;
  readonly seed: number;
  readonly slowNode: string | null;
  readonly slowNodeMs: number;
  readonly rate: number;
  readonly dataplane: LabDataplane;
  readonly ipv6: boolean;
  readonly encapsulation: Encapsulation;
  readonly ipsecMode: IpsecMode;
  /** Where configurations, logs and state were left, null when they were removed. */
  readonly directory: string | null;
  readonly rotations: readonly RotationReport[];
  readonly packets: PacketReport;
  /** Over all rotations, without the start; the peak since the start of the first. */
  readonly registry: RegistryReport & { readonly peakEventsPerSecond: number };
  /** Where, when and why packets were lost, the worst first. */
  readonly losses: readonly LossPlace[];
  /** Error counters of each node's dataplane at the end, without zeroes. */
  readonly counters: Readonly<Record<string, XfrmCounters>>;
  /** Packets that kernels counted as errors since the first rotation began; null in userspace. */
  readonly counted: number | null;
  /** The bulk TCP stream; null in userspace. */
  readonly bulk: BulkReport | null;
  readonly validity: Validity;
  /** The run proves something, every rotation ended, and nothing was lost that is not excused. */
  readonly ok: boolean;
}

export interface ReportInputs {
  readonly options: LabOptions;
  readonly directory: string;
  readonly slowNode: number | null;
  readonly ledger: Ledger;
  readonly outages: readonly Outage[];
  readonly drops: CountedDrops;
  readonly bulk: BulkReport | null;
  readonly rotations: readonly FinishedRotation[];
  /** By node; null for a dataplane that was down at the end. */
  readonly counters: readonly (XfrmCounters | null)[];
  readonly peakEventsPerSecond: number;
  /** Pairs that delivered nothing at the end. */
  readonly silentPairs: number;
  /** Monotonic milliseconds; what is outstanding by then is lost. */
  readonly nowMs: number;
}

export function makeReport(inputs: ReportInputs): LabReport {
  const { options, ledger, rotations } = inputs;
  const { nodes, coordination, order, seed, rate, slowNodeMs } = options;
  const losses = explainLosses(lossContext(inputs), inputs.nowMs);
  const keyIds = [...new Set(rotations.flatMap(({ watch }) => [watch.oldKeyId, watch.keyId]))];
  const unreadPackets = losses.filter(({ reason }) => reason === unread).length;
  const validity = checkValidity({
    ledger,
    nodes,
    rate,
    keyIds,
    unreadPackets,
    nameOf,
    silentPairs: inputs.silentPairs,
  });
  const packets = countPackets(ledger, losses, null);
  const counted = countedErrors(inputs);
  const isHitless = losses.every(({ reason }) => reason === peerDown) && isQuiet(inputs, counted);
  const isComplete = rotations.every(({ stuck }) => stuck === null);
  return {
    schemaVersion: 1,
    nodes,
    coordination,
    order,
    seed,
    slowNode: inputs.slowNode === null ? null : nameOf(inputs.slowNode),
    slowNodeMs,
    rate,
    dataplane: options.dataplane,
    ipv6: options.ipv6,
    encapsulation: options.encapsulation,
    ipsecMode: options.ipsecMode,
    directory: options.keep ? inputs.directory : null,
    rotations: rotations.map((rotation, index) =>
      rotationReport(ledger, losses, rotation, index + 1),
    ),
    packets,
    registry: {
      ...registryReport(rotations.map(({ registry }) => registry).reduce(add, noCounts)),
      peakEventsPerSecond: inputs.peakEventsPerSecond,
    },
    losses: findPlaces(
      losses,
      rotations.map(({ watch }) => watch),
      ledger,
      nameOf,
    ),
    counters: Object.fromEntries(
      inputs.counters.map((counters, node) => [nameOf(node), moved(counters)]),
    ),
    counted,
    bulk: inputs.bulk,
    validity,
    ok: isHitless && isComplete && rotations.length > 0 && validity.problems.length === 0,
  };
}

function countedErrors({ options, drops, rotations }: ReportInputs): number | null {
  if (options.dataplane === "userspace") return null;
  const [first] = rotations;
  return first === undefined ? 0 : drops.countSince(first.watch.startedMs);
}

/**
 * Kernels count every program's packets, also the bulk stream's: none was dropped, and the stream
 * arrived. A node that was down excuses both, as its packets are accounted for one by one.
 */
function isQuiet({ outages, bulk }: ReportInputs, counted: number | null): boolean {
  if (outages.length > 0) return true;
  const hasArrived = bulk === null || bulk.bytesReceived === bulk.bytesSent;
  return hasArrived && (counted ?? 0) === 0;
}

export function nameOf(node: number): string {
  return `node-${node + 1}`;
}

function lossContext({ options, slowNode, ledger, outages, drops, counters }: ReportInputs): LossContext {
  return {
    ledger,
    outages,
    stagingDelayMs: (node) => (node === slowNode ? options.slowNodeMs : 0),
    counted: drops,
    bufferDrops: new Map(counters.map((one, node) => [node, one?.XfrmInBufferError ?? 0])),
  };
}

function rotationReport(
  ledger: Ledger,
  losses: readonly Loss[],
  { watch, registry, stuck }: FinishedRotation,
  period: number,
): RotationReport {
  return {
    keyId: watch.keyId,
    stagedMs: rounded(watch.lastMs("stagedMs")),
    switchedMs: rounded(watch.lastMs("switchedMs")),
    retiredMs: rounded(watch.lastMs("retiredMs")),
    durationMs: rounded(watch.durationMs),
    forcedRetires: watch.nodes.filter(({ forced }) => forced === true).length,
    packets: countPackets(ledger, losses, period),
    registry: registryReport(registry),
    stuck,
  };
}

/** @param period null for the whole run */
function countPackets(
  ledger: Ledger,
  losses: readonly Loss[],
  period: number | null,
): PacketReport {
  let [sent, received] = [0, 0];
  for (const { periods } of ledger.streams) {
    for (const [index, counts] of periods.entries()) {
      if (period !== null && index !== period) continue;
      sent += counts.attempted;
      received += counts.delivered;
    }
  }
  const lost = losses.filter((loss) => period === null || ledger.periodOf(loss.sentMs) === period);
  const lostByReason: Record<string, number> = {};
  for (const { reason } of lost) lostByReason[reason] = (lostByReason[reason] ?? 0) + 1;
  return { sent, received, lost: lost.length, lostByReason };
}

function registryReport(counts: RegistryCounts): RegistryReport {
  const { writes, watchEvents, writesByClass, leaseRenewals } = counts;
  const used = Object.entries(writesByClass).filter(([, count]) => count > 0);
  return { writes, watchEvents, writesByClass: Object.fromEntries(used), leaseRenewals };
}

function moved(counters: XfrmCounters | null): XfrmCounters {
  return Object.fromEntries(Object.entries(counters ?? {}).filter(([, count]) => count > 0));
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
