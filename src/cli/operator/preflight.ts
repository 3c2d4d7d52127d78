/**
 * The pre-flight check as `rotate --dry-run` shows it: the controller's own check, on what the
 * registry shows now.
 */
import { longestStaging } from "../../core/fleet/audit.js";
import { countedNodes } from "../../core/fleet/barrier.js";
import { findConflicts } from "../../core/fleet/offers.js";
import {
  checkPreflight,
  type Preflight,
  type PreflightOptions,
} from "../../core/fleet/preflight.js";
import type { FleetRecord } from "../../core/fleet/record.js";
import { recordOf, summarizeFleet } from "../../core/fleet/summary.js";
import { includesKey, type KeyIdentity } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import type { Report } from "../../core/report.js";
import { formatDuration } from "../duration.js";
import type { ExitCode } from "../exit.js";
import type { FleetWatch } from "./fleet-watch.js";
import type { FleetPlace } from "./place.js";

export interface PreflightResult extends Preflight {
  readonly schemaVersion: 1;
  /** The check was for a rotation away from a compromised key: it is not refused for its time. */
  readonly emergency: boolean;
  /** Key ids: what the fleet runs, what it would take up, and how many files offer that. */
  readonly from: number | null;
  readonly to: number | null;
  readonly offeredBy: number;
  /** Why a rotation would be refused now, besides the arithmetic. */
  readonly obstacles: readonly string[];
}

export function checkFleet(fleet: FleetWatch, emergency: boolean): PreflightResult {
  const snapshot = fleet.snapshot();
  const summary = summarizeFleet(snapshot);
  const { options, assumptions } = preflightOptions(fleet.place);
  const stagingMs = longestStaging(snapshot.reports);
  const preflight = checkPreflight(summary.counted, stagingMs, emergency, options);
  const record = recordOf(snapshot);
  const nodes = countedNodes(snapshot.roster, snapshot.reports, record.excluded);
  const to = record.target ?? summary.offered?.key ?? null;
  return {
    schemaVersion: 1,
    ...preflight,
    emergency,
    notes: [...preflight.notes, ...assumptions],
    from: record.current?.keyId ?? null,
    to: to?.keyId ?? null,
    offeredBy: to === null ? 0 : nodes.filter(({ report }) => offers(report, to)).length,
    obstacles: [
      ...stateObstacles(record, to),
      ...findConflicts(record, nodes).map(({ message }) => message),
    ],
  };
}

function stateObstacles(record: FleetRecord, to: KeyIdentity | null): readonly string[] {
  if (record.phase !== "steady") return [`rotation ${record.rotation} is running`];
  if (to !== null) return [];
  return ["no node offers a newer key: run `spindle keyfile next` and distribute the file"];
}

function offers(report: Report | undefined, key: KeyIdentity): boolean {
  return report !== undefined && includesKey(report.available, key);
}

/**
 * Only a controller's file says everything; an agent's is completed with the defaults of a
 * controller's.
 */
function preflightOptions({ config: { kind, config } }: FleetPlace): {
  readonly options: PreflightOptions;
  readonly assumptions: readonly string[];
} {
  if (kind === "controller") {
    const { stageDeadlineMs, retireDeadlineMs, drainMs } = config.rotation;
    return {
      options: { stageDeadlineMs, retireDeadlineMs, drainMs, ...config.preflight },
      assumptions: [],
    };
  }
  const { jitter, rotation } = config;
  const options = {
    stageDeadlineMs: limits.stageDeadlineMsDefault,
    keyDistributionMs: limits.keyDistributionMsDefault,
    retireDeadlineMs: rotation.retireDeadlineMs,
    drainMs: rotation.drainMs,
    jitterMaxMs: jitter.enabled ? jitter.maxMs : 0,
    jitterMinNodes: jitter.minNodes,
  };
  const stage = formatDuration(options.stageDeadlineMs);
  const distribution = formatDuration(options.keyDistributionMs);
  const assumed = `stage deadline ${stage}, key distribution ${distribution}`;
  return { options, assumptions: [`assumed, as an agent's file does not say: ${assumed}`] };
}

export function preflightExitCode({ fits, emergency, obstacles }: PreflightResult): ExitCode {
  if (!fits && !emergency) return 3;
  return obstacles.length > 0 ? 1 : 0;
}
