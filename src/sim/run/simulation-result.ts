/**
 * What a simulated run found, as the JSON that users and checks rely on (design 8, `schemaVersion` 1): the lab's fields
 * where they apply, and what only virtual time can tell.
 */
import { xfrmCounters, type XfrmCounterName } from "../../core/xfrm-counters.js";
import type { Violation } from "../checkers/checker.js";
import type { Excuse } from "../model/losses.js";
import type { NodeStaging } from "./rotation-watch.js";
import type { Series } from "./time-series.js";

export interface PacketCounts {
  /** Tried, kept back by policy included. */
  readonly sent: number;
  readonly received: number;
  /** All of them, also those that are excused. */
  readonly lost: number;
  readonly lostByReason: Readonly<Record<string, number>>;
}

export interface RotationFigures {
  readonly keyId: number;
  /** From the new key in the first key file, until the last node did it; null when one did not. */
  readonly stagedMs: number | null;
  readonly switchedMs: number | null;
  readonly retiredMs: number | null;
  readonly durationMs: number | null;
  readonly forcedRetires: number;
}

export interface RegistryFigures {
  /** Transactions that changed something, without lease renewals. */
  readonly writes: number;
  readonly watchEvents: number;
  readonly peakEventsPerSecond: number;
}

export interface SimulationResult {
  readonly schemaVersion: 1;
  readonly nodes: number;
  /** Peers that each node talks to, null for all others. */
  readonly degree: number | null;
  readonly coordination: "barrier" | "pairwise";
  readonly order: "stage-first" | "advertise-first";
  readonly seed: number;
  readonly mutant: string | null;
  readonly slowNode: string | null;
  readonly slowNodeMs: number;
  readonly cpuShare: number;
  readonly emergency: boolean;
  readonly jitter: "off" | "uniform" | "slotted";
  readonly jitterMaxMs: number;
  readonly rotations: readonly RotationFigures[];
  readonly packets: PacketCounts;
  /** Over all rotations, without the start. */
  readonly registry: RegistryFigures & {
    /** Events per second that it delivers, null for no bound. */
    readonly rate: number | null;
    /** The longest that an event has waited for its turn. */
    readonly lagMsMax: number;
  };
  readonly violations: readonly Violation[];
  /** The slowest first, of the last rotation. */
  readonly staging: readonly NodeStaging[];
  /** From virtual time 0. */
  readonly series: { readonly binMs: number; readonly all: readonly Series[] };
  /** When the first rotation began and the run ended, virtual milliseconds. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** The command that runs this again. */
  readonly replay: string;
  /** False when it was interrupted. */
  readonly complete: boolean;
  /** It ended, and no invariant broke. */
  readonly ok: boolean;
}

/** `inbound no_state`, as operators know it; or the excuse, as it is. */
export function lossReason(why: Excuse | XfrmCounterName): string {
  return why in xfrmCounters ? xfrmCounters[why as XfrmCounterName].join(" ") : why;
}
